"""`worldrex score`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from worldrex.commands.flags import LoadFlags, Logs
from worldrex.commands.json_flag import Json
from worldrex.data import DataError, load
from worldrex.dynamics import load_model
from worldrex.evaluation import score
from worldrex.summary_tables import HORIZONS_CAPTION, SCORES_CAPTION, horizons_table, score_table
from worldrex.terminal import Terminal

MODEL = tyro.conf.arg(
    metavar="DIR", help="Folder of a model, or run folder that holds one.", help_behavior_hint="(required)"
)


@dataclass(frozen=True, kw_only=True)
class Command(LoadFlags):
    """A model under each behavior of a log: error, calibration, k-step error, use of its uncertainty.

    `--json` tells of each output, with intervals and curves; docs/evaluation.md says which values are good.
    """

    model: Annotated[Path, tyro.conf.Positional, MODEL]
    paths: Logs
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Score the model on the files together, in units of the outputs that it was trained on."""
    model = load_model(command.model)
    taken_for: list[str] = []
    data = load(*command.paths, options=command, say=taken_for.append)
    inputs, found = model.normalizer.input_mean.shape[-1], (data.obs.shape[1], data.action.shape[1])
    fitted = next(n for n in range(inputs + 1) if model.features.num_inputs(model.obs_dims, n) >= inputs)
    if found != (model.obs_dims, fitted):
        raise DataError(
            f"the log's obs and action are {found[0]} and {found[1]} wide, the model's {model.obs_dims} and {fitted}: "
            "score it on logs of the system that it was fitted on."
        )
    for line in taken_for:
        terminal.say(line, label="read")
    scores = score({"model": model}, data, np.asarray(model.normalizer.output_std, np.float64), diagnosed=("model",))
    terminal.show(score_table(scores), caption=SCORES_CAPTION)
    terminal.show(horizons_table(scores), caption=HORIZONS_CAPTION)
    return {"format": 1, "kind": "score", "behaviors": scores}
