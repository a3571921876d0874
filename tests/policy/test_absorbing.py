import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.policy.made_up import SCALES, actor_of, counter, log_of, untrained
from worldrex.policy.absorbing import Absorbing, absorbing_of
from worldrex.policy.rollouts import branch
from worldrex.policy.worlds import world_of

STARTS = jnp.stack([jnp.arange(6.0), jnp.zeros(6)], -1)
HORIZON = 4


def test_it_begins_at_a_quantile_of_the_log_and_lasts_for_good():
    data = log_of()
    world = world_of(untrained(), data, uncertainty="pairwise", margin=0.1)
    told = world.step(jnp.asarray(data.obs), jnp.asarray(data.action), key=jax.random.key(0)).uncertainty
    found = absorbing_of(world, data, quantile=0.9, reward=None, discount=0.75)
    assert int((told > found.beyond).sum()) == 6
    forever = 0.75 * sum(0.75**step * data.reward.min() for step in range(200))
    assert float(found.worth) == pytest.approx(forever, rel=1e-5)
    assert float(absorbing_of(world, data, quantile=0.5, reward=-7.0, discount=0.5).worth) == -7


def test_a_step_beyond_is_the_last_and_is_worth_what_comes():
    """The uncertainty is a tenth of the count."""
    absorbing = Absorbing(jnp.float32(0.55), jnp.float32(-100.0))
    records, valid, info = branch(
        counter(ends_at=7), actor_of(), SCALES, STARTS, HORIZON, pessimism=jnp.float32(2.0), absorbing=absorbing,
        key=jax.random.key(0),
    )  # fmt: skip
    records, valid = jax.tree.map(lambda x: np.asarray(x).reshape(HORIZON, 6, *x.shape[1:]), (records, valid))
    before = np.arange(HORIZON)[:, None] + np.arange(6.0)
    np.testing.assert_array_equal(valid, before <= 5)
    falls = valid & (before == 5)
    expected = (10 - 0.2) * (before + 1) - 100 * falls
    np.testing.assert_allclose(records.reward[valid], expected[valid], rtol=1e-5)
    np.testing.assert_array_equal(records.terminated[valid], falls[valid])
    assert (info.absorbed, info.terminated, info.steps) == (int(falls.sum()), 0, int(valid.sum()))
    assert float(info.reward) == pytest.approx((10 * (before + 1))[valid].sum(), rel=1e-6), "the world's own"
