from dataclasses import replace

import jax
import numpy as np
import pytest

from tests.policy.made_up import SCALES
from worldrex.policy.acting import Happened, Learner, advance, begin
from worldrex.policy.sac import SACConfig

CONFIG = SACConfig(hidden=(8,), batch=16, learning_rate=1e-2)
OBS = np.array([[0.5, -0.5], [1.0, 2.0]], np.float32)


def learner_of(config: SACConfig = CONFIG, steps: int = 20) -> Learner:
    """One that has seen some steps, and has learned nothing yet."""
    learner, _ = begin(OBS, np.bool_(False), SCALES, 100, config, key=jax.random.key(0))
    for number in range(steps):
        learner, _ = advanced(learner, number, 0, config)
    return learner


def advanced(learner: Learner, number: int, updates: int, config: SACConfig = CONFIG) -> tuple[Learner, np.ndarray]:
    rng = np.random.default_rng(number)
    happened = Happened(
        rng.normal(size=(2, 2)).astype(np.float32), rng.normal(size=2).astype(np.float32), np.zeros(2, bool),
        np.ones(2, bool),
    )  # fmt: skip
    # A copy: it is given away.
    after, action = advance(
        jax.tree.map(lambda x: x.copy(), learner), happened, np.int32(updates), np.bool_(False), SCALES, config
    )
    return after, np.asarray(action)


def test_the_updated_actor_acts():
    """From the same key, the updated one without a further update does the same."""
    before = learner_of()
    after, action = advanced(before, 100, 3)
    _, again = advanced(after._replace(key=before.key), 100, 0)
    np.testing.assert_allclose(action, again, rtol=1e-6)
    _, stale = advanced(before, 100, 0)
    assert (abs(action - stale) > 1e-4).all()


@pytest.mark.parametrize("updates", [0, 1, 4])
def test_so_many_updates_are_made(updates: int):
    after, _ = advanced(learner_of(), 100, updates)
    assert int(after.sac.critics_optimizer.count) == updates
    assert (float(after.sums.temperature) > 0) == (updates > 0)


def test_each_update_has_a_batch_of_its_own():
    """Where the networks stand still, only the batches differ."""
    config = replace(CONFIG, learning_rate=1e-30, tau=0.0)
    before = learner_of(config)
    losses = [float(advanced(before, 100, updates, config)[0].sums.critic_loss) for updates in (1, 2)]
    assert abs(losses[1] - 2 * losses[0]) > 1e-3 * losses[0]
    other, _ = advanced(before._replace(key=jax.random.key(9)), 100, 1, config)
    assert float(other.sums.critic_loss) != pytest.approx(losses[0], rel=1e-3)


def test_actions_stay_within_their_bounds():
    scales = SCALES._replace(low=np.float32([-0.7]), high=np.float32([0.1]))
    learner, _ = begin(OBS, np.bool_(False), scales, 10, CONFIG, key=jax.random.key(0))
    weight, bias = learner.sac.actor.mean
    for push in (50.0, -50.0):
        pushed = learner._replace(
            sac=learner.sac._replace(actor=learner.sac.actor._replace(mean=(weight, bias + push)))
        )
        happened = Happened(OBS, np.zeros(2, np.float32), np.zeros(2, bool), np.ones(2, bool))
        _, action = advance(
            jax.tree.map(lambda x: x.copy(), pushed), happened, np.int32(0), np.bool_(False), scales, CONFIG
        )
        np.testing.assert_array_equal(action, np.full((2, 1), 0.1 if push > 0 else -0.7, np.float32))
