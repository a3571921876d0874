from typing import Any

from tests.report.made_up_runs import LOGGED, policies_of, summary_of_gusty, where_erm_is_chosen
from tests.report.test_figures import rows
from worldrex.report.folder import SUMMARY_PARTS
from worldrex.report.key_numbers import key_numbers
from worldrex.report.policies import contenders, policies, reading
from worldrex.report.section import Section
from worldrex.report.tables import Estimate


def summary(**more: Any) -> dict[str, Any]:
    return SUMMARY_PARTS | summary_of_gusty() | more


def section(told: dict[str, Any]) -> Section:
    (found,) = policies(told, "run1")
    return found


def dots(found: Section) -> dict[tuple[str, str], float]:
    """Value of each dot by its row and series."""
    (figure,) = found.figures
    return {(row["policy"], row["key"]): row["return"] for row in rows(figure.chart) if "return" in row}


def test_each_policy_stands_beside_its_promise_and_the_baselines():
    drawn = dots(section(summary()))
    assert drawn["Policy out of ERM’s model", "real"] == -341, "the mean, as a promise is one"
    assert drawn["Policy out of ERM’s model", "promised"] == -60.5
    assert drawn["Policy out of the chosen model", "promised"] == -70.9
    assert ("Policy out of the simulator itself", "promised") not in drawn
    assert drawn[f"Best logged behavior: {LOGGED[-1]}", "real"] == -125
    assert drawn["Behavior cloning", "real"] == -152
    assert drawn["Do nothing", "real"] == -208
    assert {key for _, key in drawn} == {"real", "promised"}


def test_the_table_has_all_of_it():
    (table,) = section(summary()).tables
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    erm = rows["out of ERM’s model"]
    assert erm["return"] == Estimate(-339, -351, -327)
    assert erm["promised less mean"] == Estimate(280.5, 270.5, 290.5)
    assert erm["foretold by the chosen model"] == Estimate(-340, -350, -330)
    assert rows["behavior cloning"]["foretold by the chosen model"] == Estimate(-149, -159, -139)
    assert set(LOGGED) < set(rows)


def test_the_words_name_whom_the_policies_stand_beside():
    told = summary()
    assert "one that imitates the log (behavior cloning) and the best logged behavior." in section(told).words[0]
    del told["policy"]["cloning"], told["policy"]["simulator"]  # as in folders from before it was part of a run
    assert "of at most 40 steps, beside the best logged behavior." in section(told).words[0]


def test_the_reading_tells_what_became_of_the_promise():
    said = reading(summary())
    assert "ERM’s model promises −60.5 of its policy, and −341 comes of it on average" in said
    assert "the chosen model foretells −340" in said
    assert "the best logged behavior −125" in said


def test_without_an_environment_nothing_is_proven_and_what_the_models_say_is_drawn():
    told = summary(**policies_of(LOGGED, env=None))
    found = section(told)
    assert "nothing of this is proven" in found.words[0]
    drawn = dots(found)
    assert drawn["Policy out of ERM’s model", "foretold"] == -340
    assert drawn["Policy out of the chosen model", "foretold"] == -70.9, "asked of its own policy it is its promise"
    assert drawn["Behavior cloning", "foretold"] == -149
    assert {series for row, series in drawn if row.startswith("Policy")} == {"promised", "foretold"}
    assert "comes of it" not in reading(told)
    (table,) = found.tables
    assert "promised less mean" not in table.columns


def test_where_erm_was_chosen_its_policies_are_not_shown_twice():
    told = summary(**where_erm_is_chosen(policies_of(LOGGED)))
    assert list(contenders(told)) == ["erm", "penalized", "simulator", "cloning"]
    assert "the penalized model foretells −340" in reading(told)


def test_why_there_is_none_is_said_and_none_is_asked_for():
    note = "the model sees 3 steps"
    found = section(summary(policy={}, returns=None, policy_note=note))
    assert note in found.words[0]
    assert policies(summary(policy={}, returns=None), "run1") == []


def test_the_return_is_a_key_number():
    (number,) = [number for number in key_numbers(summary()) if "policy" in number.quantity]
    assert [value for _, value in number.values] == ["−341", "−67.7"]
    assert number.note == "learned in the simulator itself −65.3; best logged behavior −125"
    (number,) = [
        number for number in key_numbers(summary(**policies_of(LOGGED, env=None))) if "policy" in number.quantity
    ]
    assert [value for _, value in number.values] == ["−60.5", "−70.9"]
    assert "promises" in number.quantity
