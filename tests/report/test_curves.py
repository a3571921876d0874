from tests.report.made_up_runs import training_lines
from worldrex.report.curves import training_curves

FINALS = {"erm": (1.0, 0.5), "penalized": (0.9, 0.9)}


def test_one_set_of_curves_for_each_model_with_the_switch() -> None:
    erm, penalized = training_curves(training_lines(("a", "b"), FINALS))
    assert (erm.model, erm.penalty_on) == ("erm", None)
    assert (penalized.model, penalized.penalty_on) == ("penalized", 1000)
    assert list(penalized.risks) == ["a", "b"]
    assert penalized.risks["a"][0][0] == 0
    assert penalized.risks["a"][-1][0] == 6000


def test_other_stages_and_unknown_risks_are_left_out() -> None:
    lines = [
        {"stage": "crossval", "weight": 1.0, "step": 0, "holdout_risk": {"a": 1.0}},
        {"stage": "fit", "model": "erm", "step": 0, "phase": "unpenalized", "holdout_risk": {"a": None, "b": 2.0}},
        {"stage": "fit", "model": "erm", "step": 5, "phase": "unpenalized", "holdout_risk": None},
    ]
    (erm,) = training_curves(lines)
    assert erm.risks == {"b": [(0, 2.0)]}
    assert training_curves(lines[:1]) == ()


def test_many_behaviors_are_thinned_and_the_last_step_stays() -> None:
    names = tuple(f"b{index}" for index in range(50))
    curves = training_curves(training_lines(names, {"erm": (1.0,) * 50, "penalized": (1.0,) * 50}, steps=60_000))
    points = sum(len(curve) for model in curves for curve in model.risks.values())
    assert 2000 < points < 6500
    assert all(curve[-1][0] == 60_000 for model in curves for curve in model.risks.values())
