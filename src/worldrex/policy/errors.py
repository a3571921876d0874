"""What goes wrong in this room, in words for the person who gave the policy, the model or the settings."""


class PolicyError(ValueError):
    """A policy folder or an input that cannot be used; the message says what came and what was expected."""
