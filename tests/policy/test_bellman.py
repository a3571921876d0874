import jax
import jax.numpy as jnp
import numpy as np

from tests.dynamics.gust import gust_log
from tests.dynamics.made_up import TRUTH, linear_model
from worldrex.dynamics import WorldModel
from worldrex.policy import Scales, sac
from worldrex.policy.bellman import inconsistency, seen_in_rollouts
from worldrex.policy.networks import apply_actor, apply_critics, squashed
from worldrex.policy.replay import Batch
from worldrex.policy.rollouts import RolloutInfo
from worldrex.policy.sac import SACConfig, SACState
from worldrex.policy.worlds import EnsembleWorld, world_of

SCALES = Scales(*(np.array(x, np.float32) for x in ([0.5, 0], [2, 1], [-2], [4])))
RECORDS = Batch(
    jax.random.normal(jax.random.key(0), (7, 2)), jnp.linspace(-1, 1, 7)[:, None], jnp.zeros(7), jnp.zeros((7, 2)),
    jnp.zeros(7),
)  # fmt: skip
OTHER = TRUTH + np.array([[0, 0.3, 0], [0, 0, 0], [0.1, 0.2, 0.5]])


def state_of() -> SACState:
    state = sac.init(2, 1, SACConfig(hidden=(8,)), key=jax.random.key(0))
    return state._replace(target=jax.tree.map(lambda x: 2 * x + 0.1, state.critics))


def world(model: WorldModel) -> EnsembleWorld:
    return world_of(model, gust_log(5), uncertainty="bellman", margin=10.0)


def test_it_is_the_deviation_of_the_elites_own_targets():
    """Written out again for elites without noise, of whose episodes one ends."""
    model = linear_model(TRUTH, OTHER, std=1e-6)._replace(termination="1:-1.0:1.0")
    key, state = jax.random.key(3), state_of()
    noise = jax.random.normal(jax.random.split(key)[1], (7, 1))
    obs = np.asarray(RECORDS.obs) * SCALES.obs_std + SCALES.obs_mean
    action = 1 + 3 * np.asarray(RECORDS.action)
    targets, ends = [], []
    for weight in (TRUTH, OTHER):
        change = np.column_stack([obs, action]) @ weight
        after = obs + change[:, :2]
        seen = jnp.asarray((after - SCALES.obs_mean) / SCALES.obs_std, jnp.float32)
        value = apply_critics(state.target, seen, squashed(apply_actor(state.actor, seen), noise)[0]).min(0)
        ends.append(abs(after[:, 1]) > 1)
        targets.append(change[:, 2] + 0.9 * np.where(ends[-1], 0, value))
    assert (ends[0] != ends[1]).any()
    found = inconsistency(world(model), state, SCALES, RECORDS, 0.9, key=key)
    np.testing.assert_allclose(found, np.std(targets, 0), atol=1e-4)


def test_elites_that_agree_are_consistent_however_noisy():
    same = world(linear_model(TRUTH, TRUTH, TRUTH, std=0.5))
    assert inconsistency(same, state_of(), SCALES, RECORDS, 0.9, key=jax.random.key(0)).max() < 1e-4


def test_a_record_whose_targets_are_not_finite_is_cut_and_counted():
    info = RolloutInfo(*(jnp.float32(x) for x in (3, 0, 0, 0, 0, 1)))
    measured = jnp.array([1.0, jnp.nan, 2.0, jnp.inf])
    valid, told = seen_in_rollouts(measured, jnp.array([True, True, True, False]), info)
    assert valid.tolist() == [True, False, True, False]
    assert (told.uncertainty, told.cut, told.steps) == (3, 2, 3)
