"""What a policy is worth: its return in the real environment, what its model promised, and what others reach beside it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import jax
import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Float, Float64, Int

from worldrex.data import Transitions
from worldrex.dynamics import WorldModel
from worldrex.evaluation.environments import EvaluationError, Reality, require_fitting
from worldrex.evaluation.episodes import Chooser, Episodes, run_episodes
from worldrex.evaluation.policy_evaluation import MARGIN, evaluate_in_model, over_members
from worldrex.evaluation.selection import Estimate
from worldrex.evaluation.statistics import by_cluster, interquartile_return, mean_return
from worldrex.policy import Policy
from worldrex.policy.worlds import world_of
from worldrex.tasks import Behavior

Manner = Literal["deterministic", "stochastic"]

MANNERS: tuple[Manner, ...] = ("deterministic", "stochastic")
DRAWS = 2000
NUM_ENVS = 16


@dataclass(frozen=True)
class ReturnsConfig:
    """How policies are judged."""

    episodes: int = 50
    """Episodes of each policy, by its deterministic actions and by draws, and of each baseline."""
    seed: int = 0
    """Seed of the environments, the draws and the bootstrap; under the same one all meet the same starts."""
    reference: tuple[float, float] | None = None
    """Returns of a random policy and of a reference one, between which a score of 0 to 100 is told."""


def require_judgeable(config: ReturnsConfig) -> None:
    """Raise `EvaluationError` for settings that nothing can be judged with."""
    if config.episodes < 2 or config.seed < 0:
        raise EvaluationError(
            f"episodes is {config.episodes} and seed {config.seed}; an interval takes 2 episodes or more, and 50 to be of use; "
            "the seed is 0 or more."
        )
    if config.reference is not None:
        low, high = config.reference
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise EvaluationError(
                f"reference is {low:g} and {high:g}; give the return of a random policy, and then the greater one of a "
                "reference policy."
            )


def require_together(
    policies: Sequence[Policy], reality: Reality, model: WorldModel | None, data: Transitions | None
) -> Box:
    """The action space, if policies, environment, model and log fit one another.

    **Raises:** `EvaluationError`, or `PolicyError` for a model that no policy is rolled out in and for a log of other widths.
    """
    if not policies:
        raise EvaluationError("there is no policy to judge.")
    *_, space = [require_fitting(reality, policy) for policy in policies]
    wanted, action_dims = policies[0].scales.obs_mean.shape[0], policies[0].scales.low.shape[0]
    if data is not None and (data.obs.shape[1], data.action.shape[1]) != (wanted, action_dims):
        raise EvaluationError(
            f"the log's obs and action are {data.obs.shape[1]} and {data.action.shape[1]} wide, the policy's {wanted} and "
            f"{action_dims}: give the log that it was learned from."
        )
    if model is not None:
        world = world_of(model, data, uncertainty="aleatoric", margin=MARGIN)
        if (model.obs_dims, model.features.num_inputs(wanted, action_dims)) != (
            wanted,
            world.normalizer.input_mean.shape[-1],
        ):
            raise EvaluationError(
                f"the model was fitted on obs of {model.obs_dims} and other actions than the policy's ({wanted} and "
                f"{action_dims}): give the model that it was learned in."
            )
    return space


def judge(
    policies: Sequence[Policy], reality: Reality, config: ReturnsConfig | None = None, *,
    model: WorldModel | None = None, data: Transitions | None = None, cloned: Policy | None = None,
    tick: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Returns of the policies in reality and in the model, and of the baselines, as summary.json has them.

    **Arguments:**

    - `policies`: one, or several that the same learner made under several seeds.
    - `reality`: from `reality_of_task` or `reality_of`; a task has behaviors to compare with.
    - `model`: what promised something else, maybe; `data`: the log that it was fitted on, which bounds its rollouts and, where
      there is no task, is a baseline; `cloned`: what `clone` made of that log, another baseline.
    - `tick`: told the episodes that were run and how many there are in all.

    **Raises:** `EvaluationError` for what does not fit together, before anything is run.
    """
    config = config or ReturnsConfig()
    require_judgeable(config)
    space = require_together(policies, reality, model, data)
    others = _choosers(reality, space, config.seed)
    if cloned is not None:
        others["behavior cloning"] = _chooser(cloned, "deterministic", config.seed)
    total = config.episodes * (len(MANNERS) * len(policies) + len(others))
    before = 0

    def told_of(done: int) -> None:
        if tick is not None:
            tick(before + done, total)

    def run(choose: Chooser) -> Episodes:
        nonlocal before
        env = reality.make_many(min(NUM_ENVS, config.episodes))
        ran = run_episodes(env, choose, config.episodes, seed=config.seed, tick=told_of)
        before += config.episodes
        return ran

    ran: list[dict[Manner, Episodes]] = [
        {manner: run(_chooser(policy, manner, config.seed)) for manner in MANNERS} for policy in policies
    ]
    beside = {name: run(choose) for name, choose in others.items()}
    behaviors = [behavior.name for behavior in reality.task.logged] if reality.task else []
    told = {name: returns_of(episodes.returns[None], episodes.steps, config) for name, episodes in beside.items()}
    if reality.task is None and data is not None:
        logged = logged_episodes(data)
        behaviors = list(logged)
        told |= {name: returns_of(returns[None], steps, config) for name, (returns, steps) in logged.items()}
    best = max(behaviors, key=lambda name: told[name]["return"]["value"], default=None)
    each = [
        _judged(policy, episodes, reality, config, model, data) for policy, episodes in zip(policies, ran, strict=True)
    ]
    summary: dict[str, Any] = {
        "env": reality.env_id, "task": reality.task.name if reality.task else None,
        "episode_steps": reality.episode_steps, "episodes": config.episodes, "seed": config.seed,
        "reference": config.reference, "policies": each, "baselines": told, "best_behavior": best,
        "bounded": None if model is None else data is not None,
    }  # fmt: skip
    if len(policies) > 1:
        summary["all"] = {
            manner: returns_of(
                np.stack([episodes[manner].returns for episodes in ran]),
                np.concatenate([episodes[manner].steps for episodes in ran]), config,
            )
            for manner in MANNERS
        }  # fmt: skip
    if best is not None and reality.task is not None:
        differences = [episodes["deterministic"].returns - beside[best].returns for episodes in ran]
        summary["over_best_behavior"] = asdict(_mean(np.stack(differences), config))
    return summary


