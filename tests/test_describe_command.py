"""`worldrex describe` as a person calls it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.data.logs import make_log
from tests.program import Words, files_of

Call = Callable[..., Words]


def test_the_page_is_written_once(call: Call, tmp_path: Path) -> None:
    make_log(behaviors=3).save(tmp_path / "log.parquet")
    code, out, err = call("describe", tmp_path / "log.parquet", "--html", tmp_path / "log.html")
    assert (code, err) == (0, "")
    assert out.endswith(f"wrote    {tmp_path / 'log.html'}\n")
    assert "180 records in 9 episodes" in (tmp_path / "log.html").read_text()
    before = files_of(tmp_path)
    code, out, err = call("describe", tmp_path / "log.parquet", "--html", tmp_path / "log.html")
    assert (code, out) == (2, "")
    assert "exists and is never overwritten. Choose another --html." in err
    assert files_of(tmp_path) == before


def test_a_log_with_errors_has_a_page_too(call: Call, tmp_path: Path) -> None:
    data = make_log(behaviors=3)
    data.reward[5] = np.nan
    data.save(tmp_path / "log.parquet")
    code, _, err = call("describe", tmp_path / "log.parquet", "--html", tmp_path / "log.html")
    assert (code, err) == (2, "worldrex describe: the data cannot be used: 1 error, told above.\n")
    assert "reward has 1 NaN value" in (tmp_path / "log.html").read_text()


def test_bounds_of_the_action(call: Call, tmp_path: Path) -> None:
    data = make_log(behaviors=3)
    data.action[:] = np.tanh(data.action)
    data.action[7, 1] = 2
    data.save(tmp_path / "log.parquet")
    flags = ["--action-low", "-1", "--action-high", "1", "2"]
    assert call("describe", tmp_path / "log.parquet", *flags)[0] == 0
    code, out, _ = call("describe", tmp_path / "log.parquet", *flags[:-1])
    assert code == 2
    assert "action[:, 1] has 1 value outside [-1, 1]" in " ".join(out.split())


def test_json_has_times_out_of_order(call: Call, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    make_log(behaviors=3).save(tmp_path / "log.parquet")
    table = pq.read_table(tmp_path / "log.parquet")
    pq.write_table(table.append_column("time", [np.arange(180)[::-1].copy()]), tmp_path / "timed.parquet")
    code, out, _ = call("describe", tmp_path / "timed.parquet")
    assert code == 2
    assert "time goes back within an episode at row 1 of" in " ".join(out.split())
    code, out, err = call("describe", tmp_path / "timed.parquet", "--json")
    assert code == 2
    assert "cannot be used: 1 error" in err
    assert [finding["column"] for finding in json.loads(out)["findings"]] == ["time"]
    code, out, _ = call("describe", tmp_path / "log.parquet", "--json")
    assert code == 0
    assert json.loads(out)["findings"] == []
