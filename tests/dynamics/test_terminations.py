from collections.abc import Callable
from dataclasses import replace

import jax
import numpy as np
import pytest

from tests.dynamics.conftest import SMALL, TARGET
from tests.dynamics.made_up import TRUTH, linear_model
from worldrex.data import Transitions
from worldrex.dynamics import TrainingError, require_trainable, train
from worldrex.dynamics.layout import tables_of
from worldrex.dynamics.terminations import RULES, Rule, rule_of

WIDTHS = {"hopper": 11, "walker2d": 17, "ant": 27, "humanoid": 45, "inverted-pendulum": 4}
# Gymnasium's own conditions, of its sources, on the state without the position that obs lacks.
HEALTHY: dict[str, Callable[[np.ndarray], bool]] = {
    "hopper": lambda x: bool(x[0] > 0.7 and abs(x[1]) < 0.2 and (np.abs(x[1:]) < 100).all()),
    "walker2d": lambda x: bool(0.8 < x[0] < 2 and abs(x[1]) < 1),
    "ant": lambda x: bool(0.2 <= x[0] <= 1),
    "humanoid": lambda x: bool(1 < x[0] < 2),
    "inverted-pendulum": lambda x: bool(abs(x[1]) <= 0.2),
}
UPRIGHT = {"hopper": 1.25, "walker2d": 1.25, "ant": 0.75, "humanoid": 1.4, "inverted-pendulum": 0.0}


def named(name: str) -> Rule:
    rule = rule_of(name)
    assert rule is not None
    return rule


@pytest.mark.parametrize(
    ("name", "dim", "value", "ends"),
    [
        ("hopper", 0, 0.69, True),
        ("hopper", 0, 0.71, False),
        ("hopper", 0, 1e6, False),
        ("hopper", 1, -0.21, True),
        ("hopper", 1, 0.19, False),
        ("hopper", 2, 101.0, True),
        ("hopper", 10, -101.0, True),
        ("hopper", 10, -99.0, False),
        ("walker2d", 0, 0.79, True),
        ("walker2d", 0, 2.01, True),
        ("walker2d", 1, -1.01, True),
        ("walker2d", 1, 0.99, False),
        ("walker2d", 2, 500.0, False),
        ("ant", 0, 0.19, True),
        ("ant", 0, 1.01, True),
        ("ant", 0, 0.21, False),
        ("ant", 5, 500.0, False),
        ("humanoid", 0, 0.99, True),
        ("humanoid", 0, 2.01, True),
        ("humanoid", 0, 1.01, False),
        ("inverted-pendulum", 1, 0.21, True),
        ("inverted-pendulum", 1, -0.21, True),
        ("inverted-pendulum", 1, 0.19, False),
        ("inverted-pendulum", 0, 3.0, False),
    ],
)
def test_named_rules_end_where_the_task_does(name: str, dim: int, value: float, ends: bool):
    x = np.zeros(WIDTHS[name], np.float32)
    x[0] = UPRIGHT[name]
    assert not named(name).ends(x[None])[0]
    x[dim] = value
    assert named(name).ends(x[None])[0] == ends
    assert (not HEALTHY[name](x)) == ends


@pytest.mark.parametrize("name", RULES)
def test_named_rules_are_gymnasiums_healthy_ranges(name: str):
    rng = np.random.default_rng(0)
    x = rng.normal(scale=0.3, size=(4000, WIDTHS[name])).astype(np.float32)
    x[:, 0] = UPRIGHT[name] + 1.5 * rng.normal(size=4000)
    x[:, 1] *= rng.choice([0.1, 1.0, 4.0], size=4000)
    x[::7, rng.integers(WIDTHS[name], size=4000)[::7]] *= 300
    ends = np.array([not HEALTHY[name](row) for row in x])
    assert 0.05 < ends.mean() < 0.95
    np.testing.assert_array_equal(named(name).ends(x), ends)
    np.testing.assert_array_equal(jax.jit(named(name).ends)(x), ends)


