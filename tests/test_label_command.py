import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.data.logs import make_log
from tests.data.test_label import GAINS, controlled
from tests.program import Words, files_of, strict_json
from worldrex.data import Transitions, agreement, load
from worldrex.runs import RunError

Call = Callable[..., Words]


def unlabeled(path: Path, gains: np.ndarray = GAINS) -> tuple[Path, np.ndarray]:
    """An NPZ file without labels whose episodes are numbered from 5, and who logged each record."""
    data = controlled(gains)
    columns = {name: getattr(data, name) for name in ("obs", "action", "reward", "next_obs", "truncated")}
    np.savez(path, **columns, episode=data.episode + 5)
    return path, data.behavior


def test_the_labeled_log_and_the_list_say_the_same(call: Call, tmp_path: Path) -> None:
    log, true = unlabeled(tmp_path / "log.npz")
    out = tmp_path / "labeled.parquet"
    code, text, err = call("label", log, "--out", out)
    assert (code, err) == (0, "")
    assert "held-out log-likelihood" in text
    assert "no evidence" not in text
    labeled = load(out)
    assert labeled.num_behaviors == 3
    assert agreement(labeled.behavior.astype(np.int64), true.astype(np.int64)) == 1
    listed = tmp_path / "labeled.csv"
    with open(listed, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["episode"] for row in rows[:2]] == ["5", "6"]
    assert abs(sum(float(rows[0][f"posterior of behavior {k}"]) for k in range(3)) - 1) < 1e-5
    code, text, err = call("describe", log, "--behaviors", listed, "--json")
    assert code == 0, err
    assert [behavior["episodes"] for behavior in strict_json(text)["behaviors"]] == [20, 20, 20]


def test_nothing_is_overwritten(call: Call, tmp_path: Path) -> None:
    log, _ = unlabeled(tmp_path / "log.npz")
    (tmp_path / "a.csv").write_text("mine")
    for out, message in (("a.parquet", "a.csv exists and is never overwritten"), ("b.csv", "say .parquet")):
        code, _, err = call("label", log, "--out", tmp_path / out)
        assert code == 2
        assert message in err
    assert (tmp_path / "a.csv").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "log.npz"]


def test_one_behavior_is_said_plainly_and_as_json(call: Call, tmp_path: Path) -> None:
    log, _ = unlabeled(tmp_path / "log.npz", GAINS[:1].repeat(3, 0))
    code, text, err = call("label", log, "--out", tmp_path / "one.parquet", "--json")
    assert code == 0, err
    assert "There is no evidence for more than one behavior." in err
    assert strict_json(text)["several"] is False
    code, text, err = call("label", log, "--out", tmp_path / "two.parquet", "--num-behaviors", "2", "--json")
    assert code == 0, err
    assert "There is no evidence for more than one behavior." in err


def test_labels_that_a_log_has_do_not_matter(call: Call, tmp_path: Path) -> None:
    data = controlled()
    replace(data, behavior=np.roll(data.behavior, 30)).save(tmp_path / "log.parquet")
    code, _, err = call("label", tmp_path / "log.parquet", "--out", tmp_path / "out.parquet")
    assert code == 0, err
    assert agreement(load(tmp_path / "out.parquet").behavior.astype(np.int64), data.behavior.astype(np.int64)) == 1


def test_a_list_of_named_episodes_is_for_the_labeled_log_only(call: Call, tmp_path: Path) -> None:
    data = controlled(episodes=3)
    columns = {name: getattr(data, name) for name in ("obs", "action", "reward", "next_obs", "truncated")}
    np.savez(tmp_path / "log.npz", **columns, episode=np.array([f"run-{number}" for number in 9 - data.episode]))
    code, _, err = call("label", tmp_path / "log.npz", "--num-behaviors", "3", "--out", tmp_path / "out.parquet")
    assert code == 0, err
    labeled = load(tmp_path / "out.parquet")
    with open(tmp_path / "out.csv", encoding="utf-8") as file:
        rows = {int(row["episode"]): row["behavior"] for row in csv.DictReader(file)}
    assert list(rows) == list(dict.fromkeys(labeled.episode.tolist())), "in the log's order"
    assert rows[int(labeled.episode[0])] == labeled.behavior_names[labeled.behavior[0]]
    assert labeled.episode[0] == 8, "'run-9' is the last of the names"
    code, _, err = call("describe", tmp_path / "log.npz", "--behaviors", tmp_path / "out.csv")
    assert code == 2
    assert "has no behavior for 9 episodes" in err


def test_both_files_or_none(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_log(behaviors=2).save(tmp_path / "log.parquet")
    before = files_of(tmp_path)

    def full(*_: object) -> None:
        raise RunError("cannot write: no space left")

    monkeypatch.setattr(Transitions, "save", full)
    code, out, err = call(
        "label", tmp_path / "log.parquet", "--out", tmp_path / "labeled.parquet", "--num-behaviors", 1
    )
    assert (code, files_of(tmp_path)) == (2, before)
    assert "no space left" in err
    assert "the log names its behaviors" in out
