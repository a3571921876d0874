"""Run folders and their pages, for the tests of the report."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.report.made_up_runs import summary_of_gusty, write_folder
from worldrex.report import write_page

WriteRun = Callable[..., Path]


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Write a run folder of a summary; `without` names files to leave out, `status` replaces the finished one."""

    def write(summary: dict[str, Any], name: str = "run", without: Sequence[str] = (), status: Any = None) -> Path:
        return write_folder(tmp_path / name, summary, without=without, status=status)

    return write


@pytest.fixture
def page_of(write_run: WriteRun, tmp_path: Path) -> Callable[..., str]:
    """The text of the page of a summary, through the files."""

    def render(summary: dict[str, Any], **more: Any) -> str:
        out = tmp_path / "report.html"
        write_page([write_run(summary, **more)], out)
        return out.read_text(encoding="utf-8")

    return render


@pytest.fixture(scope="session")
def gusty_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a finished run that has every part."""
    folder = tmp_path_factory.mktemp("gusty")
    write_page([write_folder(folder / "run", summary_of_gusty())], folder / "report.html")
    return (folder / "report.html").read_text(encoding="utf-8")
