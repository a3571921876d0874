import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import pytest
from PIL import Image

from tests.program import Words
from tests.report.conftest import WriteRun
from tests.report.made_up_runs import LOGGED, summary_of_gusty, summary_of_many, without_evidence
from worldrex.report import ReportError, read_run, write, write_figures, write_page
from worldrex.report.export import light_spec, named_figures, svg_and_png
from worldrex.report.parts import parts_of
from worldrex.runs import RunError, atomic_file

UNLOGGED = ("leans-with-the-gust", "random-torques", "strong-compensation")
NAMES = [
    "coverage", "distances", "left-out", "noise", "pit-all-logged-behaviors", "policies", "shift", "slope", "trained",
    "training-erm", "training-penalized", "training-plain-penalty", "unlogged",
    *(f"{what}-{name}" for what in ("open-loop-coverage", "open-loop-error", "pit", "uncertainty") for name in UNLOGGED),
]  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def gusty_figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The figures of a finished run that has every part."""
    from tests.report.made_up_runs import write_folder

    folder = tmp_path_factory.mktemp("gusty")
    write_figures([write_folder(folder / "run", summary_of_gusty())], folder / "figures")
    return folder / "figures"


def texts(path: Path) -> list[str]:
    return ["".join(element.itertext()) for element in ET.parse(path).iter(f"{SVG}text")]


def test_each_figure_is_there_as_both(gusty_figures: Path) -> None:
    assert sorted(path.name for path in gusty_figures.iterdir()) == sorted(
        f"{name}.{end}" for name in NAMES for end in ("svg", "png")
    )
    for name in NAMES:
        with Image.open(gusty_figures / f"{name}.png") as image:
            width, height = image.size
            corner = image.convert("RGBA").getpixel((0, 0))
        assert width > 2000
        assert height > 400
        assert corner == (255, 255, 255, 255)
        root = ET.parse(gusty_figures / f"{name}.svg").getroot()
        # A whole drawing: nothing is fetched, and text is text.
        assert not [element for element in root.iter() if any("href" in key for key in element.attrib)]
        assert len(texts(gusty_figures / f"{name}.svg")) > 5
        assert "var(--" not in (gusty_figures / f"{name}.svg").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_each_figure_names_its_lines(gusty_figures: Path, name: str) -> None:
    said = " ".join(texts(gusty_figures / f"{name}.svg"))
    wanted = {
        "unlogged": ("ERM", "chosen", "plain", "noise floor"),
        "slope": ("truth 0.15", "ERM", "chosen"),
        "left-out": ("worst", "mean", *LOGGED),
        "coverage": ("ERM", "chosen", "50 %", "95 %", "leans with the gust  (not logged)", *LOGGED),
        "distances": ("ignores the gust  1", "random torques  6"),
        "shift": (*LOGGED, "random torques (not logged)", "first component (61 % of the variance)"),
        "noise": ("ERM", "chosen", "batch of this fit"),
        "policies": ("in reality", "promised by its own model"),
    }.get(name, LOGGED if name.startswith("train") else ("ERM", "chosen"))
    if name.startswith("open-loop-error"):
        wanted = (*wanted, "nothing changes", name.removeprefix("open-loop-error-").replace("-", " "))
    for word in wanted:
        assert word in said
    assert not re.search(r"\bb\d\b", said)
    # One legend for colors and shapes together; lines whose names stand beside them need none.
    assert said.count("(no penalty)") == (
        name not in ("slope", "distances", "shift", "left-out", "policies") and "train" not in name
    )


def test_many_lines_have_a_legend_and_names_stay_text(write_run: WriteRun) -> None:
    summary = summary_of_many(12)
    hostile = "</text><script>1</script>' + alert(1) + \"\\"
    first = summary["data"]["behaviors"][0]["name"]
    summary["data"]["behaviors"][0]["name"] = hostile
    for row in summary["selection"]["weights"]:
        for part in ("folds", "trained"):
            row[part] = {hostile if name == first else name: value for name, value in row[part].items()}
    parts = parts_of(read_run(write_run(summary)), "run1")
    figure, keys = named_figures([parts])["left-out"]
    legends = re.findall(r'"orient": "bottom"', str(light_spec(figure, keys)).replace("'", '"'))
    assert legends
    svg, png = svg_and_png(figure, keys)
    root = ET.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    said = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert hostile in said
    assert {behavior["name"] for behavior in summary["data"]["behaviors"]} <= set(said)
    with Image.open(io.BytesIO(png)) as image:
        assert image.width > 2000


def test_figures_of_several_runs_have_names_of_their_own(write_run: WriteRun, tmp_path: Path) -> None:
    folders = [
        write_run(
            without_evidence(summary_of_gusty()) | {"unlogged": {}, "logged": {}, "slope": None, "policy": {}},
            name,
            without=("metrics.jsonl",),
        )
        for name in "ab"
    ]
    written = write_figures(folders, tmp_path / "both")
    assert [path.name for path in written] == [
        f"{name}.{end}"
        for name in ("comparison-left-out", "run1-trained", "run1-left-out", "run2-trained", "run2-left-out")
        for end in ("svg", "png")
    ]


@pytest.mark.parametrize("words", [["--figures", "figures"], ["--format", "md"]])
@pytest.mark.parametrize("fails", ["slope.svg", "report"])
def test_all_files_or_none(
    write_run: WriteRun, tmp_path: Path, call: Callable[..., Words], monkeypatch: pytest.MonkeyPatch,
    words: list[str], fails: str,
) -> None:  # fmt: skip
    """The same command, given again with room on the disk, must not find files of its own."""
    folder = write_run(without_evidence(summary_of_gusty()), without=("metrics.jsonl",))
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))

    def full(path: Path) -> AbstractContextManager[IO[bytes]]:
        if path.name.startswith(fails):
            raise RunError("no room")
        return atomic_file(path)

    command = ["report", folder, "--out", "report", *words]
    with monkeypatch.context() as patch:
        patch.setattr(write, "atomic_file", full)
        assert call(*command)[0] == 2
    assert [path for path in set(tmp_path.rglob("*")) - before if path.is_file()] == []
    assert call(*command)[0] == 0
    assert len(list(tmp_path.rglob("slope.*"))) == 2


def test_nothing_is_overwritten(write_run: WriteRun, tmp_path: Path, call: Callable[..., Words]) -> None:
    folder = write_run(without_evidence(summary_of_gusty()), without=("metrics.jsonl",))
    place, page = tmp_path / "figures", tmp_path / "report.html"
    place.mkdir()
    (place / "slope.png").write_text("of yesterday")
    with pytest.raises(ReportError, match=r"slope\.png exists and is never overwritten\. .* --figures"):
        write_figures([folder], place)
    assert [path.name for path in place.iterdir()] == ["slope.png"]
    write_page([folder], page)
    before = page.read_bytes()
    code, _, err = call("report", folder, "--out", page)
    assert code == 2
    assert "report.html exists and is never overwritten. Choose another --out." in err
    assert page.read_bytes() == before
    code, out, _ = call("report", folder, "--out", tmp_path / "new.html", "--figures", tmp_path / "new")
    assert code == 0
    assert out.count("wrote") == 1 + 10
    assert (tmp_path / "new" / "slope.svg").exists()
