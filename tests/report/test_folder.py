import json
from pathlib import Path

import pytest

from tests.report.conftest import WriteRun
from tests.report.made_up_runs import summary_of_gusty
from worldrex.report.folder import ReportError, read_run


def test_a_finished_run(write_run: WriteRun) -> None:
    run = read_run(write_run(summary_of_gusty()))
    assert run.finished
    assert run.title == "gusty-pendulum"
    assert run.summary["slope"]["truth"] == 0.15
    assert run.environment["jax"] == "0.8.1"
    assert run.metrics[0]["model"] == "erm"


def test_parts_that_are_missing_are_empty(write_run: WriteRun) -> None:
    without = ("summary.json", "status.json", "environment.json", "metrics.jsonl")
    run = read_run(write_run(summary_of_gusty(), name="a run", without=without))
    assert (run.state, run.stage, run.title) == ("unfinished", None, "a run")
    assert run.summary["unlogged"] == {}
    assert run.metrics == ()


def test_an_interrupted_run_keeps_its_stage_and_a_null_part_is_empty(write_run: WriteRun) -> None:
    summary = summary_of_gusty() | {"unlogged": None}
    run = read_run(write_run(summary, status={"state": "interrupted", "stage": "crossval"}))
    assert (run.finished, run.stage) == (False, "crossval")
    assert run.summary["unlogged"] == {}


def test_numbers_that_are_not_finite_are_none(write_run: WriteRun) -> None:
    folder = write_run(summary_of_gusty())
    (folder / "summary.json").write_text('{"slope": {"truth": NaN, "erm": [Infinity, 1.0]}}')
    assert read_run(folder).summary["slope"] == {"truth": None, "erm": [None, 1.0]}


def test_half_of_a_last_line_is_left_out_and_a_broken_one_before_is_named(write_run: WriteRun) -> None:
    folder = write_run(summary_of_gusty())
    (folder / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert [record["step"] for record in read_run(folder).metrics] == [1, 2]
    (folder / "metrics.jsonl").write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(ReportError, match="line 2 is not JSON"):
        read_run(folder)


def test_a_missing_folder_a_foreign_one_and_a_broken_file(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="is not a folder"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(ReportError, match=r"not a run folder.*worldrex run --out"):
        read_run(tmp_path)
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(ReportError, match=r"summary\.json is not JSON"):
        read_run(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps([1]))
    with pytest.raises(ReportError, match="expected an object"):
        read_run(tmp_path)
