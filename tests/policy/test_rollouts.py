import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.policy.made_up import SCALES, Counter, actor_of, counter
from worldrex.policy.replay import Batch
from worldrex.policy.rollouts import RolloutInfo, branch, episode_returns

STARTS = jnp.stack([jnp.arange(6.0), jnp.zeros(6)], -1)
HORIZON = 4


def branched(world: Counter, *, pessimism: float = 0.0) -> tuple[Batch, np.ndarray, RolloutInfo]:
    """Records as `[time, start]`."""
    records, valid, info = branch(
        world, actor_of(), SCALES, STARTS, HORIZON, pessimism=jnp.float32(pessimism), key=jax.random.key(0)
    )
    shaped = jax.tree.map(lambda x: np.asarray(x).reshape(HORIZON, len(STARTS), *x.shape[1:]), (records, valid))
    return *shaped, info


def test_a_rollout_follows_the_world_step_by_step():
    records, valid, info = branched(counter(), pessimism=2.0)
    assert valid.all()
    count = np.arange(HORIZON)[:, None] + np.arange(6.0)
    np.testing.assert_array_equal(records.obs[..., 0], count)
    np.testing.assert_array_equal(records.next_obs[..., 0], count + 1)
    np.testing.assert_allclose(records.reward, (10 - 2 * 0.1) * (count + 1), rtol=1e-6)
    np.testing.assert_array_equal(records.obs[1:], records.next_obs[:-1])
    # The world is told the action in its own units, the critics the one in [-1, 1].
    np.testing.assert_allclose(records.next_obs[..., 1], 2 * records.action[..., 0], rtol=1e-5)
    assert (abs(records.action) < 1).all()
    assert len(np.unique(records.action)) == records.action.size
    assert (info.steps, info.terminated, info.cut) == (24, 0, 0)
    assert info.reward == pytest.approx((10 * (count + 1)).sum(), rel=1e-6)
    assert info.uncertainty == pytest.approx((0.1 * (count + 1)).sum(), rel=1e-6)


def test_nothing_comes_after_a_terminal_state():
    records, valid, info = branched(counter(ends_at=5))
    before = np.arange(HORIZON)[:, None] + np.arange(6.0)
    # Starts 4 and 5 end with their first step; nobody goes on from count 5.
    expected = (before < 5) | (np.arange(HORIZON)[:, None] == 0)
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(records.terminated[valid], records.next_obs[valid][:, 0] >= 5)
    assert (float(info.terminated), records.terminated[valid].sum()) == (5, 5)
    assert float(info.steps) == valid.sum()


def test_what_is_not_finite_is_cut_counted_and_never_valid():
    records, valid, info = branched(counter(breaks_at=5))
    count = np.arange(HORIZON)[:, None] + np.arange(6.0)
    np.testing.assert_array_equal(valid, count + 1 < 5)
    assert info.cut == 5
    for column in records:
        assert np.isfinite(column[valid]).all()
    for column in info:
        assert np.isfinite(column)


def test_returns_of_episodes_stop_at_their_end():
    arguments = actor_of(), SCALES, STARTS[:, :2], HORIZON
    count = np.arange(HORIZON)[:, None] + np.arange(6.0)
    for world, counted in (
        (counter(), np.ones_like(count, bool)),
        (counter(ends_at=5), (count < 5) | (np.arange(HORIZON)[:, None] == 0)),
        (counter(breaks_at=5), count + 1 < 5),
    ):
        returns = episode_returns(world, *arguments, key=jax.random.key(0))
        np.testing.assert_allclose(returns, (10 * (count + 1) * counted).sum(0), rtol=1e-6)
