from pathlib import Path
from typing import Any

from tests.report.made_up_runs import LOGGED, estimated
from tests.report.test_figures import rows
from worldrex.report.evaluated import entries, evaluated, reading
from worldrex.report.folder import read_run
from worldrex.report.page import render_page
from worldrex.report.tables import Estimate
from worldrex.runs import write_json

BEST = LOGGED[-1]


def told(value: float, **more: Any) -> dict[str, Any]:
    return {"return": estimated(value), "mean": estimated(value - 2), "episodes": 50} | more


def summary_of_policies(policies: int = 1, path: str = "runs/mine", *, model: bool = True) -> dict[str, Any]:
    promised = {"promised": estimated(-60.0), "gap": estimated(12.0)} if model else {}
    each = [
        {"path": f"{path}-{number}", "deterministic": told(-70.0 - number, **promised), "stochastic": told(-75.0)}
        for number in range(policies)
    ]
    several = {"all": {"deterministic": told(-70.5), "stochastic": told(-75.5)}} if policies > 1 else {}
    return {
        "format": 1, "kind": "evaluate", "task": "gusty-pendulum", "env": "worldrex/GustyPendulum-v0", "episodes": 50, "seed": 0,
        "policies": each, "baselines": {"do nothing": told(-208.0), BEST: told(-115.0)}, "best_behavior": BEST, "reference": None,
    } | several  # fmt: skip


def test_a_policy_stands_beside_its_draws_its_promise_and_the_baselines() -> None:
    (section,) = evaluated(summary_of_policies(), "run1")
    drawn = {(row["policy"], row["key"]): row["return"] for row in rows(section.figures[0].chart) if "return" in row}
    assert drawn == {
        ("The policy", "real"): -70, ("The policy", "promised"): -60, ("The policy, its draws", "real"): -75,
        ("Do nothing", "real"): -208, (f"Best logged behavior: {BEST}", "real"): -115,
    }  # fmt: skip
    (table,) = section.tables
    assert table.columns == ("policy", "return", "mean", "promised", "promised less mean")
    assert table.rows[0][1:] == tuple(Estimate(**estimated(value)) for value in (-70, -72, -60, 12))


def test_several_policies_are_told_together_first() -> None:
    told = summary_of_policies(2, model=False)
    assert list(entries(told))[:3] == ["All policies together", "All policies together, their draws", "runs/mine-0"]
    assert reading(told) == "All policies together return −70.5; the best logged behavior −115."
    (section,) = evaluated(told, "run1")
    assert section.tables[0].columns == ("policy", "return", "mean")
    assert [key.key for key in section.keys] == ["real"]


def test_the_page_begins_with_what_it_returns_and_names_stay_text(tmp_path: Path) -> None:
    def page_of(summary: dict[str, Any]) -> str:
        write_json(tmp_path / "summary.json", summary)
        return render_page([read_run(tmp_path)])

    page = page_of(summary_of_policies(2, "<script>alert(1)</script>"))
    assert "All policies together return −70.5" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    said = "The policy returns −70.0; the best logged behavior −115. The model promises 12.0 too much on average."
    assert said in page_of(summary_of_policies())


def test_other_runs_have_no_such_section() -> None:
    assert evaluated({"kind": "run", "policies": []}, "run1") == []
