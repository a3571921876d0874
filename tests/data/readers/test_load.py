"""What every reader does: one contract for all formats."""

import contextlib
import os
from pathlib import Path

import numpy as np
import pytest

from tests.data.logs import make_log
from tests.data.test_transitions import assert_identical
from worldrex.data.readers import load, load_unchecked
from worldrex.data.transitions import COLUMNS, DataError, Transitions


def write_parquet(data: Transitions, path: Path) -> None:
    data.save(path)


def write_npz(data: Transitions, path: Path) -> None:
    with open(path, "wb") as file:
        np.savez_compressed(
            file,
            behavior_names=np.array(data.behavior_names),
            allow_pickle=False,
            **{name: getattr(data, name) for name in COLUMNS},
        )


WRITERS = [write_parquet, write_npz]
every_format = pytest.mark.parametrize("write", WRITERS)


@every_format
def test_reads_what_was_written_whatever_the_file_is_called(write, tmp_path):
    data = make_log(behaviors=3)
    write(data, tmp_path / "log.txt")
    assert_identical(load(tmp_path / "log.txt"), data)
    assert_identical(load(str(tmp_path / "log.txt")), data)


@every_format
def test_records_taken_out_read_back_as_they_are(write, tmp_path):
    data = make_log(behaviors=3, names=("a", "b", "nobody"))
    some = data.rows(np.flatnonzero(np.isin(data.episode, [1, 4])))
    write(some, tmp_path / "log")
    assert_identical(load(tmp_path / "log"), some)


@every_format
@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_says_which_and_what_to_do(write, part, tmp_path):
    write(make_log(), tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match=r"cut\.npz' (is truncated or damaged|is empty \(0 bytes\)).*export it again"):
        load(tmp_path / "cut.npz")


@every_format
def test_flipped_bytes_end_in_one_error_or_in_data(write, tmp_path):
    write(make_log(), tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(content)
        for place in rng.integers(8, len(content), rng.integers(1, 4)):
            broken[place] ^= 1 << rng.integers(8)
        (tmp_path / "broken").write_bytes(broken)
        with contextlib.suppress(DataError):
            load(tmp_path / "broken")


@every_format
def test_values_are_checked_unless_asked_not_to_be(write, tmp_path):
    data = make_log()
    data.reward[7] = np.nan
    write(data, tmp_path / "log")
    with pytest.raises(DataError, match=r"log' cannot be used.*\n- reward has 1 NaN value \(first at row 7 of 120\)"):
        load(tmp_path / "log")
    assert np.isnan(load_unchecked(tmp_path / "log").reward[7])


@every_format
def test_hostile_names_stay_names(write, tmp_path):
    names = ("[red]x", "<script>alert(1)</script>", "two\nlines", "../../up", "n" * 10_000, "", "\udc80 操")
    data = make_log(behaviors=len(names), names=names)
    write(data, tmp_path / "log")
    assert load(tmp_path / "log").behavior_names == names


def test_several_files_are_joined_and_called_by_their_stems(tmp_path):
    data = make_log(behaviors=1, episodes=2, steps=5)
    for name in ("slow.npz", "fast.npz"):
        columns = {column: getattr(data, column) for column in COLUMNS if column != "behavior"}
        np.savez(tmp_path / name, **columns, allow_pickle=False)
    both = load(tmp_path / "slow.npz", tmp_path / "fast.npz")
    assert both.behavior_names == ("slow", "fast")
    assert list(np.unique(both.episode)) == [0, 1, 2, 3]
    cycle = load(tmp_path / "slow.npz", tmp_path / "fast.npz", behavior_cycle=2)
    assert cycle.behavior_names == ("behavior 0", "behavior 1")
    assert list(cycle.behavior[::5]) == [0, 1, 0, 1]


def test_files_of_the_same_stem_are_told_apart_by_their_folders(tmp_path):
    data = make_log(behaviors=1)
    for folder in ("monday", "tuesday"):
        (tmp_path / folder).mkdir()
        np.savez(
            tmp_path / folder / "log.npz", obs=data.obs, action=data.action, reward=data.reward, next_obs=data.next_obs,
            truncated=data.truncated,
        )  # fmt: skip
    names = load(tmp_path / "monday" / "log.npz", tmp_path / "tuesday" / "log.npz").behavior_names
    assert names == ("monday/log", "tuesday/log")


def test_what_cannot_be_opened_or_recognized(tmp_path):
    with pytest.raises(DataError, match="no file was given"):
        load()
    with pytest.raises(DataError, match="No such file"):
        load(tmp_path / "nothing.npz")
    with pytest.raises(DataError, match="a folder with nothing, and neither Parquet files nor a Minari or LeRobot"):
        load(tmp_path)
    (tmp_path / "notes.npz").write_text("dear diary,\nit rained\n")
    with pytest.raises(DataError, match="none of what worldrex reads: Parquet, CSV, NPZ"):
        load(tmp_path / "notes.npz")
    make_log().save(tmp_path / "log")
    with pytest.raises(DataError, match="given 2 times"):
        load(tmp_path / "log", tmp_path / "." / "log")


def test_logs_of_different_systems_are_not_joined(tmp_path):
    make_log(obs=3).save(tmp_path / "a")
    make_log(obs=4).save(tmp_path / "b")
    with pytest.raises(DataError, match="same columns everywhere"):
        load(tmp_path / "a", tmp_path / "b")


def test_names_that_are_no_files_of_logs(tmp_path):
    os.mkfifo(tmp_path / "fifo")  # opening it would wait for a writer
    with pytest.raises(DataError, match="neither a file nor a folder"):
        load(tmp_path / "fifo")
    for name in ("x" * 5000, "minari:" + "x" * 5000, "a\0b"):
        with pytest.raises(DataError, match=r"File name too long|no Minari data set|NUL"):
            load(name)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(DataError, match="Too many levels of symbolic links"):
        load(tmp_path / "loop")
