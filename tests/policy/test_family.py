"""What the options of the MOPO family do to the policy that is learned, where the model promises much beyond the log."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tests.dynamics.conftest import same_bits
from tests.dynamics.gust import gust_log
from tests.dynamics.made_up import TRUTH, linear_model
from tests.policy.made_up import SCALES
from worldrex.policy import Learned, MOPOConfig, PolicyRun, optimize_runs, setting_of
from worldrex.policy.absorbing import Absorbing
from worldrex.policy.learning import learn
from worldrex.policy.mopo import stacked
from worldrex.policy.programs import Setting
from worldrex.policy.replay import Batch
from worldrex.policy.worlds import Outcome

CONFIG = MOPOConfig(
    hidden=(16, 16), batch=64, steps=600, rollouts=64, horizon=1, rollout_every=20, retain=10, real_ratio=0.5,
    learning_rate=3e-3, tau=0.05, discount=0.5, temperature=0.1, action_low=(-2.0,), action_high=(2.0,),
)  # fmt: skip
STARTS = np.random.default_rng(0).normal(size=(128, 2)).astype(np.float32)


class Trap(NamedTuple):
    """The reward is promised to rise with the action for ever; beyond 1 nobody was."""

    slope: Float[Array, ""]

    def step(self, obs: Float[Array, "batch obs"], action: Float[Array, "batch act"], *, key: PRNGKeyArray) -> Outcome:
        """The obs stays."""
        beyond = jnp.maximum(action[:, 0] - 1, 0)
        return Outcome(obs, self.slope * action[:, 0], beyond, jnp.zeros(obs.shape[0], bool))


def action_in_trap(config: MOPOConfig = CONFIG, absorbing: Absorbing | None = None) -> float:
    """What the policy does after learning from a log of actions within [-1, 1]."""
    unit = np.random.default_rng(1).uniform(-0.5, 0.5, (128, 1)).astype(np.float32)
    log = Batch(STARTS, unit, 2 * unit[:, 0], STARTS, np.zeros(128, np.float32))
    setting = Setting(stacked([Trap(jnp.float32(1.0))]), SCALES, jax.tree.map(jnp.asarray, log), STARTS, STARTS)
    if absorbing is not None:
        setting = setting._replace(absorbing=stacked([absorbing]))
    found = learn(setting, [PolicyRun(0.0, 0)], config, 5)
    if absorbing is not None:
        assert 0 < found.progress.absorbed[0] < 0.5
        assert found.progress.terminated[0] == 0
    return float(found.policies[0].act(STARTS).mean())


def test_morel_and_combo_keep_out_of_the_trap():
    assert action_in_trap() > 1.6
    assert 0.2 < action_in_trap(absorbing=Absorbing(jnp.float32(0.05), jnp.float32(-20.0))) < 1.05
    assert -1 < action_in_trap(replace(CONFIG, conservatism=20.0)) < 1.05


ALIKE = {name: np.zeros((3, 3)) for name in ("one", "other")}
for reward, weight in zip((3.0, -1.0), ALIKE.values(), strict=True):
    weight[2, 2] = reward
"""Two elites whose obs stay; the reward is 3 and -1 times the action, once the mean."""


def learned_by(config: MOPOConfig, *pessimism: float) -> Learned:
    models = [linear_model(*ALIKE.values(), std=0.01)]
    return optimize_runs(models, gust_log(2), [PolicyRun(value, 0) for value in pessimism], config)


def test_mobile_keeps_to_what_the_elites_agree_on():
    config = replace(CONFIG, uncertainty="bellman", margin=10.0, real_ratio=0.05)
    found = learned_by(config, 0.0, 3.0)
    plain, pessimistic = (float(policy.act(STARTS).mean()) for policy in found.policies)
    assert plain > 1.5
    assert abs(pessimistic) < 0.5
    assert found.progress.uncertainty[0] > 1.5 * found.progress.uncertainty[1] > 0
    assert found.progress.cut.sum() == 0


def test_mobile_penalizes_no_record_of_the_log():
    config = replace(CONFIG, uncertainty="bellman", margin=10.0, real_ratio=1.0, steps=40)
    one, other = learned_by(config, 0.0, 3.0).policies
    assert same_bits(jax.tree.leaves(one.actor), jax.tree.leaves(other.actor))


def test_models_with_their_spreads_and_absorbing_states_learn_as_one_program():
    """Each run has those of its own model."""
    wrong = TRUTH + np.array([[0, 0, 0], [0, 0, 0], [0, 0.4, 0]])
    models = [linear_model(wrong), linear_model(TRUTH)]
    data = gust_log(5)
    config = replace(CONFIG, uncertainty="behavior_spread", absorb_beyond=0.9, steps=20)
    setting = setting_of(models, data, config)
    assert setting.absorbing is not None
    assert setting.absorbing.beyond[0] > 1.5 * setting.absorbing.beyond[1]
    np.testing.assert_allclose(setting.absorbing.worth, data.reward.min(), rtol=1e-6)  # at a discount of 0.5
    together = optimize_runs(models, data, [PolicyRun(1.0, 0, 0), PolicyRun(1.0, 0, 1)], config).progress
    assert together.uncertainty[0] > 1.5 * together.uncertainty[1]
    assert ((together.absorbed > 0) & (together.absorbed < 1)).all()
    assert not together.cut.any()
