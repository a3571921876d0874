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
from worldrex.summary_tables import score_table
from worldrex.terminal import Terminal

MODEL = tyro.conf.arg(
    metavar="DIR", help="Folder of a model, or run folder that holds one.", help_behavior_hint="(required)"
)


@dataclass(frozen=True, kw_only=True)
class Command(LoadFlags):
    """Risk of a model under each behavior of a log: squared error, likelihood, coverage."""

    model: Annotated[Path, tyro.conf.Positional, MODEL]
    paths: Logs
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Score the model on the files together, in units of the outputs that it was trained on."""
    model = load_model(command.model)
    taken_for: list[str] = []
    data = load(*command.paths, options=command, say=taken_for.append)
    width = model.normalizer.input_mean.shape[-1]
    if (data.obs.shape[1], data.action.shape[1]) != (model.obs_dims, width - model.obs_dims):
        raise DataError(
            f"the log's obs and action are {data.obs.shape[1]} and {data.action.shape[1]} wide, the model's "
            f"{model.obs_dims} and {width - model.obs_dims}: score it on logs of the system that it was fitted on."
        )
    for line in taken_for:
        terminal.say(line, label="read")
    scores = score({"model": model}, data, np.asarray(model.normalizer.output_std, np.float64))
    terminal.show(score_table(scores), caption="Squared error in variances of the outputs [95 % interval].")
    return {"format": 1, "kind": "score", "behaviors": scores}
