from dataclasses import asdict

import numpy as np
import pytest

from worldrex.evaluation import Spread, Trained
from worldrex.evaluation.spread import spread_of

WEIGHTS = [0.0, 1.0, 10.0, 100.0]
EPISODES = 50


def trained(risks: np.ndarray, *, noise: float = 0.0, runs: int = 2) -> list[Trained]:
    """Behaviors with these risks `[choice, behavior]`; episodes differ by `noise`, alike under every choice and run."""
    rng = np.random.default_rng(0)
    behaviors = []
    for number, own in enumerate(risks.T):
        sums = np.tile(own[:, None, None], (1, runs, EPISODES)) + noise * rng.normal(size=EPISODES)
        behaviors.append(Trained(f"behavior {number}", 10 * sums, np.full(EPISODES, 10.0)))
    return behaviors


def spread(risks: np.ndarray, **more: float) -> Spread:
    found = spread_of(trained(risks, **more), range(len(risks)), WEIGHTS)
    assert found is not None
    return found


def test_it_is_the_deviation_over_the_behaviors_as_a_share_of_the_mean():
    risks = np.array([[0.2, 0.6], [0.3, 0.5], [0.4, 0.42], [0.4, 0.6]])
    found = spread(risks)
    np.testing.assert_allclose([found.erm.value, found.least.value, found.risk], [0.5, 0.01 / 0.41, 0.4])
    np.testing.assert_allclose(found.remains, found.least.value / 0.5)
    assert found.weight == 10
    assert not found.unequal


def test_only_the_places_that_are_asked_for_count():
    behaviors = trained(np.array([[0.2, 0.6], [0.4, 0.4], [0.3, 0.5]]))
    found = spread_of(behaviors, [0, 2], WEIGHTS)
    assert found is not None
    assert found.weight == 10
    np.testing.assert_allclose(found.least.value, 0.1 / 0.4)


def test_the_chance_of_episodes_is_no_spread():
    """Equal true risks whose means over 50 episodes differ by chance: about none of it is taken for spread."""
    found = spread(np.full((2, 8), 0.5), noise=1.0)
    plain = np.std([one.risks[0].mean() for one in trained(np.full((2, 8), 0.5), noise=1.0)]) / 0.5
    assert plain > 0.1
    assert found.erm.value < 0.6 * plain
    assert found.erm.low == 0


@pytest.mark.parametrize(
    ("last", "size", "unequal"), [((0.2, 0.6), 1.0, True), ((0.38, 0.42), 1.0, False), ((0.2, 0.6), 0.001, False)]
)
def test_risks_that_stay_apart_at_every_weight_are_unequal(last: tuple[float, float], size: float, unequal: bool):
    found = spread(size * np.array([[0.2, 0.6], [0.1, 0.7], last]))
    assert found.unequal is unequal


def test_fewer_than_two_behaviors_or_no_error_at_all_have_none():
    assert spread_of(trained(np.array([[0.5], [0.4]])), [0, 1], WEIGHTS) is None
    assert spread_of(trained(np.zeros((2, 2))), [0, 1], WEIGHTS) is None


def test_json_keeps_all():
    found = spread(np.array([[0.2, 0.6], [0.3, 0.5]]))
    assert Spread.from_json(asdict(found)) == found
