from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.program import Words, strict_json
from worldrex import stages, tasks
from worldrex.data import CollectConfig, collect
from worldrex.dynamics import FitConfig, Progress, Run, fit
from worldrex.evaluation import action_slope, output_scale


def test_crossval_tells_how_it_stands_for_who_watches(
    call: Callable[..., Words], logs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(*_: object, report: Callable[..., None], **__: Any) -> None:
        runs = [Run("variance", weight, True, (left_out,), 0) for weight in (10.0, 0.0) for left_out in (0, 1)]
        # The log names four behaviors and holds two; a run tells nothing of the one that it leaves out.
        risks = np.full((4, 4), np.nan, np.float32)
        risks[:, :2] = [[np.nan, 1], [3, np.nan], [np.nan, 5], [7, np.nan]]
        whole = np.array([1, 2, 3, 4], np.float32)
        counts = np.ones(4, np.int64)
        report(Progress(500, 2000, whole, risks, 10 * whole, counts, counts), runs)
        raise KeyboardInterrupt

    monkeypatch.setattr("worldrex.commands.crossval.crossval", begun)
    code, _, err = call("crossval", logs["two"], "--out", tmp_path / "out")
    assert code == 130, err
    lines = [strict_json(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [(line["weight"], line["step"], line["total"]) for line in lines] == [(0.0, 500, 2000), (10.0, 500, 2000)]
    assert [list(line["holdout_risk"].values()) for line in lines] == [[7, 5], [3, 1]]
    assert [(line["train_risk"], line["holdout_penalty"]) for line in lines] == [(3.5, 35), (1.5, 15)]
    code, out, _ = call("watch", tmp_path / "out")
    assert code == 0
    assert "step 500 of 2,000 (25 %)" in out
    assert "| weight 10: ignores the gust 3, compensates a quarter 1, penalty 15" in out
    assert "crossval interrupted at the stage crossval" in out


def test_the_slope_told_is_of_what_a_gust_moves_most_in_the_direction_that_answers_gusts() -> None:
    task = replace(tasks.task("gusty-hopper"), slope_records=50)
    data = collect(CollectConfig(task=task.name, behaviors="unlogged", steps_per_behavior=60))
    model = fit(data, FitConfig(members=1, elites=1, hidden=(4,), batch=8, warmup_steps=1, steps=2))
    told = stages._slopes(task, data, output_scale(data), {"untrained": model})
    assert (told["action"], told["output"]) == ("thigh + leg", "speed")
    speed, some = task.output_names.index("speed"), data.rows(np.unique(np.linspace(0, 179, 50).astype(np.int64)))
    for name, slope in (
        ("truth", tasks.true_slope(task, some.obs, some.action).mean(0)), ("untrained", action_slope(model, some))
    ):  # fmt: skip
        assert told[name] == pytest.approx(slope[speed, :2].sum() * 0.5**0.5)
