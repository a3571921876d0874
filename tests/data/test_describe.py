import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from tests.data.logs import make_log
from worldrex.data.describe import describe
from worldrex.data.tables import render


def printed(data, width: int = 80) -> str:
    console = Console(width=width, force_terminal=False, file=None, record=True, quiet=False)
    with console.capture() as capture:
        console.print(render(describe(data)))
    return capture.get()


def test_numbers_of_a_behavior_and_of_a_component():
    data = make_log(behaviors=2, episodes=3, steps=20)
    summary = describe(data)
    own = data.behavior == 1
    returns = data.reward[own].reshape(3, 20).sum(1)
    second = summary.behaviors[1]
    assert (second.records, second.episodes, second.mean_steps) == (60, 3, 20.0)
    assert second.mean_return == pytest.approx(returns.mean(), rel=1e-5)
    assert second.std_return == pytest.approx(returns.std(ddof=1), rel=1e-5)
    assert second.mean_action == pytest.approx(np.abs(data.action[own]).mean(), rel=1e-5)
    column = summary.columns[2]
    assert column.name == "obs[:, 2]"
    expected = [f(data.obs[:, 2]) for f in (np.min, np.mean, np.std, np.max)]
    assert [column.min, column.mean, column.std, column.max] == pytest.approx(expected, rel=1e-4)
    assert (summary.records, summary.episodes, summary.obs_width, summary.action_width) == (120, 6, 3, 2)


def test_json_is_strict_also_for_broken_data():
    data = make_log(behaviors=1, episodes=1, names=("a\udc80", "gone"))
    data.obs[:, 0] = np.nan
    data.reward[0] = np.inf
    told = json.loads(json.dumps(describe(data).to_json(), allow_nan=False))
    assert told["behaviors"][1] == {
        "name": "gone",
        "records": 0,
        "episodes": 0,
        **dict.fromkeys(["mean_steps", "mean_return", "std_return", "mean_action"]),
    }
    assert told["behaviors"][0]["std_return"] is None
    assert told["columns"][0]["min"] is None
    assert {finding["column"] for finding in told["findings"]} >= {"obs[:, 0]", "reward"}


def test_the_tables_fit_80_columns_and_cut_many_components():
    data = make_log(behaviors=30, episodes=2, steps=40, obs=52)
    data.obs[:, 40] = data.next_obs[:, 40] = 7
    text = printed(data)
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) < 60
    assert "and 10 more behaviors; --json has all" in text
    assert "obs[:, 40]" in text
    assert "constant" in text
    assert "action[:, 1]" in text
    assert "more columns; --json has all" in text
    assert "obs[:, 30]" not in text


def test_few_components_are_all_shown():
    text = printed(make_log(behaviors=3))
    for name in ("obs[:, 0]", "obs[:, 2]", "action[:, 1]", "reward"):
        assert name in text
    assert "--json" not in text
    assert "No problems found." in text


@pytest.mark.parametrize(
    "name",
    ["[red]x[/nope]", "<b>&", "two\nlines", "\x1b[2J", "x" * 10_000, "", "\udc80", "操作员" * 40, "many words " * 40],
)
def test_names_of_others_stay_on_one_line_as_they_are(name):
    data = make_log(behaviors=3, steps=5, names=(name, "plain", "other"))
    text = printed(data)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    text.encode()
    row = next(line for line in text.splitlines() if line.startswith("plain"))
    lines = text.splitlines()
    above = lines[lines.index(row) - 1]
    assert lines.index(row) == 5, "one line for each behavior, after two of summary, an empty one and the head"
    assert above.split()[-6:-4] == ["15", "3"]
    if len(name) < 20 and name.isprintable():
        assert above.startswith(name)


def test_errors_come_before_anything_else_is_judged():
    data = make_log(behaviors=1)
    data.next_obs[3] += 9
    assert [finding.severity for finding in describe(data).findings] == ["error"]
    assert "does not continue" in printed(replace(data)).replace("\n", " ")
