import os
from pathlib import Path

import pytest

from tests.watch.made_up import as_lines, reports, set_state, write_job
from worldrex.runs import RunError
from worldrex.watch.records import MetricsFile, Status, read_status, read_verdict, require_run_folder


def steps(metrics: MetricsFile) -> list[int]:
    return [record["step"] for record in metrics.records if record["model"] == "erm"]


def test_what_is_appended_is_read_on_and_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsFile(path)
    assert not metrics.read_on()  # not there yet
    path.write_text(as_lines(reports([500])))
    assert metrics.read_on()
    assert not metrics.read_on()
    more = as_lines(reports([1000]))
    for piece, told in ((more[:30], [500]), (more[30:200], [500]), (more[200:], [500, 1000])):
        with open(path, "a") as file:
            file.write(piece)
        metrics.read_on()
        assert steps(metrics) == told
    assert len(metrics.records) == 6


@pytest.mark.parametrize("how", ["replaced", "truncated", "rewritten"])
def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path, how: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(as_lines(reports([500, 1000, 1500])))
    metrics = MetricsFile(path)
    metrics.read_on()
    if how == "replaced":  # as a resumed run does
        (tmp_path / "new").write_text(as_lines(reports([500])))
        os.replace(tmp_path / "new", path)
    else:
        path.write_text(as_lines(reports([500] if how == "truncated" else [500, 750, 900, 1100, 1300])))
    assert metrics.read_on()
    assert steps(metrics) == ([500, 750, 900, 1100, 1300] if how == "rewritten" else [500])
    path.unlink()
    assert metrics.read_on()
    assert metrics.records == []


def test_lines_that_are_no_records_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"stage"\n[1]\n\xff\n{"stage": "fit"}\n' + as_lines(reports([500])).encode())
    metrics = MetricsFile(path)
    metrics.read_on()
    assert steps(metrics) == [500]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(RunError, match=r"cannot read .*metrics\.jsonl: Is a directory"):
        MetricsFile(tmp_path / "metrics.jsonl").read_on()


def test_folders_that_are_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not there \(yet\)\. Name the --out of a job"):
        require_run_folder(tmp_path / "later")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is not a folder"):
        require_run_folder(tmp_path / "file")
    with pytest.raises(RunError, match="is not a run folder: it has neither"):
        require_run_folder(tmp_path)
    require_run_folder(write_job(tmp_path / "job", []))


def test_how_a_run_stands(tmp_path: Path) -> None:
    folder = write_job(tmp_path / "job", [], state="interrupted", stage="crossval")
    assert read_status(folder) == Status("interrupted", "crossval")
    (folder / "status.json").unlink()
    assert read_status(folder) == Status("running", "start")
    (folder / "status.json").write_text("[]")
    with pytest.raises(RunError, match=r"status\.json is not a run's"):
        read_status(folder)
    with pytest.raises(RunError, match="no longer there"):
        read_status(tmp_path / "gone")


def test_the_verdict_is_that_of_the_summary(tmp_path: Path) -> None:
    folder = write_job(tmp_path / "job", [])
    assert read_verdict(folder) is None
    (folder / "summary.json").write_text('{"verdict": {"sentence": "It helps."}}')
    assert read_verdict(folder) == "It helps."
    set_state(folder, "finished")
    (folder / "summary.json").write_text('{"verdict": null}')
    assert read_verdict(folder) is None
