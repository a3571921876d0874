"""The flags that say how logs are read, through the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.data.readers.formats import d4rl, npy, small_log, text, with_last_frames
from tests.program import Words
from worldrex.data.transitions import COLUMNS

Call = Callable[..., Words]


def columns() -> dict[str, np.ndarray]:
    return {name: getattr(small_log(), name) for name in COLUMNS}


def test_describe_says_what_it_took_a_log_for(call: Call, tmp_path: Path) -> None:
    path = d4rl(with_last_frames(small_log()), tmp_path)
    code, out, err = call("describe", path)
    assert (code, err) == (0, "")
    assert out.startswith(f"read     {path}: D4RL HDF5, 60 records, 12 steps dropped (the last of their episode")
    assert json.loads(call("describe", path, "--json")[1])["records"] == 60


def test_each_flag(call: Call, tmp_path: Path) -> None:
    def behaviors(*words: str | Path) -> list[str]:
        code, out, err = call("describe", *words, "--json")
        assert code == 0, err
        return [behavior["name"] for behavior in json.loads(out)["behaviors"]]

    (tmp_path / "a").mkdir()
    matrix = npy(columns(), tmp_path / "a")
    assert len(behaviors(matrix, "--obs-dims", "3", "--action-dims", "2")) == 3
    labeled = columns()
    labeled["pilot"] = labeled.pop("behavior")
    path = text(labeled, tmp_path)
    assert behaviors(path) == ["log"]
    assert behaviors(path, "--behavior-column", "pilot") == ["behavior 0", "behavior 1", "behavior 2"]
    assert behaviors(path, "--behavior-cycle", "2") == ["behavior 0", "behavior 1"]
    assert behaviors(path, "--behavior-pattern", "^(l)") == ["l"]
    (tmp_path / "who.csv").write_text("episode,behavior\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(12)))
    assert behaviors(path, "--behaviors", tmp_path / "who.csv") == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (
            ["--behavior-cycle", "2", "--behavior-pattern", "x"],
            ["behavior_cycle (2) and behavior_pattern (x)", "one of them"],
        ),
        (["--behavior-column", "pilto"], ["no column 'pilto'", "'pilot'"]),
    ],
)
def test_flags_that_cannot_be_used(call: Call, words: list[str], parts: list[str], tmp_path: Path) -> None:
    labeled = columns()
    labeled["pilot"] = labeled.pop("behavior")
    code, out, err = call("describe", text(labeled, tmp_path), *words)
    assert (code, out) == (2, "")
    assert not [part for part in parts if part not in err], err


@pytest.mark.parametrize("verb", ["run", "fit", "crossval"])
def test_an_unfinished_run_goes_on_with_the_same_flags_only(
    call: Call, logs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place in ("worldrex.pipeline._describe", "worldrex.commands.crossval.crossval", "worldrex.commands.fit.fit"):
        monkeypatch.setattr(place, fail)
    words = [verb, *(["--data"] if verb == "run" else []), logs["logged"], "--out", tmp_path / "out"]
    assert call(*words)[0] == 130
    config = json.loads((tmp_path / "out" / "config.json").read_text())["config"]
    assert config["behavior_cycle"] is None  # as in folders of before there were more flags
    assert not {"behavior_pattern", "behaviors", "behavior_column", "obs_dims", "action_dims"} & set(config)
    code, _, err = call(*words, "--behavior-column", "behavior")
    assert code == 2
    assert "other settings (behavior_column" in err
    code, out, _ = call(*words)
    assert code == 130
    assert f"read     {logs['logged']}: Parquet, 800 records\n" in out
