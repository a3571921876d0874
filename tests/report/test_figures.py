import json
from typing import Any

import altair as alt
import pytest

from tests.report.made_up_runs import summary_of_gusty, summary_of_many, summary_of_pipeline, training_lines
from worldrex.report import figures
from worldrex.report.curves import training_curves
from worldrex.report.palette import LIGHT
from worldrex.report.scales import extent


def specification(chart: alt.LayerChart | None) -> dict[str, Any]:
    assert chart is not None
    return chart.to_dict()


def rows(chart: alt.LayerChart | None) -> list[dict[str, Any]]:
    """Every row of data in the chart, whichever layer has it."""
    found: list[dict[str, Any]] = []

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            values = part.get("values", ())
            if "key" not in part and isinstance(values, list) and all(isinstance(value, dict) for value in values):
                found.extend(values)
            for item in part.values():
                collect(item)
        elif isinstance(part, list):
            for item in part:
                collect(item)

    spec = specification(chart)
    collect({name: part for name, part in spec.items() if name != "datasets"})
    for dataset in spec.get("datasets", {}).values():
        found.extend(dataset)
    return found


def test_unlogged_errors_have_a_dot_an_interval_and_a_floor_for_each() -> None:
    data = rows(figures.errors(summary_of_gusty(), "unlogged"))
    errors = {(row["behavior"], row["key"]): row for row in data if "error" in row}
    assert len(errors) == 9
    worst = errors["leans with the gust", "erm"]
    assert (worst["error"], worst["low"], worst["label"]) == (2.95, pytest.approx(2.95 * 0.95), "2.95 · 2.95×")
    assert {row["noise floor"] for row in data if "noise floor" in row} == {1.0}


def test_labels_of_large_errors_stand_on_the_left_of_their_interval() -> None:
    sides = {
        (row["error"], row["side"]) for row in rows(figures.errors(summary_of_gusty(), "unlogged")) if "side" in row
    }
    assert (2.95, "left") in sides
    assert (0.25, "right") in sides


def test_an_axis_of_large_ratios_is_logarithmic_and_of_small_ones_starts_at_zero() -> None:
    assert '"type": "log"' in json.dumps(specification(figures.errors(summary_of_gusty(), "unlogged")))
    assert '"type": "log"' not in json.dumps(specification(figures.errors(summary_of_pipeline(), "unlogged")))


def test_without_intervals_and_floors_the_dots_remain() -> None:
    summary = summary_of_pipeline()
    for errors in summary["unlogged"].values():
        del errors["intervals"]
    data = rows(figures.errors(summary, "unlogged"))
    assert {row["low"] for row in data if "error" in row} == {0.52, 0.534}
    assert not [row for row in data if "noise floor" in row]


def test_a_floor_of_next_to_nothing_does_not_stretch_the_axis() -> None:
    summary = summary_of_gusty()
    for errors in summary["unlogged"].values():
        errors["noise_floor"] = 1e-12
    data = rows(figures.errors(summary, "unlogged"))
    assert not [row for row in data if "noise floor" in row]
    assert {row["label"] for row in data if "side" in row} >= {"2.95", "1.04"}


def test_trained_on_risks_have_a_point_for_each_behavior_and_weight() -> None:
    data = [row for row in rows(figures.trained_on_risks(summary_of_gusty())) if "weight" in row]
    assert {(row["key"], row["x"]) for row in data} == {(f"b{behavior}", x) for behavior in range(4) for x in range(5)}
    assert next(row["risk"] for row in data if (row["key"], row["weight"]) == ("b0", "100")) == 1.05


def test_left_out_risks_mark_the_worst_the_mean_and_the_chosen_weight() -> None:
    data = rows(figures.left_out_risks(summary_of_gusty()))
    worst = {row["weight"]: row["risk"] for row in data if row.get("key") == "worst" and "weight" in row}
    assert worst == {"0": 1.59, "1": 1.58, "10": 1.57, "30": 1.48, "100": 1.30}
    assert {row["key"] for row in data if "key" in row} == {"b0", "b1", "b2", "b3", "mean", "worst"}
    assert {"x": 4} in data


def test_the_chosen_weight_of_an_unpenalized_run_is_zero() -> None:
    assert {"x": 0} in rows(figures.left_out_risks(summary_of_pipeline()))


def test_names_beside_lines_give_way_where_there_is_no_room() -> None:
    few = [row for row in rows(figures.trained_on_risks(summary_of_gusty())) if "at" in row]
    assert {row["label"] for row in few} == {behavior["name"] for behavior in summary_of_gusty()["data"]["behaviors"]}
    assert not [row for row in rows(figures.trained_on_risks(summary_of_many(30))) if "at" in row]
    many = [row for row in rows(figures.left_out_risks(summary_of_many(30))) if "at" in row]
    assert {row["label"] for row in many} == {"worst", "mean"}


def test_slope_draws_the_truth_and_each_model() -> None:
    data = rows(figures.slope(summary_of_gusty()))
    ends = {row["key"]: row["risk"] for row in data if row["x"] == 1}
    assert ends == {"truth": 0.15, "erm": -0.0743, "chosen": 0.1417, "plain": 0.031}
    assert figures.slope(summary_of_pipeline()) is None


def test_training_marks_the_switch_of_the_penalized_model_only() -> None:
    erm, penalized = training_curves(training_lines(("a", "b"), {"erm": (1.0, 0.5), "penalized": (0.9, 0.9)}))
    axis = extent([0.5, 7.0], log_above=8)
    assert {"step": 1000} in rows(figures.training(penalized, ("a", "b"), axis))
    assert {"step": 1000} not in rows(figures.training(erm, ("a", "b"), axis))


def test_charts_of_parts_that_are_missing_are_none() -> None:
    summary = summary_of_gusty() | {"selection": {}, "unlogged": {}, "slope": None}
    assert figures.errors(summary, "unlogged") is None
    assert figures.trained_on_risks(summary) is None
    assert figures.left_out_risks(summary) is None
    assert figures.slope(summary) is None


def test_every_color_comes_from_the_palette_so_that_it_follows_the_theme() -> None:
    text = json.dumps(specification(figures.left_out_risks(summary_of_gusty())))
    colors = {text[start : start + 7] for start in range(len(text)) if text[start] == "#"}
    assert colors
    assert colors <= set(LIGHT.values())
