"""`worldrex report`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from worldrex.commands.json_flag import Json
from worldrex.report import write_markdown, write_page
from worldrex.runs import RunError
from worldrex.terminal import Terminal

FOLDERS = tyro.conf.arg(metavar="DIR ...", help="Run folders, one or more.", help_behavior_hint="")
OUT = tyro.conf.arg(metavar="FILE", help="The page to write; it must not exist.", help_behavior_hint="(required)")
FIGURES = tyro.conf.arg(
    metavar="DIR",
    help="Write each figure here as SVG and PNG, too; none of them may exist.",
    help_behavior_hint="(default: with md, FILE's name and -figures; with html, none)",
)


@dataclass(frozen=True, kw_only=True)
class Command:
    """One page from one run folder or more: self-contained HTML, or Markdown beside its figures."""

    folders: Annotated[tuple[Path, ...], tyro.conf.Positional, FOLDERS]
    out: Annotated[Path, OUT]
    format: Literal["html", "md"] = "html"
    """HTML with all in one file; or Markdown, whose figures are files."""
    figures: Annotated[Path | None, FIGURES] = None
    json: Json = False


def main(command: Command, terminal: Terminal) -> dict[str, Any]:
    """Write the page, and the figures that are asked for."""
    if command.out.exists():
        raise RunError(f"{command.out} exists and is never overwritten. Choose another --out.")
    if command.format == "md":
        place = command.figures or command.out.with_name(f"{command.out.stem}-figures")
        figures = write_markdown(command.folders, command.out, place)
    else:
        figures = write_page(command.folders, command.out, command.figures)
    terminal.say(str(command.out), label="wrote")
    for path in figures:
        terminal.say(str(path), label="wrote")
    return {"page": command.out, "figures": figures}
