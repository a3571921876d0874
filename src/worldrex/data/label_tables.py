"""What a labeling found, as tables for a terminal and as a CSV file."""

import csv
import io
import os

from rich.console import Group, RenderableType
from rich.text import Text

from worldrex.data.findings import plural
from worldrex.data.label import SURE, Labeling
from worldrex.data.tables import number_in_words, table
from worldrex.runs import atomic_file


def render_labeling(labeling: Labeling) -> RenderableType:
    """Numbers of behaviors tried, the behaviors found, and how sure the labels are."""
    tried = table("behaviors", "held-out log-likelihood", "behind the best", "± error")
    for candidate in labeling.candidates:
        tried.add_row(
            str(candidate.behaviors),
            f"{candidate.log_likelihood:,.3f}",
            f"{candidate.behind:,.3f}",
            f"{candidate.behind_error:,.3f}",
        )
    found = table("behavior", "episodes", "share", "entropy", "mean action")
    for place, name in enumerate(labeling.names):
        own = labeling.behavior == place
        mean = ", ".join(number_in_words(float(value)) for value in labeling.mean_action[place][:4])
        found.add_row(
            name,
            f"{int(own.sum()):,}",
            f"{own.mean():.1%}",
            f"{labeling.entropy[own].mean():.3f}",
            mean + (", …" if labeling.mean_action.shape[1] > 4 else ""),
        )
    return Group(tried, Text(), found, Text(), *(Text(line) for line in _remarks(labeling)))


def _remarks(labeling: Labeling) -> list[str]:
    left_out = len(labeling.own_actions)
    lines = [
        f"{labeling.sure.mean():.1%} of the episodes have a posterior above {SURE:g}.",
        f"Action models: {labeling.basis} in obs; {labeling.steps_per_independent:.3g} steps tell as much as one "
        f"independent one; fitted to {plural(labeling.episodes_fitted, 'episode')} of {len(labeling.episodes):,}.",
    ]
    if left_out:
        lines.append(f"{plural(left_out, 'component')} of obs only repeat earlier actions and were left out.")
    if not labeling.several:
        lines.insert(0, "There is no evidence for more than one behavior.")
    return lines


def write_labels(labeling: Labeling, path: str | os.PathLike[str]) -> None:
    """A CSV file for `--behaviors`: episode, behavior, and the posterior of each behavior.

    Raises RunError where the file cannot be written.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["episode", "behavior", *(f"posterior of {name}" for name in labeling.names)])
    for episode, of, posterior in zip(
        labeling.episodes.tolist(), labeling.behavior.tolist(), labeling.posterior.tolist(), strict=True
    ):
        rows.writerow([episode, labeling.names[of], *(f"{value:.6f}" for value in posterior)])
    with atomic_file(path) as file:
        file.write(text.getvalue().encode())
