"""What goes wrong in this room, in words for the person who gave the settings or the data."""


class TrainingError(ValueError):
    """Training cannot go on; the message says what came and what to do."""
