import pytest

from tests.watch.made_up import BEHAVIORS, START, reports
from worldrex.watch.standing import standing
from worldrex.watch.words import line


def test_the_stage_that_reported_last_with_its_pace_and_time_left() -> None:
    records = reports([500, 1000], weights=(0.0, 10.0)) + reports([500, 1000, 2000])
    here = standing(records)
    assert here is not None
    assert (here.stage, here.step, here.total) == ("fit", 2000, 6000)
    assert [series.name for series in here.series] == ["ERM", "penalized", "plain penalty"]
    assert here.behaviors == BEHAVIORS
    assert here.series[0].risks[BEHAVIORS[1]] == pytest.approx([2 + 100 / 501, 2 + 100 / 1001, 2 + 100 / 2001])
    assert here.series[2].penalty == [0.25] * 3
    assert here.steps_per_second == pytest.approx(100)
    # 40 s for 4,000 steps; the clock runs on between reports, and never below zero.
    assert here.seconds_left(START + 20) == pytest.approx(40)
    assert here.seconds_left(START + 30) == pytest.approx(30)
    assert here.seconds_left(START + 1000) == 0


def test_weights_are_told_apart() -> None:
    here = standing(reports([500], weights=(0.0, 0.5, 100.0)))
    assert here is not None
    assert [series.name for series in here.series] == ["weight 0", "weight 0.5", "weight 100"]


def test_a_pause_before_a_run_was_resumed_does_not_slow_it_down() -> None:
    records = reports([500, 1000, 1500])
    later = [record | {"time": record["time"] + 86_400} for record in reports([2000, 2500, 3000])]
    here = standing([*records, *later])
    assert here is not None
    assert here.steps_per_second == pytest.approx(100)


def test_only_recent_reports_set_the_pace() -> None:
    slow = reports(range(500, 5001, 500), pace=10.0)
    fast = [
        record | {"time": slow[-1]["time"] + (record["step"] - 5000) / 100}
        for record in reports(range(5500, 9001, 500), total=9000)
    ]
    here = standing([*slow, *fast])
    assert here is not None
    assert here.steps_per_second == pytest.approx(100)


def test_folders_of_before_times_and_totals_were_logged() -> None:
    old = [
        {key: value for key, value in record.items() if key not in ("time", "total")} for record in reports([500, 1000])
    ]
    here = standing(old)
    assert here is not None
    assert (here.step, here.total, here.time, here.steps_per_second) == (1000, None, None, None)
    assert here.seconds_left(START) is None
    assert here.silent(START + 1e6) is None


def test_behaviors_that_come_late_or_are_null_leave_gaps() -> None:
    first, second, third = reports([500, 1000, 1500])[::3]
    first["holdout_risk"] = {"a": 1.0}
    second["holdout_risk"] = {"a": None, "b": 2.0}
    third["holdout_risk"] = None
    here = standing([first, second, third])
    assert here is not None
    assert here.series[0].risks == {"a": [1.0, None, None], "b": [None, 2.0, None]}


def test_a_long_silence_is_noticed_unless_the_stage_is_done() -> None:
    here = standing(reports([500, 1000]))
    assert here is not None
    assert here.silent(START + 10 + 59) is None
    assert here.silent(START + 10 + 61) == pytest.approx(61)
    done = standing(reports([5500, 6000]))
    assert done is not None
    assert done.silent(START + 1e6) is None
    slow = standing(reports([500, 1000], pace=1.0))
    assert slow is not None
    assert slow.silent(START + 1000 + 4999) is None  # ten times 500 s
    single = standing(reports([500]))
    assert single is not None
    assert single.silent(START + 5 + 599) is None
    assert single.silent(START + 5 + 601) == pytest.approx(601)


def test_policies_are_told_apart_by_their_seed_with_what_they_promise() -> None:
    shared = {"stage": "optimize", "step": 5000, "total": 10_000, "model": "erm"}
    found = standing([shared | {"seed": seed, "model_return": -60.0 - seed, "uncertainty": 0.5} for seed in (0, 1)])
    assert found is not None
    assert [one.name for one in found.series] == ["ERM, seed 0", "ERM, seed 1"]
    assert [one.totals["return promised"] for one in found.series] == [[-60], [-61]]
    assert line(found, 0).endswith("| ERM, seed 0: return promised -60 | ERM, seed 1: return promised -61")


def test_no_record_is_no_standing() -> None:
    assert standing([]) is None
