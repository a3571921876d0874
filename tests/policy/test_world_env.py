import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tests.dynamics.gust import MEMORY, gust_log
from tests.dynamics.made_up import TRUTH, linear_model
from worldrex.data import DataError, Transitions
from worldrex.dynamics import Features, ModelError, WorldModel
from worldrex.policy import Policy, PolicyError, Scales, WorldEnv, WorldVectorEnv, replay, sac
from worldrex.policy.replay import Batch, Replay
from worldrex.policy.sac import SACState
from worldrex.policy.worlds import EnsembleWorld, world_of

BOUNDS = {"action_low": (-1.0,), "action_high": (1.0,)}
OTHER = TRUTH + np.array([[0.0, 0.0, 0.0], [0.0, -0.1, 0.0], [0.0, 0.2, 1.0]])
ACTION = np.array([0.5], np.float32)


@pytest.fixture(scope="module")
def data() -> Transitions:
    """Five episodes of each of four operators, their actions within [-1, 1]."""
    log = gust_log(5)
    return replace(log, action=np.clip(log.action, -1, 1))


@pytest.fixture(scope="module")
def model() -> WorldModel:
    """Hardly noisy; only its members 0 and 2 predict, and they differ."""
    return linear_model(TRUTH, 100 * TRUTH, OTHER, std=1e-6)._replace(elites=np.array([0, 2]))


def make(model: WorldModel, data: Transitions, **more: Any) -> WorldEnv:
    env = gymnasium.make("worldrex/World-v0", model=model, data=data, **BOUNDS, **more).unwrapped
    assert isinstance(env, WorldEnv)
    return env


def make_many(model: WorldModel, data: Transitions, num_envs: int, **more: Any) -> WorldVectorEnv:
    env = gymnasium.make_vec(
        "worldrex/World-v0", num_envs=num_envs, vectorization_mode="vector_entry_point", model=model, data=data, **BOUNDS,
        **more,
    )  # fmt: skip
    assert isinstance(env, WorldVectorEnv)
    return env


