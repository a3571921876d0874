"""What a log does not say itself and its owner does: which policy logged it, how wide its parts are."""

import dataclasses
import os
from dataclasses import dataclass, fields
from typing import Any, NamedTuple


class ActionBounds(NamedTuple):
    """The action space: its least and greatest values, one for all components or one for each; None is no bound."""

    low: tuple[float, ...] | None
    high: tuple[float, ...] | None


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How logs are read; the same names are flags of the command line. Of the first four, one at most.

    Arguments:
        behavior_cycle: episode i of a log was logged by "behavior {i % behavior_cycle}".
        behavior_pattern: a regular expression; its first group (or all of it, without groups) where it is found in a
            log's name is the behavior. A file is called by its name without suffix, a folder's file by
            "folder/file", too.
        behaviors: a CSV file with the columns episode and behavior: an episode, numbered as in the log, and its
            behavior's name.
        behavior_column: column of the behavior where it is not `behavior`; in Minari's data sets a step column
            (infos/KEY) or an episode's attribute, in LeRobot's one of the frames or of the episodes' metadata.
        obs_dims: width of obs in a flat NPY matrix.
        action_dims: width of action in a flat NPY matrix.
        action_low: the least action of the action space, one number for all components or one for each. An action
            beyond it, or beyond `action_high`, is an error.
        action_high: the greatest action.
    """

    behavior_cycle: int | None = None
    behavior_pattern: str | None = None
    behaviors: str | os.PathLike[str] | None = None
    behavior_column: str | None = None
    obs_dims: int | None = None
    action_dims: int | None = None
    action_low: tuple[float, ...] | None = None
    action_high: tuple[float, ...] | None = None

    @property
    def action_bounds(self) -> ActionBounds | None:
        """The bounds of the action, if one was given."""
        given = self.action_low is not None or self.action_high is not None
        return ActionBounds(self.action_low, self.action_high) if given else None

    def settings(self) -> dict[str, Any]:
        """The options for a run folder's config.json: the given ones, and always `behavior_cycle`."""
        given = {field.name: getattr(self, field.name) for field in fields(LoadOptions)}
        return {name: value for name, value in given.items() if value is not None or name == "behavior_cycle"}


def with_cycle(options: LoadOptions | None, behavior_cycle: int | None) -> LoadOptions:
    """`options`, none for the defaults, with the shorter way to say their most frequent one."""
    options = options or LoadOptions()
    return options if behavior_cycle is None else dataclasses.replace(options, behavior_cycle=behavior_cycle)
