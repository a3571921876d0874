"""Soft actor-critic by itself: a policy that learns by acting in a real environment."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from jaxtyping import Array, Float32, Float64, Int

from worldrex.dynamics import TrainingError
from worldrex.policy.acting import Happened, Learner, advance, begin, no_sums
from worldrex.policy.errors import PolicyError
from worldrex.policy.policy import Policy
from worldrex.policy.sac import SACConfig, SACInfo
from worldrex.policy.scales import Scales
from worldrex.policy.settings import BAD_SHARE, require_learnable


@dataclass(frozen=True)
class OnlineConfig(SACConfig):
    """How a policy learns by acting."""

    steps: int = 100_000
    """Transitions of the environment, over all that stand side by side."""
    learning_starts: int = 100
    """Transitions by uniformly random actions before the first update."""
    buffer: int = 1_000_000
    """Transitions that are remembered; the oldest one is forgotten first."""
    updates_per_step: int = 1
    """Updates each time that the environments, all at once, take a step."""
    seed: int = 0
    """Seed of the first weights, the environments, the draws and the batches."""


class OnlineProgress(NamedTuple):
    """Where learning stands, and what came since the last report."""

    step: int
    """Transitions so far."""
    total: int
    ended: Int[np.ndarray, " episode"]
    """Transitions so far when each of the episodes ended, that ended since."""
    returns: Float64[np.ndarray, " episode"]
    """Sum of the rewards of each of them, undiscounted."""
    updates: int
    """Since the last report; the next four are means over them, zero where there were none."""
    critic_loss: float
    value: float
    entropy: float
    temperature: float
    skipped: int
    """Updates so far that were not finite and changed nothing."""
    policy: Policy
    """As it is now."""


def learn_online(
    envs: VectorEnv, config: OnlineConfig | None = None, *, scales: Scales | None = None,
    report: Callable[[OnlineProgress], None] | None = None, report_every: int = 1000,
    tick: Callable[[int, int], None] | None = None,
) -> Policy:  # fmt: skip
    """Learn a policy by acting in the environment itself: soft actor-critic as Stable-Baselines3 runs it, by its defaults.

    The first `learning_starts` transitions come of uniformly random actions; from then on the policy's draws are done, and at
    each step of the environments `updates_per_step` batches are drawn from all that happened. A transition that was cut off
    (truncated) has a future, one that terminated has none, and the step that begins the next episode is none.

    **Arguments:**

    - `envs`: one environment or several side by side, with next-step autoreset (`gymnasium.make_vec`); closed in the end.
    - `scales`: how the networks see observations, and between which bounds they act; as they come, and the action space's, if
      not given.
    - `report`: called about every `report_every` transitions and at the end; `tick` likewise, with the transitions done and in
      all.

    **Returns:** the `Policy`, the same to the bit under the same seed. **Raises:** `PolicyError` for what no policy can be
    learned in or with, `TrainingError` if learning diverges, or where an environment tells what is not finite.

    Source: Haarnoja et al. 2018, arXiv 1812.05905, algorithm 1.
    """
    config = config or OnlineConfig()
    require_learnable(config)
    if report_every < 1:
        raise PolicyError(f"report_every is {report_every}; give a number of transitions, 1 or more.")
    scales = _scales_of(envs, scales)
    settings = SACConfig(**{field.name: getattr(config, field.name) for field in fields(SACConfig)})
    trained = {"algorithm": "sac", **asdict(config)}
    done = since = updates = skipped = 0
    ended = np.zeros(envs.num_envs, bool)
    current = np.zeros(envs.num_envs)
    episodes: list[tuple[int, float]] = []
    try:
        obs, _ = envs.reset(seed=config.seed)
        capacity = min(config.buffer, config.steps + envs.num_envs)
        learner, action = begin(
            np.asarray(obs, np.float32), np.bool_(config.learning_starts > 0), scales, capacity, settings,
            key=jax.random.key(config.seed),
        )  # fmt: skip
        while done < config.steps:
            obs, reward, terminated, truncated, _ = envs.step(np.asarray(action))
            happened = Happened(np.asarray(obs, np.float32), np.asarray(reward, np.float32), terminated, ~ended)
            _require_finite(happened, action, done)
            done += int(happened.valid.sum())
            count = config.updates_per_step if happened.valid.any() and done > config.learning_starts else 0
            learner, action = advance(
                learner, happened, np.int32(count), np.bool_(done < config.learning_starts), scales, settings
            )
            updates += count
            # Gymnasium resets in the step after an episode's end: that step ignores its action and is none of an episode.
            current = np.where(ended, 0.0, current + reward)
            ended = terminated | truncated
            episodes += [(done, float(total)) for total in current[ended]]
            if done // report_every > since // report_every or done >= config.steps:
                _require_sound(learner.sums, updates, since, done)
                skipped += int(learner.sums.bad)
                if report is not None:
                    policy = _policy_of(learner, scales, trained | {"transitions": done})
                    report(_progress(done, config.steps, episodes, updates, learner.sums, skipped, policy))
                if tick is not None:
                    tick(done, config.steps)
                learner, episodes, updates, since = learner._replace(sums=no_sums()), [], 0, done
    finally:
        envs.close()
    return _policy_of(learner, scales, trained | {"transitions": done})


def _scales_of(envs: VectorEnv, given: Scales | None) -> Scales:
    """Those that were given, if the environment fits them, or else its own.

    **Raises:** `PolicyError` for an environment that no policy can learn in.
    """
    obs_space, space = envs.single_observation_space, envs.single_action_space
    for name, found in (("observations", obs_space), ("actions", space)):
        if not (isinstance(found, Box) and len(found.shape) == 1):
            raise PolicyError(
                f"the {name} of the environment are {found}; a policy needs a Box of one axis: flatten, or wrap, it."
            )
    mode = envs.metadata.get("autoreset_mode")
    if mode != AutoresetMode.NEXT_STEP:
        raise PolicyError(
            f"the environments' autoreset_mode is {mode}; learning reads an episode's last observation, so make them with "
            "AutoresetMode.NEXT_STEP."
        )
    assert isinstance(obs_space, Box)
    assert isinstance(space, Box)
    if given is None:
        zeros = np.zeros(obs_space.shape, np.float32)
        given = Scales(zeros, zeros + 1, space.low.astype(np.float32), space.high.astype(np.float32))
    if tuple(x.shape for x in given) != (obs_space.shape, obs_space.shape, space.shape, space.shape):
        raise PolicyError(
            f"the scales are of {given.obs_mean.size}, {given.obs_std.size} observed numbers and {given.low.size} actions; the "
            f"environment has {obs_space.shape[0]} and {space.shape[0]}."
        )
    low, high = np.asarray(given.low), np.asarray(given.high)
    if not (np.isfinite(low) & np.isfinite(high) & (low < high)).all():
        raise PolicyError(
            f"actions go from {low.tolist()} to {high.tolist()}; a policy needs finite bounds with room between: wrap the "
            "environment in RescaleAction or ClipAction, or give scales."
        )
    return Scales(*(jnp.asarray(x, jnp.float32) for x in given))


def _policy_of(learner: Learner, scales: Scales, trained: dict) -> Policy:
    # A copy: the next step works in place.
    return Policy(jax.tree.map(jnp.copy, learner.sac.actor), jax.tree.map(np.asarray, scales), trained)


def _progress(
    done: int, total: int, episodes: list[tuple[int, float]], updates: int, sums: SACInfo, skipped: int, policy: Policy
) -> OnlineProgress:
    ended, returns = (
        np.array([episode[k] for episode in episodes], kind) for k, kind in enumerate((np.int64, np.float64))
    )
    # What was skipped is not in the sums.
    count = max(updates - int(sums.bad), 1)
    critic_loss, value, entropy, temperature, _ = (float(x) / count for x in sums)
    return OnlineProgress(
        done, total, ended, returns, updates, critic_loss, value, entropy, temperature, skipped, policy
    )


def _require_finite(happened: Happened, action: Float32[Array, "env act"], done: int) -> None:
    """Raise `TrainingError` for what would spoil every batch that it is drawn into."""
    bad = ~(np.isfinite(happened.obs).all(1) & np.isfinite(happened.reward))
    if bad.any():
        raise TrainingError(
            f"after {done} transitions the environment gave the observation {np.asarray(happened.obs)[bad][0]} and the reward "
            f"{np.asarray(happened.reward)[bad][0]} for the action {np.asarray(action)[bad][0]}, which nothing can be learned "
            "from: look at the environment, and at how large its observations grow."
        )


def _require_sound(sums: SACInfo, updates: int, start: int, stop: int) -> None:
    if float(sums.bad) > BAD_SHARE * updates:
        raise TrainingError(
            f"learning diverged: between transitions {start} and {stop} most updates were not finite. Lower the learning rate, "
            "or look at the rewards and the scales."
        )
