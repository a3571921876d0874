from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.program import Words, strict_json
from worldrex.dynamics import Progress, Run


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
