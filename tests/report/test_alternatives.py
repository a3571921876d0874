from tests.report.made_up_runs import LOGGED, TRAINED, selection, summary_of_gusty, summary_of_pipeline
from worldrex.report import alternatives, tables
from worldrex.report.curves import TrainingCurves


def test_rows_in_words() -> None:
    table = tables.errors(summary_of_pipeline(), "unlogged", "errors")
    assert table is not None
    assert alternatives.rows_in_words(table) == "Pipeline-high-20000-val: ERM 0.520, penalized 0.534."


def test_coming_together_compares_no_penalty_with_the_chosen_weight() -> None:
    said = alternatives.coming_together(summary_of_gusty())
    assert said == "The risks lie between 0.240 and 1.42 at weight 0 and between 0.980 and 1.05 at weight 100."
    assert alternatives.come_together(summary_of_gusty())
    assert alternatives.coming_together(summary_of_gusty() | {"selection": {}}) == ""


def test_curves_that_do_not_come_together_are_not_said_to() -> None:
    assert not alternatives.come_together(summary_of_pipeline())
    same = dict.fromkeys(TRAINED, TRAINED[0])
    assert not alternatives.come_together(summary_of_gusty() | {"selection": selection(LOGGED, same, same)})


def test_worst_and_mean_are_least_at_different_weights() -> None:
    said = alternatives.worst_and_mean(summary_of_gusty())
    assert said.startswith("The worst left-out risk is least at weight 100 (1.30)")
    assert said.endswith("the mean left-out risk is least at weight 0 (0.735).")


def test_errors_below_the_floor_are_explained_and_only_those() -> None:
    said = alternatives.below_floor(summary_of_gusty())
    assert said.startswith("Below the floor: ERM under strong compensation and plain under strong compensation.")
    assert alternatives.below_floor(summary_of_pipeline()) == ""


def test_ends_of_training() -> None:
    curves = TrainingCurves("penalized", {"a": [(0, 5.0), (900, 1.25)], "b": [(0, 5.0), (900, 0.5)]}, 300)
    said = alternatives.ends_of(curves)
    assert said == "Held-out risks end between 0.500 and 1.25 at step 900. The penalty came on at step 300."
