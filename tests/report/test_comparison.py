from pathlib import Path

from tests.report.conftest import WriteRun
from tests.report.made_up_runs import summary_of_gusty, summary_of_pipeline, write_folder
from tests.report.test_figures import rows
from worldrex.report import read_run
from worldrex.report.comparison import comparison_of, names_of
from worldrex.report.tables import Estimate


def test_runs_stand_side_by_side(write_run: WriteRun) -> None:
    runs = [
        read_run(write_run(summary, name))
        for summary, name in ((summary_of_gusty(), "a"), (summary_of_pipeline(), "b"))
    ]
    section = comparison_of(runs)
    first, second = section.tables[0].rows
    assert first[:3] == ("gusty-pendulum", "helps", "variance, weight 100")
    assert [cell.value for cell in first[3:7] if isinstance(cell, Estimate)] == [1.59, 1.3, 2.95, 1.04]
    assert first[7] == "times the noise floor"
    assert second[:3] == ("Pipeline-high-100000-train", "buys nothing", "ERM")
    assert [cell.value for cell in second[3:7] if isinstance(cell, Estimate)] == [0.421, 0.42, 0.52, 0.534]
    assert second[7] == "variances"
    assert section.reading == "Helps: “gusty-pendulum”. Buys nothing: “Pipeline-high-100000-train”."
    left_out, unlogged = (rows(figure.chart) for figure in section.figures)
    assert {(row["run"], row["key"], row["error"]) for row in left_out if "error" in row} >= {
        ("gusty-pendulum", "erm", 1.59)
    }
    assert {row["label"] for row in unlogged if "error" in row} == {"2.95×", "1.04×", "0.520", "0.534"}


def test_names_of_runs_differ(tmp_path: Path) -> None:
    folders = [tmp_path / one / two for one, two in (("x", "run"), ("y", "run"), ("x", "other"))]
    summaries = (summary_of_gusty(), summary_of_gusty(), summary_of_gusty())
    runs = [
        read_run(write_folder(folder, summary, without=("metrics.jsonl",)))
        for folder, summary in zip(folders, summaries, strict=True)
    ]
    assert names_of(runs) == ["gusty-pendulum, run (1)", "gusty-pendulum, run (2)", "gusty-pendulum, other"]
    assert names_of(runs[:1]) == ["gusty-pendulum"]


def test_runs_that_tell_nothing_yet_are_named(write_run: WriteRun) -> None:
    without = ("summary.json", "metrics.jsonl")
    runs = [
        read_run(write_run(summary_of_gusty(), name, without, {"state": state}))
        for name, state in (("a", "running"), ("b", "interrupted"))
    ]
    section = comparison_of(runs)
    assert [row[:3] for row in section.tables[0].rows] == [("a", "running", "–"), ("b", "interrupted", "–")]
    assert section.panels == ()