def test_ranges_include_their_bounds_and_an_observation_that_is_not_finite_ends():
    rule = rule_of("1:-0.5:0.5 0:2:inf")
    assert rule == Rule((1, 0), (-0.5, 2.0), (0.5, float("inf")))
    cases = {
        (2.0, 0.5, 0.0): False,
        (2.0, -0.5, 9e9): False,
        (1.99, 0.0, 0.0): True,
        (3.0, 0.51, 0.0): True,
        (np.inf, 0.0, 0.0): True,
        (3.0, np.nan, 0.0): True,
        (3.0, 0.0, np.nan): True,
        (3.0, 0.0, -np.inf): True,
    }
    x = np.array(list(cases), np.float32)
    np.testing.assert_array_equal(rule.ends(x), list(cases.values()))
    np.testing.assert_array_equal(jax.jit(rule.ends)(x.reshape(2, 4, 3)), np.reshape(list(cases.values()), (2, 4)))


@pytest.mark.parametrize("termination", ["learned", "none"])
def test_without_a_rule_there_is_none(termination: str):
    assert rule_of(termination) is None


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "hoper", "Hopper", "0:0.7", "0:1:2:3", "a:0:1", "0.5:0:1", "0:low:1", "0:2:1", "0:1:1", "-1:0:1",
        "0:nan:1", "0:0:nan", "0:inf:-inf", "0:0:1,1:0:1", "0:0:1 hopper",
    ],
)  # fmt: skip
def test_texts_that_are_no_rule_are_refused(text: str):
    with pytest.raises(TrainingError) as error:
        require_trainable(replace(SMALL, termination=text), [])
    message = str(error.value)
    assert message.startswith(
        f"termination is {text!r}; choose learned, none, a rule (hopper, walker2d, ant, humanoid,"
    )
    assert "'0:0.7:inf 1:-0.2:0.2'" in message


@pytest.mark.parametrize("termination", ["2:0:1", "0:0:1 7:0:1", "hopper"])
def test_a_rule_of_dimensions_beyond_the_log_is_refused(log: Transitions, termination: str):
    most = {"2:0:1": 2, "0:0:1 7:0:1": 7, "hopper": 10}[termination]
    with pytest.raises(TrainingError, match=f"termination names dimension {most} of obs, and this log's are 0 to 1"):
        train(log, [TARGET], replace(SMALL, termination=termination))


def test_the_probability_of_an_end_is_the_share_of_elites_that_the_rule_ends():
    rng = np.random.default_rng(0)
    weights = [TRUTH + 0.5 * rng.normal(size=TRUTH.shape) for _ in range(4)]
    model = linear_model(*weights)._replace(termination="0:-1:0.5", elites=np.array([0, 1, 3]))
    obs, action = rng.normal(size=(200, 2)), rng.normal(size=(200, 1))
    told = model.predict(obs, action)
    after = np.array([obs + (np.column_stack([obs, action]) @ weights[member])[:, :2] for member in (0, 1, 3)])
    ended = (after[..., 0] < -1) | (after[..., 0] > 0.5)
    assert set(np.round(3 * ended.mean(0))) == {0, 1, 2, 3}
    np.testing.assert_allclose(told.terminated, ended.mean(0), rtol=1e-6)
    for termination in ("none", "learned"):
        assert not np.any(model._replace(termination=termination).predict(obs, action).terminated)


def test_a_rule_that_is_given_is_not_learned(log: Transitions):
    ended = replace(log, terminated=log.obs[:, 0] > 1)
    learned, _ = tables_of(ended, [()], SMALL)
    np.testing.assert_array_equal(learned.terminated, ended.terminated)
    for data, termination in ((ended, "none"), (ended, "0:-inf:1"), (log, "learned")):
        assert tables_of(data, [()], replace(SMALL, termination=termination))[0].terminated is None