def returns_of(
    returns: Float[np.ndarray, "run episode"], steps: Int[np.ndarray, " ended"], config: ReturnsConfig
) -> dict[str, Any]:
    """Interquartile mean and mean of the returns, with intervals, their spread, and the normalized score.

        normalized = 100 (return - random) / (reference - random)

    Source of the score: Fu et al. 2020, arXiv 2004.07219.
    """
    middle = interquartile_return(returns, draws=DRAWS, seed=config.seed)
    told: dict[str, Any] = {
        "return": middle._asdict(), "mean": asdict(_mean(returns, config)), "std": float(returns.std()),
        "least": float(returns.min()), "greatest": float(returns.max()),
        "episodes": returns.size, "steps": float(steps.mean()),
    }  # fmt: skip
    if config.reference is not None:
        low, high = config.reference
        told["normalized"] = {name: 100 * (value - low) / (high - low) for name, value in middle._asdict().items()}
    return told


def logged_episodes(
    data: Transitions,
) -> dict[str, tuple[Float64[np.ndarray, " episode"], Int[np.ndarray, " episode"]]]:
    """Returns and steps of the logged episodes of each behavior that has any."""
    found = {}
    for number, name in enumerate(data.behavior_names):
        of_it = data.behavior == number
        if of_it.any():
            returns, steps = by_cluster(data.reward[of_it].astype(np.float64), data.episode[of_it])
            found[name] = returns, steps.astype(np.int64)
    return found


def _judged(
    policy: Policy, ran: dict[Manner, Episodes], reality: Reality, config: ReturnsConfig, model: WorldModel | None,
    data: Transitions | None,
) -> dict[str, Any]:  # fmt: skip
    """One policy in reality and, from the same starts, in the model."""
    told: dict[str, Any] = {}
    for manner, episodes in ran.items():
        told[manner] = returns_of(episodes.returns[None], episodes.steps, config)
        if model is not None:
            promised = evaluate_in_model(
                model, policy, episodes.starts, reality.episode_steps, data=data, stochastic=manner == "stochastic",
                seed=config.seed,
            )  # fmt: skip
            gap = over_members(promised.returns - episodes.returns[None])
            real = abs(told[manner]["mean"]["value"])
            told[manner] |= {
                "promised": asdict(promised.estimate) | {"members": promised.returns.mean(1), "cut": promised.cut},
                "gap": asdict(gap) | {"share": gap.value / real if real else None},
            }
    return told


def _mean(returns: Float[np.ndarray, "run episode"], config: ReturnsConfig) -> Estimate:
    return Estimate(*mean_return(returns, draws=DRAWS, seed=config.seed))


def _chooser(policy: Policy, manner: Manner, seed: int) -> Chooser:
    """The policy's actions, each step's drawn from a key of its own."""
    if manner == "deterministic":
        return lambda obs, info: np.asarray(policy.act(obs))
    key, number = jax.random.key(seed), 0

    def draw(obs: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        nonlocal number
        number += 1
        return np.asarray(policy.act(obs, key=jax.random.fold_in(key, number)))

    return draw


def _choosers(reality: Reality, space: Box, seed: int) -> dict[str, Chooser]:
    """The baselines that are run in reality: nothing, where that is an action; at random, where there is a range; behaviors."""
    found: dict[str, Chooser] = {}
    if ((space.low <= 0) & (space.high >= 0)).all():
        found["do nothing"] = lambda obs, info: np.zeros((len(obs), *space.shape), np.float32)
    if np.isfinite(space.low).all() and np.isfinite(space.high).all():
        rng = np.random.default_rng([seed, 0])
        found["random actions"] = lambda obs, info: rng.uniform(space.low, space.high, (len(obs), *space.shape))
    for number, behavior in enumerate(reality.task.logged if reality.task else (), start=1):
        found[behavior.name] = _operator(behavior, space, np.random.default_rng([seed, number]))
    return found


def _operator(behavior: Behavior, space: Box, rng: np.random.Generator) -> Chooser:
    """A behavior, who sees the gust."""
    return lambda obs, info: behavior.act(obs, info["gust"], space=space, rng=rng)
