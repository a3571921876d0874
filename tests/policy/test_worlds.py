from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.policy.made_up import log_of, untrained
from worldrex.data import Transitions
from worldrex.dynamics import Features
from worldrex.policy import PolicyError
from worldrex.policy.worlds import EnsembleWorld, world_of

COUNT = 4000
ACTION = jnp.zeros((COUNT, 1))


def world(model=None, data: Transitions | None = None, **more) -> EnsembleWorld:
    return world_of(model or untrained(), data or log_of(), uncertainty="disagreement", margin=0.1, **more)


def obs_of(*values: float) -> jax.Array:
    return jnp.broadcast_to(jnp.array(values), (COUNT, len(values)))


def wide(low: float, high: float, *, obs: int = 2) -> Transitions:
    """A log whose obs and rewards fill [low, high]."""
    data = log_of(obs=obs)
    spread = np.linspace(low, high, len(data), dtype=np.float32)
    return replace(data, obs=np.stack([spread] * obs, 1), next_obs=np.stack([spread] * obs, 1), reward=spread)


def test_steps_are_draws_from_the_elites():
    """Mean and deviation are those of the mixture, and each elite is drawn as often."""
    model = untrained()
    before = obs_of(0.3, -0.2)
    told = model.predict(before[:1], ACTION[:1])
    outcome = world(model, wide(-100, 100)).step(before, ACTION, key=jax.random.key(0))
    found = jnp.concatenate([outcome.next_obs, outcome.reward[:, None]], -1)
    mean, std = jnp.append(told.next_obs[0], told.reward), jnp.append(told.next_obs_std[0], told.reward_std)
    assert (abs(found.mean(0) - mean) < 4 * std / np.sqrt(COUNT)).all()
    np.testing.assert_allclose(found.std(0), std, rtol=0.06)
    still = jax.tree.map(jnp.asarray, model.networks)._replace(max_log_var=jnp.full((4, 3), -30.0))
    still = still._replace(min_log_var=jnp.full((4, 3), -40.0))
    drawn = world(model._replace(networks=still), wide(-100, 100)).step(before, ACTION, key=jax.random.key(0)).reward
    members = model._replace(networks=still).predict(before[:1], ACTION[:1]).member_reward[:, 0]
    nearest = abs(drawn[:, None] - members[None]).argmin(1)
    np.testing.assert_allclose(drawn, members[nearest], atol=1e-4)
    assert (abs(np.bincount(nearest, minlength=3) - COUNT / 3) < 150).all()


def test_outputs_stay_within_the_logs_range_and_the_margin():
    data = log_of()
    outcome = world(untrained(noise=50.0), data).step(obs_of(0.0, 0.0), ACTION, key=jax.random.key(0))
    columns = np.concatenate([data.obs, data.next_obs])
    for found, logged in ((outcome.next_obs, columns), (outcome.reward, data.reward)):
        span = logged.max(0) - logged.min(0)
        np.testing.assert_allclose(np.min(found, 0), logged.min(0) - 0.1 * span, rtol=1e-5)
        np.testing.assert_allclose(np.max(found, 0), logged.max(0) + 0.1 * span, rtol=1e-5)


def test_what_is_not_finite_stays_so():
    """Held at the bound, it would look like any other outcome."""
    outcome = world().step(obs_of(np.inf, 0.0), ACTION, key=jax.random.key(0))
    assert not np.isfinite(outcome.next_obs[:, 0]).any()


@pytest.mark.parametrize(("low", "high"), [(-np.pi, np.pi), (0.0, 2 * np.pi)])
def test_an_angle_comes_back_into_the_turn_that_the_log_has(low: float, high: float):
    model = untrained(features=Features(angles=(0,)), noise=3.0)
    data = wide(low + 1e-3, high - 1e-3)
    for start in (low + 0.1, high - 0.1):
        found = world(model, data).step(obs_of(start, 0.5), ACTION, key=jax.random.key(0)).next_obs[:, 0]
        assert (found >= low - 1e-5).all()
        assert (found <= high + 1e-5).all()
        # It turned over, and was not held at the end of the turn.
        assert np.quantile(found, 0.01) < low + 0.5
        assert np.quantile(found, 0.99) > high - 0.5
        assert np.unique(found).size > COUNT // 2


def test_an_angle_of_more_than_a_turn_is_not_bounded():
    built = world(untrained(features=Features(angles=(0,))), wide(-9.0, 9.0))
    assert not np.isfinite(built.low[0])
    assert np.isfinite(built.low[1])


def test_a_given_rule_ends_on_both_sides():
    """`abs(x[1:] < 100)`, a bracket in the wrong place of well-known code, never tests the lower bound."""
    model = untrained(termination="0:-inf:inf 1:-100:100")
    built = world(model, wide(-1000, 1000))
    for speed, ends in ((-150.0, True), (150.0, True), (0.0, False)):
        outcome = built.step(obs_of(0.0, speed), ACTION, key=jax.random.key(0))
        assert (np.asarray(outcome.terminated) == ends).all()


def test_a_rule_is_asked_of_the_draw_before_it_is_held_in_bounds():
    model = untrained(termination="1:-100:100")
    outcome = world(model, wide(-10, 10)).step(obs_of(0.0, 150.0), ACTION, key=jax.random.key(0))
    assert outcome.terminated.all()
    assert outcome.next_obs[:, 1].max() <= 12


def test_a_learned_end_comes_as_often_as_the_elites_say():
    model = untrained(termination="learned", terminates=True)
    outcome = world(model).step(obs_of(0.3, 0.2), ACTION, key=jax.random.key(0))
    wanted = float(model.predict(obs_of(0.3, 0.2)[:1], ACTION[:1]).terminated[0])
    assert 0.2 < wanted < 0.8
    assert outcome.terminated.mean() == pytest.approx(wanted, abs=0.03)
    assert (
        not world(untrained(termination="none")).step(obs_of(0.3, 0.2), ACTION, key=jax.random.key(0)).terminated.any()
    )


def test_the_uncertainty_is_in_units_of_the_outputs():
    """A log in another unit is as uncertain."""
    found = [
        world(untrained(noise=noise), wide(-1e5, 1e5)).step(obs_of(0.1, 0.1), ACTION, key=jax.random.key(0)).uncertainty
        for noise in (1.0, 1000.0)
    ]
    assert found[0].min() > 0
    np.testing.assert_allclose(found[0], found[1], rtol=1e-2)


def test_models_and_logs_that_do_not_fit_are_refused():
    with pytest.raises(PolicyError, match="the model sees 3 steps"):
        world(untrained(features=Features(history=3)))
    with pytest.raises(PolicyError, match="obs and action are 3 and 1 wide"):
        world(untrained(), log_of(obs=3))
    with pytest.raises(PolicyError, match="obs and action are 2 and 2 wide"):
        world(untrained(), log_of(act=2))
