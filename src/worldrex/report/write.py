"""Write a report of run folders: one page, and its figures as files for papers."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from worldrex.report.comparison import comparison_of
from worldrex.report.export import named_figures, svg_and_png
from worldrex.report.folder import ReportError, Run, read_run
from worldrex.report.markdown import render_markdown
from worldrex.report.page import render_page
from worldrex.report.parts import parts_of
from worldrex.runs import atomic_file


def write_page(folders: Sequence[Path], out: Path, figures: Path | None = None) -> list[Path]:
    """Write one HTML file for the run folders: no network, light and dark, all or nothing.

    Args:
        folders: one run folder or more; a run that is not finished says so on the page.
        out: the file to write; a reader never sees half of it.
        figures: a folder for its figures as files, too, if they are wanted.

    Returns:
        The figures' files.

    Raises:
        ReportError: no folder, a folder that is no run folder, or a file that cannot be read; or as `write_figures`.
        RunError: a file cannot be written.
    """
    runs = _read(folders)
    text = render_page(runs)
    written = [] if figures is None else _write_figures(runs, figures)
    with _or_none(written):
        _write(out, text.encode())
    return written


def write_figures(folders: Sequence[Path], place: Path) -> list[Path]:
    """Write each figure as SVG and PNG, in the colors of light paper.

    Args:
        folders: one run folder or more.
        place: the folder to write to, made if needed; a file of the same name in it is never overwritten.

    Returns:
        The files.

    Raises:
        ReportError: as `write_page`, or a file of a figure's name exists.
        RunError: a figure cannot be written.
    """
    return _write_figures(_read(folders), place)


def write_markdown(folders: Sequence[Path], out: Path, figures: Path) -> list[Path]:
    """Write one Markdown file for the run folders, and the figures that it shows.

    Args:
        folders: one run folder or more.
        out: the file to write.
        figures: the folder for its figures, which the file names relative to itself.

    Returns:
        The figures' files.

    Raises:
        ReportError: as `write_figures`.
        RunError: a file cannot be written.
    """
    runs = _read(folders)
    text = render_markdown(runs, Path(os.path.relpath(figures, out.parent)).as_posix())
    written = _write_figures(runs, figures)
    with _or_none(written):
        _write(out, text.encode())
    return written


def _read(folders: Sequence[Path]) -> list[Run]:
    if not folders:
        raise ReportError("There is no run folder to report on. Name at least one.")
    return [read_run(Path(folder)) for folder in folders]


def _write_figures(runs: Sequence[Run], place: Path) -> list[Path]:
    shown = [parts_of(run, f"run{index}") for index, run in enumerate(runs, start=1)]
    compared = comparison_of(runs) if len(runs) > 1 else None
    named = {place / name: figure for name, figure in named_figures(shown, compared).items()}
    files = {stem: (Path(f"{stem}.svg"), Path(f"{stem}.png")) for stem in named}
    for path in (path for both in files.values() for path in both):
        if path.exists():
            raise ReportError(f"{path} exists and is never overwritten. Name another folder with --figures.")
    written: list[Path] = []
    with _or_none(written):
        for stem, both in files.items():
            for path, content in zip(both, svg_and_png(*named[stem]), strict=True):
                _write(path, content)
                written.append(path)
    return written


@contextmanager
def _or_none(written: Sequence[Path]) -> Iterator[None]:
    """Take the files back if what comes after them fails: the same command would be refused for them."""
    try:
        yield
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReportError(
            f"cannot make the folder {path.parent}: {error.strerror}. Name another place with --out or --figures."
        ) from error
    with atomic_file(path) as file:
        file.write(content)
