"""What a policy is worth: its return in the real environment, what its model promised, and what others reach beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Float, Int

from worldrex.data import Transitions
from worldrex.dynamics import WorldModel
from worldrex.evaluation.baselines import baseline_choosers, chooser_of, logged_episodes
from worldrex.evaluation.environments import EvaluationError, Reality, require_fitting
from worldrex.evaluation.episodes import Chooser, Episodes, run_episodes
from worldrex.evaluation.policy_evaluation import MARGIN, evaluate_in_model, over_members
from worldrex.evaluation.selection import Estimate
from worldrex.evaluation.statistics import interquartile_return, mean_return
from worldrex.policy import Policy
from worldrex.policy.worlds import world_of

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
    others = baseline_choosers(reality, space, config.seed)
    if cloned is not None:
        others["behavior cloning"] = chooser_of(cloned, config.seed)
    run = runner(reality, config, len(MANNERS) * len(policies) + len(others), tick)
    ran: list[dict[Manner, Episodes]] = [
        {manner: run(chooser_of(policy, config.seed, stochastic=manner == "stochastic")) for manner in MANNERS}
        for policy in policies
    ]
    beside = {name: run(choose) for name, choose in others.items()}
    told, best = baseline_returns(beside, reality, config, data)
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


def runner(
    reality: Reality, config: ReturnsConfig, choosers: int, tick: Callable[[int, int], None] | None
) -> Callable[[Chooser], Episodes]:
    """What runs the episodes of one of so many choosers, and ticks on over all of them; all meet the same starts."""
    before = 0

    def told_of(done: int) -> None:
        if tick is not None:
            tick(before + done, config.episodes * choosers)

    def run(choose: Chooser) -> Episodes:
        nonlocal before
        env = reality.make_many(min(NUM_ENVS, config.episodes))
        ran = run_episodes(env, choose, config.episodes, seed=config.seed, tick=told_of)
        before += config.episodes
        return ran

    return run


def baseline_returns(
    ran: Mapping[str, Episodes], reality: Reality, config: ReturnsConfig, data: Transitions | None
) -> tuple[dict[str, dict[str, Any]], str | None]:
    """What the baselines that ran returned, without a task also the logged episodes; and the best logged behavior's name."""
    told = {name: returns_of(episodes.returns[None], episodes.steps, config) for name, episodes in ran.items()}
    behaviors = [behavior.name for behavior in reality.task.logged] if reality.task else []
    if reality.task is None and data is not None:
        logged = logged_returns(data, config)
        behaviors = list(logged)
        told |= logged
    return told, max(behaviors, key=lambda name: told[name]["return"]["value"], default=None)


def logged_returns(data: Transitions, config: ReturnsConfig) -> dict[str, dict[str, Any]]:
    """Returns of the logged episodes of each behavior."""
    return {name: returns_of(returns[None], steps, config) for name, (returns, steps) in logged_episodes(data).items()}


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