def expected(weight: np.ndarray, obs: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Next obs and reward of (obs, action) W."""
    change = np.column_stack([obs, action]) @ weight
    return obs + change[:, :-1], change[:, -1]


def test_gymnasium_has_nothing_to_say_against_it(model: WorldModel, data: Transitions):
    """Warnings are errors here. A component that never changes, or an angle's turn, leads to spaces of their own."""
    check_env(make(model, data))
    still = replace(data, obs=data.obs.copy(), next_obs=data.next_obs.copy())
    still.obs[:, 1], still.next_obs[:, 1] = 3.0, 3.0
    check_env(make(model, still))
    turned = replace(data, obs=np.clip(data.obs, -np.pi, np.pi), next_obs=np.clip(data.next_obs, -np.pi, np.pi))
    angular = linear_model(np.zeros((4, 3)), std=0.1)._replace(features=Features(angles=(0,)))
    check_env(make(angular, turned, starts="any"))


def test_in_the_units_of_the_action_only_the_usual_advice_is_left(model: WorldModel, data: Transitions):
    """Gymnasium's own Pendulum-v1 hears the same."""
    env = gymnasium.make("worldrex/World-v0", model=model, data=data, action_low=(-3.0,), action_high=(3.0,))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        check_env(env.unwrapped)
    assert len(told) == 1
    assert "symmetric and normalized space" in str(told[0].message)


def test_spaces_are_those_of_the_log(model: WorldModel, data: Transitions):
    env = WorldEnv(model, data, margin=0.5)
    assert env.action_space.low == data.action.min()
    assert env.action_space.high == data.action.max()
    both = np.concatenate([data.obs, data.next_obs])
    width = both.max(0) - both.min(0)
    np.testing.assert_allclose(env.observation_space.low, both.min(0) - 0.5 * width, rtol=1e-5)
    np.testing.assert_allclose(env.observation_space.high, both.max(0) + 0.5 * width, rtol=1e-5)


def test_a_step_is_that_of_the_member_that_is_told(model: WorldModel, data: Transitions):
    env = make_many(model, data, 50)
    obs, _ = env.reset(seed=0)
    action = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
    after, reward, terminated, truncated, info = env.step(action)
    assert set(info["member"]) == {0, 2}
    for member, weight in ((0, TRUTH), (2, OTHER)):
        of_it = info["member"] == member
        next_obs, rewards = expected(weight, obs[of_it], action[of_it])
        np.testing.assert_allclose(after[of_it], next_obs, atol=1e-4)
        np.testing.assert_allclose(reward[of_it], rewards, atol=1e-4)
    assert not terminated.any()
    assert not truncated.any()


def test_the_reward_is_less_by_pessimism_times_the_uncertainty_that_is_told(model: WorldModel, data: Transitions):
    trusting = make(model, data, uncertainty="pairwise")
    wary = make(model, data, uncertainty="pairwise", pessimism=2.0)
    obs, _ = trusting.reset(seed=3)
    wary.reset(seed=3)
    _, reward, _, _, info = trusting.step(ACTION)
    _, less, _, _, told = wary.step(ACTION)
    apart = np.abs(np.r_[obs, ACTION] @ (OTHER - TRUTH))
    assert info["uncertainty"] == pytest.approx(np.linalg.norm(apart), rel=1e-3)
    assert told["uncertainty"] == info["uncertainty"]
    assert less == pytest.approx(reward - 2 * info["uncertainty"], abs=1e-5)


def test_actions_beyond_the_space_are_held_at_its_end(model: WorldModel, data: Transitions):
    env = make(model, data)
    steps = []
    for action in (1.0, 50.0):
        env.reset(seed=4)
        steps.append(env.step(np.array([action], np.float32))[0])
    np.testing.assert_array_equal(*steps)


def test_episodes_begin_where_logged_ones_did_or_anywhere_in_the_log(model: WorldModel, data: Transitions):
    logged = {"first": data.obs[::20], "any": data.obs}
    for starts, rows in logged.items():
        env = make(model, data, starts=starts)
        env.reset(seed=0)
        begun = np.array([env.reset()[0] for _ in range(200)])
        place = np.array([np.flatnonzero((rows == obs).all(1)) for obs in begun])
        assert len(np.unique(place)) > {"first": 15, "any": 100}[starts]
    given = np.array([0.1, 0.2], np.float32)
    np.testing.assert_array_equal(env.reset(options={"obs": given})[0], given)
    for wrong in (np.zeros(3), np.array([0.0, np.nan]), np.zeros((2, 2))):
        with pytest.raises(PolicyError, match=r"give a finite observation of width 2 for each of 1 env"):
            env.reset(options={"obs": wrong})


@pytest.mark.parametrize(("given", "steps"), [(None, 20), (3, 3)])
def test_an_episode_is_truncated_after_its_steps(model: WorldModel, data: Transitions, given: int | None, steps: int):
    env = make(model, data, episode_steps=given)
    for seed in range(2):
        env.reset(seed=seed)
        ends = [env.step(ACTION)[2:4] for _ in range(steps)]
        assert ends == [(False, False)] * (steps - 1) + [(False, True)]


def trace(env: WorldEnv | WorldVectorEnv, seed: int, steps: int = 30) -> np.ndarray:
    """All that is told of steps with the same action, from a seed on."""
    action = np.broadcast_to(ACTION, env.action_space.shape)
    rows = [env.reset(seed=seed)[0].ravel()]
    for _ in range(steps):
        obs, reward, terminated, truncated, info = env.step(action)
        told = (obs, reward, terminated, truncated, info["uncertainty"], info["member"])
        rows.append(np.concatenate([np.ravel(x) for x in told]))
        if isinstance(env, WorldEnv) and truncated:
            rows.append(env.reset()[0])
    return np.concatenate(rows)


def test_the_same_seed_gives_the_same_to_the_bit_and_another_one_does_not(data: Transitions):
    noisy = linear_model(TRUTH, OTHER)
    for env in (make(noisy, data, episode_steps=8), make_many(noisy, data, 3, episode_steps=8)):
        first = trace(env, 1)
        np.testing.assert_array_equal(first, trace(env, 1))
        assert (first != trace(env, 2)).mean() > 0.3


def test_each_step_and_each_environment_has_noise_of_its_own(data: Transitions):
    env = make_many(linear_model(TRUTH), data, 4)
    obs, _ = env.reset(seed=0, options={"obs": np.zeros((4, 2))})
    drawn = [env.step(np.zeros((4, 1), np.float32))[0]]
    env.reset(seed=0, options={"obs": np.zeros((4, 2))})
    env.step(np.zeros((4, 1), np.float32))
    drawn.append(env.step(np.zeros((4, 1), np.float32))[0] - drawn[0] @ MEMORY.T.astype(np.float32))
    assert len(np.unique(np.round(drawn, 5))) == 16
    assert obs.sum() == 0


def test_the_step_after_an_end_begins_the_next_episode(model: WorldModel, data: Transitions):
    env = make_many(model, data, 3, episode_steps=2)
    assert env.metadata["autoreset_mode"] == gymnasium.vector.AutoresetMode.NEXT_STEP
    env.reset(seed=0)
    first = data.obs[::20]
    for _ in range(3):
        *_, info = env.step(np.ones((3, 1), np.float32))
        assert info["_member"].all()
        *_, truncated, info = env.step(np.ones((3, 1), np.float32))
        assert truncated.all()
        obs, reward, terminated, truncated, info = env.step(np.ones((3, 1), np.float32))
        assert not truncated.any()
        assert not terminated.any()
        assert not reward.any()
        assert not info["_uncertainty"].any()
        assert all((first == row).all(1).any() for row in obs)


def test_environments_end_each_for_itself(model: WorldModel, data: Transitions):
    env = make_many(model._replace(termination="0:-3:3"), data, 2)
    env.reset(seed=0, options={"obs": np.array([[5.0, 0.0], [0.0, 0.0]])})
    _, _, terminated, truncated, _ = env.step(np.zeros((2, 1), np.float32))
    assert terminated.tolist() == [True, False]
    assert not truncated.any()
    obs, _, terminated, _, info = env.step(np.zeros((2, 1), np.float32))
    assert info["_cut"].tolist() == [False, True]
    assert (data.obs[::20] == obs[0]).all(1).any()
    assert not terminated.any()
    alone = make(model._replace(termination="0:-3:3"), data)
    alone.reset(options={"obs": np.array([5.0, 0.0])})
    assert alone.step(ACTION)[2:4] == (True, False)


def test_what_is_not_finite_is_cut_and_never_seen(model: WorldModel, data: Transitions):
    broken = linear_model(np.full((3, 3), np.nan))._replace(termination="0:-3:3")
    env = make(broken, data, pessimism=1.0)
    obs, _ = env.reset(seed=0)
    after, reward, terminated, truncated, info = env.step(ACTION)
    np.testing.assert_array_equal(after, obs)
    assert (reward, terminated, truncated, info["cut"]) == (0.0, False, True, True)


def test_an_angle_that_the_log_counts_on_is_not_bounded(data: Transitions):
    """The log's angle goes over many turns; the model's stays where its features put it."""
    wound = replace(data, obs=data.obs + 20, next_obs=data.next_obs + 20)
    world = world_of(
        linear_model(np.zeros((4, 3)), std=1e-6)._replace(features=Features(angles=(0,))), wound,
        uncertainty="aleatoric", margin=0.1,
    )  # fmt: skip
    outcome = jax.jit(EnsembleWorld.step)(
        world, jnp.asarray(wound.obs[:4]), jnp.asarray(wound.action[:4]), key=jax.random.key(0)
    )
    np.testing.assert_allclose(outcome.next_obs[:, 0], wound.obs[:4, 0], atol=1e-3)


def test_without_a_log_nothing_bounds_a_world(data: Transitions):
    world = world_of(linear_model(np.full((3, 3), 1e6)), None, uncertainty="aleatoric", margin=0.1)
    outcome = jax.jit(EnsembleWorld.step)(world, jnp.ones((1, 2)), jnp.ones((1, 1)), key=jax.random.key(0))
    np.testing.assert_allclose(outcome.next_obs, 3e6, rtol=1e-5)


def test_paths_do_as_well(data: Transitions, tmp_path: Path):
    noisy = linear_model(TRUTH, OTHER)
    noisy.save(tmp_path / "model")
    data.save(tmp_path / "log.parquet")
    env = gymnasium.make("worldrex/World-v0", model=tmp_path / "model", data=str(tmp_path / "log.parquet"), **BOUNDS)
    assert isinstance(env.unwrapped, WorldEnv)
    np.testing.assert_array_equal(trace(env.unwrapped, 1), trace(make(noisy, data), 1))


def test_what_cannot_be_used_is_refused(model: WorldModel, data: Transitions, tmp_path: Path):
    for given, message in (
        ({"starts": "last"}, "starts is 'last'; choose 'first'"),
        ({"episode_steps": 0}, "episode_steps is 0"),
        ({"pessimism": -1.0}, "pessimism is -1"),
        ({"action_low": (2.0,), "action_high": (1.0,)}, "nothing to choose"),
    ):
        with pytest.raises(PolicyError, match=message):
            WorldEnv(model, data, **given)
    with pytest.raises(PolicyError, match="num_envs is 0"):
        WorldVectorEnv(0, model, data)
    with pytest.raises(PolicyError, match="the log's obs and action are 2 and 2 wide"):
        WorldEnv(model, replace(data, action=np.repeat(data.action, 2, 1)))
    with pytest.raises(DataError):
        WorldEnv(model, replace(data, reward=np.full_like(data.reward, np.nan)))
    with pytest.raises(ModelError, match="holds no model"):
        WorldEnv(tmp_path, data)
    for env in (make(model, data), make_many(model, data, 1)):
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(env.action_space.sample())


PAYS_TO_PUSH_BACK = np.array([[-0.2, 0.0, 0.0], [0.0, -0.2, 0.0], [0.0, 0.1, -1.0]])
"""Changes of obs, and a reward of minus the action: the best episode of 10 steps in [-1, 1] returns 10."""


@pytest.fixture(scope="module")
def easy() -> WorldModel:
    return linear_model(PAYS_TO_PUSH_BACK, PAYS_TO_PUSH_BACK, std=0.05)


def test_our_own_sac_learns_in_it_with_a_loop_as_cleanrl_has_it(easy: WorldModel, data: Transitions):
    env = make_many(easy, data, 8, episode_steps=10)
    config = sac.SACConfig(hidden=(16,), batch=64, learning_rate=1e-2, discount=0.5, temperature=0.1)
    scales = Scales(
        np.zeros(2, np.float32), np.ones(2, np.float32), env.single_action_space.low, env.single_action_space.high
    )
    state = sac.init(2, 1, config, key=jax.random.key(0))
    buffer = replay.init(1200, 2, 1)

    @jax.jit
    def act(state: SACState, obs: jax.Array, number: int) -> jax.Array:
        return Policy(state.actor, scales, {}).act(obs, key=jax.random.key(number))

    @jax.jit
    def learn(
        state: SACState, buffer: Replay, records: Batch, valid: jax.Array, number: int
    ) -> tuple[SACState, Replay]:
        for_batch, for_step = jax.random.split(jax.random.key(number))
        buffer = replay.add(buffer, records, valid)
        batch = replay.draw(buffer, buffer.records, config.batch, 0, key=for_batch)
        return sac.step(state, batch, config, key=for_step)[0], buffer

    obs, _ = env.reset(seed=0)
    ended = np.zeros(8, bool)
    returns, current = [], np.zeros(8)
    for number in range(150):
        action = np.asarray(act(state, obs, number))
        after, reward, terminated, truncated, _ = env.step(action)
        records = Batch(*(jnp.asarray(x, jnp.float32) for x in (obs, action, reward, after, terminated)))
        state, buffer = learn(state, buffer, records, jnp.asarray(~ended), number)
        current = np.where(ended, 0, current + reward)
        ended = terminated | truncated
        returns += current[ended].tolist()
        obs = after
    assert int(buffer.size) == 8 * (150 - 13)
    written = jax.tree.map(lambda x: np.asarray(x)[: int(buffer.size)], buffer.records)
    np.testing.assert_allclose(written.reward, -written.action[:, 0], atol=0.3)
    np.testing.assert_allclose(written.next_obs[:, 0], 0.8 * written.obs[:, 0], atol=0.3)
    assert abs(np.mean(returns[:16])) < 4
    assert np.mean(returns[-16:]) > 8


def test_stable_baselines3_learns_in_it(easy: WorldModel, data: Transitions):
    """Its SAC as it comes, but small."""
    sb3 = pytest.importorskip("stable_baselines3", reason="needs stable_baselines3: make test FRAMEWORKS=torch")
    import torch

    torch.set_num_threads(1)
    env = make(easy, data, episode_steps=10)
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # those of its own dependencies
        learner = sb3.SAC(
            "MlpPolicy", env, learning_starts=50, batch_size=64, learning_rate=1e-2, gamma=0.5, ent_coef=0.1,
            policy_kwargs={"net_arch": [16]}, seed=0, device="cpu",
        )  # fmt: skip
        learner.learn(250)
    total = 0.0
    obs, _ = env.reset(seed=5)
    for _ in range(10):
        action, _ = learner.predict(obs, deterministic=True)
        obs, reward, _, truncated, _ = env.step(action)
        total += reward
    assert truncated
    assert total > 8


def test_the_uncertainty_may_be_what_the_behaviors_ask_of_the_model(model: WorldModel, data: Transitions):
    env = make(model, data, uncertainty="behavior_spread", pessimism=2.0, starts="any")
    env.reset(seed=0, options={"obs": data.obs[0]})
    _, reward, _, _, info = env.step(ACTION)
    world = world_of(model, data, uncertainty="behavior_spread", margin=0.1)
    assert info["uncertainty"] == pytest.approx(float(world.uncertainty(data.obs[:1], ACTION[None])[0]), abs=1e-5)
    assert info["uncertainty"] > 0
    plain = make(model, data, starts="any")
    plain.reset(seed=0, options={"obs": data.obs[0]})
    assert reward == pytest.approx(plain.step(ACTION)[1] - 2 * info["uncertainty"], abs=1e-4)
    with pytest.raises(PolicyError, match="bellman is of the critics that learn a policy, and a world has none"):
        make(model, data, uncertainty="bellman")
