"""`worldrex convert`: logs beyond memory become one folder, whole or not at all, that is used where it lies."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.data.logs import make_log
from tests.data.readers.formats import text, with_last_frames
from tests.program import Words, files_of, strict_json
from worldrex.data import DataError, LoadOptions, Transitions, load, read_mapped, write_mapped
from worldrex.data.mapped import TYPES, maps_of
from worldrex.data.transitions import COLUMNS
from worldrex.runs import RunError

Call = Callable[..., Words]


def two_logs(folder: Path) -> list[Path]:
    """A Parquet file of two behaviors and a CSV file without next_obs by one of them and a third; both number from 0."""
    first = make_log(behaviors=2, names=("pid", "mpc"))
    first.save(folder / "first.parquet")
    second = make_log(behaviors=2, names=("mpc", "manual"), seed=1)
    columns = with_last_frames(second) | {
        "behavior": np.array(second.behavior_names)[with_last_frames(second)["behavior"]]
    }
    text(columns, folder).rename(folder / "second.csv")
    return [folder / "first.parquet", folder / "second.csv"]


def same(one: Transitions, other: Transitions) -> bool:
    types = [getattr(log, name).dtype for name in COLUMNS for log in (one, other)]
    return (one.behavior_names, one.checksum()) == (other.behavior_names, other.checksum()) and types[::2] == types[
        1::2
    ]


def test_a_converted_log_is_what_its_logs_are(call: Call, tmp_path: Path) -> None:
    paths, out = two_logs(tmp_path), tmp_path / "converted"
    code, told, err = call("convert", *paths, "--out", out)
    assert (code, err) == (0, "")
    expected = load(*paths)
    assert expected.behavior_names == ("pid", "mpc", "manual")
    lines = told.splitlines()
    assert lines[0] == "convert  2 logs, one after the other"
    assert lines[1] == f"         {paths[0]}: Parquet, 120 records"
    assert "CSV, 120 records, 6 steps dropped" in lines[2]
    assert lines[3] == f"wrote    {out}, 240 records"
    converted = load(out)
    assert same(converted, expected)
    assert len(maps_of(converted)) == len(TYPES), "nothing is read before it is used"
    assert not converted.obs.flags.writeable
    assert {path.name for path in out.iterdir()} == {"columns.json", *(f"{name}.npy" for name in TYPES)}
    code, told, err = call("describe", out)
    assert (code, err) == (0, "")
    assert told.startswith(f"read     {out}: a converted log, used where it lies, 240 records\n")


def test_what_says_the_behaviors_is_said_to_convert(call: Call, tmp_path: Path) -> None:
    for number, name in enumerate(["run-pid-1", "run-mpc-1", "run-pid-2"]):
        data = make_log(behaviors=1, seed=number)
        np.savez(tmp_path / name, **{column: getattr(data, column) for column in COLUMNS if column != "behavior"})
    paths = sorted(tmp_path.glob("*.npz"))
    code, _, err = call("convert", *paths, "--behavior-pattern", r"run-(\w+)-\d", "--out", tmp_path / "a")
    assert code == 0, err
    assert load(tmp_path / "a").behavior_names == ("mpc", "pid")
    assert same(load(tmp_path / "a"), load(*paths, options=LoadOptions(behavior_pattern=r"run-(\w+)-\d")))
    code, _, err = call("describe", tmp_path / "a", "--behavior-cycle", "2")
    assert code == 2
    assert "used where it lies on disk, and there came behavior_cycle" in err
    code, _, err = call("convert", *paths, "--action-high", "0", "--out", tmp_path / "b")
    assert code == 2
    assert "values outside" in err
    assert not (tmp_path / "b").exists()


def test_a_converted_log_grows_by_converting_it_again(call: Call, tmp_path: Path) -> None:
    paths = two_logs(tmp_path)
    assert call("convert", paths[0], "--out", tmp_path / "a")[0] == 0
    code, told, err = call("convert", tmp_path / "a", paths[1], "--out", tmp_path / "b")
    assert (code, err) == (0, "")
    assert f"{tmp_path / 'a'}: a converted log, used where it lies, 120 records" in told
    assert same(load(tmp_path / "b"), load(*paths))
    code, _, err = call("convert", tmp_path / "a", "--behavior-cycle", "2", "--out", tmp_path / "c")
    assert code == 2
    assert "there came behavior_cycle" in err


def test_json(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "converted"
    code, told, err = call("convert", *two_logs(tmp_path), "--out", out, "--json")
    assert code == 0
    assert strict_json(told) == {"format": 1, "kind": "convert", "records": 240, "path": str(out)}
    assert "wrote" in err


@pytest.mark.parametrize("taken", ["a folder", "a file"])
def test_nothing_is_overwritten(call: Call, tmp_path: Path, taken: str) -> None:
    paths, out = two_logs(tmp_path), tmp_path / "converted"
    if taken == "a file":
        out.write_text("mine")
    else:
        assert call("convert", paths[0], "--out", out)[0] == 0
    before = files_of(tmp_path)
    code, told, err = call("convert", *paths, "--out", out)
    assert (code, err) == (2, f"worldrex convert: {out} exists and is never overwritten. Choose another --out.\n")
    assert "CSV" not in told, "nothing is read first"
    assert files_of(tmp_path) == before


def test_logs_of_other_widths(call: Call, tmp_path: Path) -> None:
    paths = two_logs(tmp_path)
    make_log(obs=4).save(tmp_path / "wide.parquet")
    before = files_of(tmp_path)
    code, _, err = call("convert", *paths, tmp_path / "wide.parquet", "--out", tmp_path / "converted")
    assert code == 2
    assert err == (
        "worldrex convert: log 3 has obs and action of widths (4, 2), the first one (3, 2). worldrex needs the same columns "
        "everywhere: write together only logs of the same system.\n"
    )
    assert_nothing_new(tmp_path, before)


def test_a_log_with_errors(call: Call, tmp_path: Path) -> None:
    paths, data = two_logs(tmp_path), make_log()
    data.reward[5] = np.nan
    data.save(tmp_path / "broken.parquet")
    before = files_of(tmp_path)
    code, _, err = call("convert", *paths, tmp_path / "broken.parquet", "--out", tmp_path / "converted")
    assert code == 2
    assert "reward has 1 NaN value" in err
    assert_nothing_new(tmp_path, before)


def test_a_folder_that_is_not_there(call: Call, tmp_path: Path) -> None:
    code, told, err = call("convert", *two_logs(tmp_path), "--out", tmp_path / "no" / "converted")
    assert code == 2
    assert f"cannot write {tmp_path / 'no' / 'converted'}: No such file or directory. Nothing was changed there" in err
    assert "CSV" not in told


def test_a_disk_that_is_full_at_the_end(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    paths = two_logs(tmp_path)
    before = files_of(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    code, _, err = call("convert", *paths, "--out", tmp_path / "converted")
    assert code == 2
    assert f"cannot write {tmp_path / 'converted'}: No space left on device. Nothing was changed there" in err
    assert_nothing_new(tmp_path, before)


def test_a_disk_that_is_full_in_the_middle(call: Call, tmp_path: Path, disk_of: Callable[[int], Path]) -> None:
    disk = disk_of(64)
    make_log(episodes=40, steps=50).save(tmp_path / "long.parquet")
    code, _, err = call("convert", tmp_path / "long.parquet", "--out", disk / "converted")
    assert code == 2
    assert f"cannot write {disk / 'converted'}: " in err
    assert "on a disk with room." in err
    assert list(disk.iterdir()) == []


def test_ctrl_c_in_the_middle(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from worldrex.data import readers

    written: list[int] = []

    def interrupt(data: Transitions, **_: object) -> None:
        written.append((tmp_path / ".converted.unfinished" / "records.npy").stat().st_size)
        if len(written) == 2:
            raise KeyboardInterrupt

    paths = two_logs(tmp_path)
    before = files_of(tmp_path)
    monkeypatch.setattr(readers, "require_valid", interrupt)
    code, _, err = call("convert", *paths, "--out", tmp_path / "converted")
    assert (code, err) == (130, "worldrex convert: interrupted.\n")
    assert written == [0, 256 + 120 * 9 * 4], "the first log is on disk before the second one is read"
    assert_nothing_new(tmp_path, before)


def test_what_a_killed_process_left_is_no_log_and_no_hindrance(call: Call, tmp_path: Path) -> None:
    paths, left = two_logs(tmp_path), tmp_path / ".converted.unfinished"
    left.mkdir()
    (left / "records.npy").write_bytes(b"half")
    assert call("convert", *paths, "--out", tmp_path / "converted")[0] == 0
    assert not left.exists()
    assert same(load(tmp_path / "converted"), load(*paths))


def assert_nothing_new(folder: Path, before: dict[str, bytes]) -> None:
    assert files_of(folder) == before
    assert not [path for path in folder.iterdir() if path.is_dir()]


def test_from_python(tmp_path: Path) -> None:
    parts = [make_log(seed=seed) for seed in range(3)]
    assert write_mapped(iter(parts), tmp_path / "log") == 360
    data = read_mapped(tmp_path / "log")
    np.testing.assert_array_equal(data.next_obs, np.concatenate([part.next_obs for part in parts]))
    np.testing.assert_array_equal(np.unique(data.episode), np.arange(18))
    for path in (tmp_path / "log").glob("*.npy"):
        with open(path, "rb") as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            assert file.tell() % 64 == 0, "values begin where array libraries want them"
    with pytest.raises(DataError, match="no records to write"):
        write_mapped([], tmp_path / "none")
    with pytest.raises(RunError, match="exists and is never overwritten"):
        write_mapped(parts, tmp_path / "log")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log"]
