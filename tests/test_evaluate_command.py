from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.dynamics.gust import gust_log
from tests.dynamics.made_up import linear_model
from tests.evaluation.test_returns import policy_of
from tests.evaluation.toys import LINEAR_ID
from tests.program import Words, files_of, state_of, strict_json
from worldrex import tasks
from worldrex.evaluation import reality_of_task
from worldrex.evaluation.episodes import seed_of_first

Call = Callable[..., Words]
GUSTY = ("--task", "gusty-pendulum", "--episodes", "4")
STILL = np.zeros((4, 4))
"""A model in which the pendulum stands still and every reward is 0."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with a policy, and one with a model in which nothing moves."""
    policy_of(3, limit=3.0).save(tmp_path / "mine" / "policy")
    linear_model(STILL, STILL, std=1e-6).save(tmp_path / "still")
    return tmp_path


def test_the_table_the_summary_and_the_json_say_the_same(call: Call, folder: Path) -> None:
    out = folder / "out"
    words = (folder / "mine", *GUSTY, "--model", folder / "still", "--reference", "-250", "-50", "--out", out, "--json")
    code, text, err = call("evaluate", *words)
    assert code == 0, err
    summary = strict_json(text)
    assert summary == strict_json((out / "summary.json").read_text())
    assert state_of(out) == {"state": "finished", "stage": "evaluate"}
    config = strict_json((out / "config.json").read_text())
    assert config["config"]["reference"] == [-250, -50]
    assert (summary["kind"], summary["task"], summary["episodes"]) == ("evaluate", "gusty-pendulum", 4)
    (entry,) = summary["policies"]
    told = entry["deterministic"]
    assert entry["path"] == str(folder / "mine")
    assert told["normalized"]["value"] == pytest.approx((told["return"]["value"] + 250) / 2)
    assert told["promised"]["value"] == pytest.approx(0, abs=0.01)
    assert told["gap"]["value"] == pytest.approx(-told["mean"]["value"], abs=0.01)
    assert f"{told['return']['value']:.0f} [{told['return']['low']:.0f}, {told['return']['high']:.0f}]" in err
    assert "Score: 0 at -250, 100 at -50.0." in err
    assert f"the model promises {told['gap']['value']:.0f} too much" in err
    assert "100 % of the return" in err
    assert "the best logged behavior" in err
    assert [line.split()[:1] for line in err.splitlines()].count(["<"]) == 1
    assert "not bounded by the log" in err


