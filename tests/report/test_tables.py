from typing import Any

import pytest

from tests.report.made_up_runs import summary_of_gusty, summary_of_pipeline
from worldrex.report import tables, weights
from worldrex.report.key_numbers import key_numbers
from worldrex.report.tables import Estimate


def test_models_are_erm_chosen_and_plain() -> None:
    named = tables.models(summary_of_gusty())
    assert [(model.key, model.name) for model in named] == [("erm", "ERM"), ("chosen", "chosen"), ("plain", "plain")]
    assert named[1].description == "debiased variance, weight 100"


def test_where_erm_is_chosen_the_candidate_stands_beside_it() -> None:
    named = tables.models(summary_of_pipeline())
    assert [model.key for model in named] == ["erm", "penalized"]
    assert named[0].description == "no penalty; chosen"
    assert named[1].description == "debiased variance, weight 1"


def test_key_numbers_with_a_noise_floor() -> None:
    error, left_out, slope, _ = key_numbers(summary_of_gusty())
    assert [(model.key, text) for model, text in error.values] == [("erm", "2.95×"), ("chosen", "1.04×")]
    assert error.note == "leans with the gust"
    assert [text for _, text in left_out.values] == ["1.59", "1.30"]
    assert left_out.note == "gain 0.29 (0.21 to 0.38)"
    assert [text for _, text in slope.values] == ["−0.074", "0.14"]
    assert slope.note == "truth 0.15"


def test_key_numbers_name_each_model_s_own_worst_behavior() -> None:
    summary = summary_of_gusty()
    summary["unlogged"]["random torques"]["chosen"] = 1.2
    assert key_numbers(summary)[0].note == "ERM: leans with the gust; chosen: random torques"


def test_key_numbers_without_truth_compare_the_models() -> None:
    error, left_out, policy = key_numbers(summary_of_pipeline())
    assert error.quantity.endswith("normalized")
    assert [(model.key, text) for model, text in error.values] == [("erm", "0.520"), ("penalized", "0.534")]
    assert [text for _, text in left_out.values] == ["0.421", "0.420"]
    assert policy.quantity.startswith("Return that the model promises")


@pytest.mark.parametrize("floor", [0.0, 1e-9])
def test_a_floor_of_next_to_nothing_is_no_measure(floor: float) -> None:
    summary = summary_of_gusty()
    for part in summary["unlogged"].values():
        part["noise_floor"] = floor
    error = key_numbers(summary)[0]
    assert [text for _, text in error.values] == ["2.95", "1.04"]


def test_errors_has_intervals_and_the_floor() -> None:
    table = tables.errors(summary_of_gusty(), "unlogged", "errors")
    assert table is not None
    assert table.columns == ("behavior", "ERM", "chosen", "plain", "noise floor")
    assert table.rows[0][0] == "leans with the gust"
    assert table.rows[0][1] == pytest.approx(Estimate(2.95, 2.95 * 0.95, 2.95 * 1.06))
    assert table.rows[0][-1] == 1.0
    without = tables.errors(summary_of_pipeline(), "unlogged", "errors")
    assert without is not None
    assert without.columns == ("behavior", "ERM", "penalized")
    assert tables.errors(summary_of_pipeline(), "logged", "errors") is None


def test_left_out_names_the_worst_behavior_of_each_weight() -> None:
    table = weights.left_out(summary_of_gusty())
    assert table is not None
    assert table.columns[:5] == ("weight", "worst", "worst behavior", "mean", "gain over ERM")
    assert [row[0] for row in table.rows] == ["0", "1", "10", "30", "100"]
    last = table.rows[-1]
    assert isinstance(last[1], Estimate)
    assert (last[1].value, last[2]) == (1.30, "ignores the gust")


@pytest.mark.parametrize(("slope", "remark"), [(-0.07, "wrong sign"), (0.141, "−6 %"), (0.30, "+100 %"), (None, "")])
def test_slopes_say_what_is_wrong(slope: float | None, remark: str) -> None:
    summary = summary_of_gusty()
    summary["slope"]["erm"] = slope
    table = tables.slopes(summary)
    assert table is not None
    assert table.rows[1] == ("ERM", slope, remark)


def test_training_rows_are_thinned_and_keep_the_last_step() -> None:
    curves = {"a": [(step, 1.0) for step in range(0, 1001, 7)], "b": [(0, 2.0)]}
    table = tables.training(curves, "a model", most_rows=10)
    rows = list(table.rows)
    assert len(rows) <= 11
    assert rows[0] == (0, 1.0, 2.0)
    assert rows[-1] == (994, 1.0, None)


def test_behaviors_and_findings() -> None:
    data = summary_of_pipeline()["data"]
    table = tables.behaviors(data)
    assert table is not None
    assert [row[1] for row in table.rows] == ["logged", "logged", "logged", "not logged"]
    found = tables.findings(data)
    assert found is not None
    assert found.rows[0][:2] == ("warning", "obs[17]")
    assert tables.behaviors({}) is None
    assert tables.findings({}) is None


def test_settings_are_flat() -> None:
    table = tables.settings({"fit": {"steps": 6000, "weights": [0.0, None]}, "seed": 0}, "configuration")
    assert table is not None
    assert table.rows == (("fit.steps", "6000"), ("fit.weights", "0.0, –"), ("seed", "0"))


def test_parts_that_are_null_or_absent_make_no_table() -> None:
    summary: dict[str, Any] = summary_of_gusty() | {
        "selection": {}, "unlogged": {}, "slope": None, "policy": {}, "seconds": {},
    }  # fmt: skip
    assert weights.left_out(summary) is None
    assert weights.trained_on(summary) is None
    assert tables.slopes(summary) is None
    assert tables.seconds(summary) is None
    assert key_numbers(summary) == ()
