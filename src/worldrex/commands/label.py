"""`worldrex label`."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from worldrex.commands.flags import NONE, LoadFlags, Logs
from worldrex.commands.json_flag import Json
from worldrex.data import DataError, LabelConfig, label, load, render_labeling, write_labels
from worldrex.data.findings import quote, some_of
from worldrex.runs import check_file
from worldrex.terminal import Terminal

NUMBER = tyro.conf.arg(metavar="K", help="Find this many behaviors instead of choosing.", help_behavior_hint=NONE)


@dataclass(frozen=True, kw_only=True)
class Command(LoadFlags):
    """Infer which behavior logged each episode of a log that does not say; write the labeled log, and a list beside it."""

    paths: Logs
    out: Path
    """The labeled log to write, as Parquet; the list is beside it, with the suffix .csv. Neither may exist."""
    behaviors_min: int = 1
    """Fewest behaviors to try."""
    behaviors_max: int = 6
    """Most behaviors to try; no more than one for every two episodes."""
    num_behaviors: Annotated[int | None, NUMBER] = None
    seed: int = 0
    """Seed of the starting points and of the folds."""
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Load, label, write both files."""
    listed = command.out.with_suffix(".csv")
    if listed == command.out:
        raise DataError(f"--out {command.out} is the name of the list. worldrex writes Parquet there: say .parquet.")
    for path in (command.out, listed):
        check_file(path)
    data = load(*command.paths, options=command, say=partial(terminal.say, label="read"))
    if data.num_behaviors > len(command.paths):
        named = some_of([quote(name, 30) for name in data.behavior_names])
        terminal.say(f"the log names its behaviors ({named}): they are not looked at, and replaced", label="note")
    config = LabelConfig(
        behaviors_min=command.behaviors_min,
        behaviors_max=command.behaviors_max,
        num_behaviors=command.num_behaviors,
        seed=command.seed,
    )
    with terminal.stage("label", "mixtures of action models") as tick:
        labeling = label(data, config, progress=tick)
    write_labels(labeling, listed)
    try:
        labeling.labeled(data).save(command.out)
    except BaseException:
        listed.unlink(missing_ok=True)  # both or none
        raise
    terminal.show(render_labeling(labeling))
    terminal.say(f"{command.out} and {listed}", label="wrote")
    return labeling.to_json()
