import copy

import pytest

from tests.report.made_up_diagnostics import noisy
from tests.report.made_up_runs import summary_of_gusty, summary_of_many
from tests.report.test_figures import rows
from worldrex.report import diagnostic_figures, diagnostic_tables, noise_figures, readings, shift_figures
from worldrex.report.diagnoses import MOST_PANELS, drawn, largest
from worldrex.report.evidence import calibration, evidence
from worldrex.report.tables import models


def test_a_model_that_is_too_sure_is_told_so() -> None:
    said = readings.calibration(summary_of_gusty())
    assert said == (
        "The 90 % intervals of ERM hold 68 % of the truths under unlogged behaviors and 90 % under logged "
        "behaviors: too sure of itself under unlogged behaviors. The 90 % intervals of chosen hold 90 % of the truths "
        "under unlogged behaviors and 92 % under logged behaviors: well calibrated."
    )


def test_the_worst_behavior_of_many_steps_is_named() -> None:
    said = readings.open_loop(summary_of_gusty())
    assert said.startswith(
        "The largest error after 50 steps is under “leans with the gust”: 60.8 for ERM and 21.4 for chosen"
    )
    assert "nothing changes has 76.5." in said
    summary = summary_of_gusty()
    still = summary["diagnostics"]["leans with the gust"]["erm"]["open_loop"]["persistence"]
    still["value"] = [30.0] * 50
    assert "has 30.0: ERM would do better to say nothing." in readings.open_loop(summary)


@pytest.mark.parametrize(("distance", "words"), [(0.3, "no farther"), (0.8, "2.0 times"), (4.0, "10 times")])
def test_how_far_the_farthest_unlogged_behavior_lies(distance: float, words: str) -> None:
    part = summary_of_gusty()["shift"]
    for entry in part["behaviors"]:
        entry["to_rest"] = 0.4 if entry["logged"] else 0.1
    part["behaviors"][5]["to_rest"] = distance
    said = readings.shift(part)
    assert "is “random torques”" in said
    assert words in said
    assert said.endswith("The two axes show 81 % of the variance of the log.")


@pytest.mark.parametrize(
    ("logged", "area", "words"),
    [(0.05, 0.5, "hardly different"), (0.5, 0.8, "comparable"), (0.5, 0.999, "nothing in common")],
)
def test_whether_the_logged_behaviors_can_be_compared(logged: float, area: float, words: str) -> None:
    part = summary_of_gusty()["shift"]
    part["distance"] = [[0.06 if a == b else logged for b in range(7)] for a in range(7)]
    part["area"] = [[0.5 if a == b else area for b in range(7)] for a in range(7)]
    assert words in readings.apart(part)


def test_whether_the_weight_is_past_its_useful_end() -> None:
    summary = summary_of_gusty()
    assert (
        "Under ERM, 0.99 % of the plain penalty of a batch of 1,024 is noise; a batch of 103 makes it"
        in readings.noise(summary)
    )
    assert "Weight 100 has done what it can" in readings.useful_end(summary)
    assert "not past its useful end" in readings.useful_end(summary | {"penalty_noise": noisy({"chosen": 0.1})})
    at_30 = summary | {"candidate": {"penalty": "variance", "weight": 30.0}}
    at_30["selection"] = copy.deepcopy(summary["selection"])
    at_30["selection"]["weights"][-1]["worst"]["value"] = 1.7
    assert readings.useful_end(at_30).endswith("beyond it the worst left-out risk rises, to 1.70 at 100.")


def test_of_many_behaviors_the_worst_are_drawn_and_the_table_has_all() -> None:
    summary = summary_of_many(12, unlogged=9)
    shown = drawn(summary, logged=False)
    assert list(shown) == [f"policy {index}" for index in range(3, 9)]
    assert len(shown) == MOST_PANELS
    table = diagnostic_tables.calibration(summary)
    assert table is not None
    assert len(table.rows) == 2 * (12 + 9)
    assert table.rows[0][:3] == ("policy 0", "not logged", "ERM")
    assert largest({"a": 1.0, "b": 3.0, "c": 2.0}, 2) == ["b", "c"]


def test_pit_of_logged_behaviors_is_their_mean() -> None:
    (section,) = calibration(summary_of_gusty(), "run1")
    titles = [figure.title for figure in section.panels[0].figures]
    assert titles == ["all logged behaviors", "leans with the gust", "random torques", "strong compensation"]
    ends = {
        (row["key"], figure.title): row["share"]
        for figure in section.panels[0].figures
        for row in rows(figure.chart)
        if row.get("x") == 0
    }
    assert ends["erm", "all logged behaviors"] == pytest.approx(0.05, abs=0.001)
    assert ends["erm", "leans with the gust"] > 0.15


def test_points_of_the_map_carry_what_they_are_colored_by() -> None:
    part = summary_of_gusty()["shift"]
    names = {model.key: model.name for model in models(summary_of_gusty())}
    points = rows(shift_figures.shift_map(part, names))
    assert len(points) == 7 * 60
    first = points[0]
    assert first["squared_error_erm"] == pytest.approx(part["squared_error"]["erm"]["ignores the gust"][0], rel=1e-3)
    assert first["uncertainty_chosen"] == pytest.approx(part["uncertainty"]["chosen"]["ignores the gust"][0], rel=1e-3)
    shades = shift_figures.shades(part, names)
    assert [shade.name for shade in shades] == [
        "behavior", "squared error, ERM", "squared error, chosen", "uncertainty, ERM", "uncertainty, chosen",
    ]  # fmt: skip
    # The same classes for both models.
    assert [words for _, words, _ in shades[1].classes] == [words for _, words, _ in shades[2].classes]
    assert [style.hollow for _, _, style in shades[0].classes] == [False] * 4 + [True] * 3
    assert len(rows(shift_figures.shift_map(summary_of_many(50, unlogged=3)["shift"], names))) <= 1600


def test_the_share_of_noise_falls_with_the_batch() -> None:
    told = noisy({"erm": 0.02, "chosen": 0.001})
    points = [row for row in rows(noise_figures.share_of_noise(told, models(summary_of_gusty()))) if "low" in row]
    of_erm = sorted((row["batch"], row["share"]) for row in points if row["key"] == "erm")
    assert [share for _, share in of_erm] == sorted((share for _, share in of_erm), reverse=True)
    at = min(of_erm, key=lambda point: abs(point[0] - 1024))
    assert at[1] == pytest.approx(100 * 0.002 * 1024 / at[0] / (0.02 + 0.002 * 1024 / at[0]), rel=0.01)
    assert max(row["high"] for row in points if row["key"] == "chosen") == 100


def test_coverage_has_a_symbol_for_each_level_and_model() -> None:
    summary = summary_of_gusty()
    compared = [model for model in models(summary) if model.key != "plain"]
    found = [row for row in rows(diagnostic_figures.coverage(drawn(summary, logged=False), compared)) if "level" in row]
    assert len(found) == 3 * 2 * 3
    of_erm = [row["covered"] for row in found if row["level"] == "c90" and row["key"] == "erm"]
    assert of_erm == [pytest.approx(67.6, abs=0.1)] * 3


def test_what_is_missing_or_null_leaves_sections_out() -> None:
    summary = summary_of_gusty()
    for part in summary["diagnostics"]["random torques"].values():
        for name in ("open_loop", "uncertainty", "coverage", "pit"):
            part[name] = None
    names = [section.name for section in evidence(summary, "run1")]
    assert names == ["calibration", "open-loop", "uncertainty", "shift", "distances", "noise"]
    assert evidence(summary | {"diagnostics": {}, "shift": None, "penalty_noise": None}, "run1") == []