def test_the_table_fits_a_terminal_of_80_columns(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = (
        folder / "mine",
        *GUSTY,
        "--model",
        folder / "still",
        "--reference",
        "-250",
        "-50",
        "--out",
        folder / "out",
    )
    code, text, err = call("evaluate", *words)
    assert (code, err) == (0, "")
    rows = [line for line in text.splitlines() if "[-" in line and not line.startswith(("promise", "best"))]
    assert len(rows) > 7
    assert all(len(line) <= 80 for line in rows)
    assert "do nothing" in text


def test_any_registered_environment_and_several_policies(call: Call, tmp_path: Path) -> None:
    for seed in range(2):
        policy_of(2, seed=seed).save(tmp_path / f"seed-{seed}")
    gust_log(3).save(tmp_path / "log.parquet")
    env = ("--env", f"tests.evaluation.toys:{LINEAR_ID}", "--episode-steps", "5", "--episodes", "3")
    code, text, err = call(
        "evaluate", tmp_path / "seed-0", tmp_path / "seed-1", *env, "--data", tmp_path / "log.parquet",
        "--cloning-steps", "20", "--out", tmp_path / "out",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "all together" in text
    assert "operator 3" in text
    assert "behavior cloning" in text
    summary = strict_json((tmp_path / "out" / "summary.json").read_text())
    assert summary["all"]["stochastic"]["episodes"] == 6
    assert summary["episode_steps"] == 5
    assert summary["task"] is None
    # A logged episode is longer, and a policy of a wider action space than the environment's would be cut off.
    assert "a logged episode has up to" in text
    assert "the policy's actions reach" not in text


def test_actions_that_the_environment_cuts_off_are_told(call: Call, tmp_path: Path) -> None:
    policy_of(2, limit=30.0).save(tmp_path / "wide")
    env = ("--env", f"tests.evaluation.toys:{LINEAR_ID}", "--episode-steps", "5", "--episodes", "2")
    code, text, _ = call("evaluate", tmp_path / "wide", *env, "--out", tmp_path / "out")
    assert code == 0
    assert "the policy's actions reach from -30 to 30" in " ".join(text.split())


def test_bad_input_is_one_message_and_leaves_nothing(call: Call, folder: Path) -> None:
    mine, out = folder / "mine", folder / "out"
    model_that_sees_other = folder / "other"
    linear_model(np.zeros((3, 3))).save(model_that_sees_other)
    (folder / "there.gif").write_bytes(b"mine")
    before = files_of(folder)
    mountain = ("--env", "MountainCarContinuous-v0", "--episodes", "2")
    policy_of(2, limit=1.0).save(folder.parent / "car")
    for words, message in (
        ((mine,), "give --task NAME (gusty-pendulum, plain-pendulum, gusty-reacher, "),
        ((mine, *GUSTY, "--env", "Pendulum-v1"), "one of the two"),
        ((mine, "--task", "gusty-pendulm"), "did you mean 'gusty-pendulum'"),
        ((mine, "--env", "Nowhere-v0"), "'Nowhere-v0' cannot be made"),
        ((mine, *GUSTY, "--episode-steps", "3"), "--episode-steps goes with --env"),
        ((mine, "--task", "gusty-pendulum", "--episodes", "1"), "episodes is 1"),
        ((mine, *GUSTY, "--reference", "3", "2"), "reference is 3 and 2"),
        ((folder / "still", *GUSTY), "holds no policy"),
        ((mine, *GUSTY, "--model", mine), "holds no model"),
        ((mine, *GUSTY, "--model", model_that_sees_other), "the model was fitted on obs of 2"),
        ((mine, *GUSTY, "--behavior-cycle", "2"), "go with --data"),
        ((mine, *GUSTY, "--cloning-steps", "-1"), "cloning_steps is -1"),
        ((mine, "--env", "CartPole-v1"), "observations of CartPole-v1"),
        ((mine, *GUSTY, "--render", folder / "film.mp4"), "not called .gif"),
        ((mine, *GUSTY, "--render", folder / "there.gif"), "exists and is never overwritten"),
        ((mine, *GUSTY, "--out", mine), "is not a run folder"),
    ):
        code, text, err = call("evaluate", *words, *(() if "--out" in words else ("--out", out)))
        assert (code, text) == (2, ""), err
        assert message in err
        assert err.count("\n") == 1
    code, _, err = call(
        "evaluate", folder.parent / "car", *mountain, "--model", model_that_sees_other, "--render", folder / "a.gif", "--out", out
    )  # fmt: skip
    assert code == 2
    assert "Leave --model away to film reality alone" in err
    assert files_of(folder) == before


def frames_of(path: Path) -> np.ndarray:
    from PIL import Image

    frames = []
    with Image.open(path) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB"), np.int16))
    return np.stack(frames)


def dark_red(frames: np.ndarray) -> np.ndarray:
    """Where the rod is."""
    return (frames[..., 0] > 150) & (frames[..., 1] < 130)


def test_the_film_shows_reality_and_beside_it_the_model(call: Call, folder: Path) -> None:
    pytest.importorskip("pygame", reason="the pendulum is drawn by pygame: pip install 'worldrex[render]'")
    gif = folder / "film.gif"
    code, text, err = call(
        "evaluate", folder / "mine", *GUSTY, "--model", folder / "still", "--render", gif, "--out", folder / "out"
    )
    assert (code, err) == (0, "")
    assert f"wrote    {gif}" in text
    rod = dark_red(frames_of(gif))
    assert len(rod) == 41
    real, model = rod[:, :, :300], rod[:, :, 304:]
    assert (real[0] != real[20]).mean() > 0.01
    assert (model[0] != model[20]).mean() < 0.005, "in this model nothing moves"
    obs, _ = reality_of_task(tasks.task("gusty-pendulum")).make().reset(seed=seed_of_first(0))
    for first in (real[0], model[0]):
        assert np.cos(rod_angle(first) - np.arctan2(obs[1], obs[0])) > 0.99


def rod_angle(rod: np.ndarray) -> float:
    """From the axle to the middle of the rod; counterclockwise from upright, as the pendulum has it."""
    rows, columns = np.nonzero(rod)
    axle_row, axle_column = 40 + 150, rod.shape[1] / 2
    return float(np.arctan2(axle_column - columns.mean(), axle_row - rows.mean()))
