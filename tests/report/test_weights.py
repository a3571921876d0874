import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.report.conftest import WriteRun
from tests.report.made_up_runs import LEFT_OUT, LOGGED, TRAINED, selection, summary_of_gusty, without_evidence
from tests.report.test_figures import rows
from tests.report.test_page import Elements, page_without_files
from worldrex.report import figures, read_run, weights
from worldrex.report.folder import SUMMARY_PARTS
from worldrex.report.markdown import render_markdown
from worldrex.report.sections import compared_weights
from worldrex.report.tables import Estimate


def of_two_penalties() -> dict[str, Any]:
    """ERM, three weights of the variance and, better, two of the worst."""
    rows = selection(LOGGED, LEFT_OUT, TRAINED)["weights"]
    erm, *others = ({**row, "penalty": "none" if row["weight"] == 0 else "variance"} for row in rows)
    better = [
        {**row, "penalty": "worst", "worst": {"value": value, "low": value - 0.1, "high": value + 0.1, "behavior": "b"}}
        for row, value in zip(others[1:3], (1.4, 1.2), strict=True)
    ]
    return summary_of_gusty() | {
        "selection": {"weights": [erm, *others[:3], *better], "penalty": "worst", "rule": "a rule"},
        "chosen": {"penalty": "worst", "weight": 30.0, "debiased": True},
        "candidate": {"penalty": "worst", "weight": 30.0},
    }


def test_the_figures_of_weights_are_those_of_the_candidates_penalty() -> None:
    summary = of_two_penalties()
    assert [(row["penalty"], row["weight"]) for row in weights.weight_rows(summary)] == [
        ("none", 0.0), ("worst", 10.0), ("worst", 30.0),
    ]  # fmt: skip
    trained = [row for row in rows(figures.trained_on_risks(summary)) if "weight" in row]
    assert {row["weight"] for row in trained} == {"0", "10", "30"}
    assert [row[0] for row in weights.left_out(summary).rows] == ["0", "10", "30"]  # type: ignore[union-attr]


def test_several_penalties_have_a_line_each_and_a_table_of_all() -> None:
    summary = of_two_penalties()
    drawn = [row for row in rows(figures.worst_of_penalties(summary)) if "low" in row]
    found = {(row["label"], row["weight"]): row["risk"] for row in drawn}
    assert found["worst", "30"] == 1.2
    assert found["variance", "0"] == found["worst", "0"] == 1.59
    assert {(row["weight"], row["x"]) for row in drawn} == {("0", 0), ("1", 1), ("10", 2), ("30", 3)}
    table = weights.penalties(summary)
    assert table is not None
    assert [row[:2] for row in table.rows] == [
        ("none", "0"), ("variance", "1"), ("variance", "10"), ("variance", "30"), ("worst", "10"), ("worst", "30"),
    ]  # fmt: skip
    section = next(one for one in compared_weights(SUMMARY_PARTS | summary, "run1") if one.name == "penalties")
    assert section.reading == "The least of the worst risks: variance 1.48 at weight 30 and worst 1.20 at weight 30."
    assert [key.name for key in section.keys] == ["variance", "worst"]


def test_one_penalty_and_folders_of_before_have_no_figure_of_penalties() -> None:
    assert figures.worst_of_penalties(summary_of_gusty()) is None
    assert weights.penalties(summary_of_gusty()) is None
    assert len(weights.weight_rows(summary_of_gusty())) == 5


def test_each_left_out_behavior_has_its_distance_beside_its_risks() -> None:
    table = weights.folds(SUMMARY_PARTS | summary_of_gusty())
    assert table is not None
    assert table.columns == (
        "behavior",
        "distance to the rest",
        "ERM",
        "chosen, debiased variance, weight 100",
        "change, %",
    )
    first = table.rows[0]
    assert first[0] == "ignores the gust"
    assert first[2:4] == (
        pytest.approx(Estimate(1.59, 1.59 * 0.95, 1.59 * 1.05)),
        pytest.approx(Estimate(1.3, 1.235, 1.365)),
    )
    assert first[4] == pytest.approx(100 * (1.3 / 1.59 - 1))
    to_rest = {entry["name"]: entry["to_rest"] for entry in summary_of_gusty()["shift"]["behaviors"]}
    assert [row[1] for row in table.rows] == [to_rest[name] for name in LOGGED]
    alone = weights.folds(
        SUMMARY_PARTS | without_evidence(summary_of_gusty()) | {"distance": dict.fromkeys(LOGGED, 0.5)}
    )
    assert alone is not None
    assert [row[1] for row in alone.rows] == len(LOGGED) * [0.5]
    without = weights.folds(SUMMARY_PARTS | without_evidence(summary_of_gusty()))
    assert without is not None
    assert "distance to the rest" not in without.columns


def test_pairs_spread_and_conditions_are_told_where_they_are_known(write_run: WriteRun) -> None:
    summary = summary_of_gusty() | {"diagnostics": {}, "shift": None, "penalty_noise": None}
    part = {"value": 1.5, "low": 1.4, "high": 1.6, "behavior": "ignores the gust"}
    summary["selection"] |= {
        "pairs": {
            "pairs": [["a", "b"], ["a", "c"], ["b", "c"]],
            "erm": part, "candidate": part | {"value": 1.1, "low": 1.0, "high": 1.2},
            "gain": {"value": 0.4, "low": 0.3, "high": 0.5},
        },
        "spread": {
            "erm": {"value": 0.5, "low": 0.4, "high": 0.6}, "least": {"value": 0.4, "low": 0.3, "high": 0.5},
            "weight": 300.0, "remains": 0.8, "risk": 0.3,
        },
    }  # fmt: skip
    summary["verdict"]["conditions"] = ["The noise is <the> same.", "The system is the same."]
    run = read_run(write_run(summary, without=("metrics.jsonl",)))
    texts = (
        Elements(page_without_files(summary)).text,
        re.sub(r"\\(.)", r"\1", render_markdown([run], "figures")),
    )
    for text in texts:
        assert "left out at once (3 pairs), the worst risk is 1.50 (1.40 to 1.60) without the penalty and 1.10" in text
        assert "a gain of 0.400 (0.300 to 0.500)." in text
        assert "Their spread is 50 % of their mean without the penalty, and 40 % at weight 300." in text
        assert text.index("This holds as long as") < text.index("The noise is <the> same.")


def test_a_crossval_folder_says_what_was_chosen(tmp_path: Path) -> None:
    chosen = selection(LOGGED, LEFT_OUT, TRAINED) | {"chosen": 100.0, "candidate": 100.0}
    folder = tmp_path / "my crossval"
    folder.mkdir()
    content = {"format": 1, "kind": "crossval", "seed": 3, "crossval": [], "selection": chosen}
    (folder / "summary.json").write_text(json.dumps(content))
    (folder / "config.json").write_text(json.dumps({"config": {"penalty": "std", "debiased": True}}))
    (folder / "status.json").write_text(json.dumps({"state": "finished"}))
    run = read_run(folder)
    text = render_markdown([run], "figures")
    assert text.startswith(
        "# my crossval\n\n4 logged behaviors · seed 3\n\n**Leaving behaviors out chooses the std penalty at weight 100.**"
    )
    assert "chosen, debiased std, weight 100" in text
    (folder / "summary.json").write_text(json.dumps(content | {"selection": chosen | {"chosen": 0.0}}))
    assert "chooses plain ERM" in render_markdown([read_run(folder)], "figures")


def test_a_fit_folder_shows_its_risks(tmp_path: Path) -> None:
    risks = {"a": 0.5, "<b>": None}
    content = {"format": 1, "kind": "fit", "seed": 0, "penalty": "variance", "weight": 10.0, "holdout_risk": risks}
    (tmp_path / "summary.json").write_text(json.dumps(content))
    text = render_markdown([read_run(tmp_path)], "figures")
    assert "**A model fitted with the variance penalty at weight 10.**" in text
    assert "| a | 0.500 |\n| \\<b\\> | – |" in text
