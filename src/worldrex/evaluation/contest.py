"""Policies out of several models side by side: what each model promised, what comes of it, and who does better."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from worldrex.data import Transitions
from worldrex.dynamics import WorldModel, first_of_episode, longest_episode
from worldrex.evaluation.baselines import baseline_choosers, chooser_of
from worldrex.evaluation.environments import Reality
from worldrex.evaluation.episodes import Episodes
from worldrex.evaluation.policy_evaluation import evaluate_in_model, over_members
from worldrex.evaluation.returns import (
    ReturnsConfig,
    baseline_returns,
    logged_returns,
    require_judgeable,
    require_together,
    returns_of,
    runner,
)
from worldrex.policy import Policy

Returns = Float64[np.ndarray, "member start"]

# Starts of rollouts where there is no real episode to take them from.
MOST_STARTS = 256


class Contender(NamedTuple):
    """Policies that one learner made under several seeds, in the model, in the real environment or from the log alone."""

    policies: Sequence[Policy]
    model: str | None
    """Name of the model, if it was in one."""


def contest(
    contenders: Mapping[str, Contender], models: Mapping[str, WorldModel], judge: str, data: Transitions,
    reality: Reality | None, config: ReturnsConfig | None = None, *, tick: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Returns of all contenders, by their deterministic actions, in the same episodes; and what the models say of them.

    **Arguments:**

    - `models`: those that the contenders name, and `judge`, which is asked about all of them.
    - `data`: the log that the models were fitted on.
    - `reality`: where the episodes are run; without one, the logged episodes' returns and the models' word are all there is.

    **Returns:** `policy`: for each contender the interquartile mean `return` with `low` and `high`, and the `mean`, over episodes
    and seeds; what its own model `promised`, and the `gap` from that to the mean, paired by start; what the judge `foretold`.
    `best_behavior` stands among them. `baselines`: what others returned.

    **Raises:** `EvaluationError` for what does not fit together, before anything is run.
    """
    config = config or ReturnsConfig()
    require_judgeable(config)
    ran: dict[str, list[Episodes]] = {}
    if reality is None:
        baselines = logged_returns(data, config)
        best = max(baselines, key=lambda name: baselines[name]["return"]["value"], default=None)
        starts, steps = _logged_starts(data, config.seed), longest_episode(data.episode)
    else:
        spaces = [
            require_together(of.policies, reality, None if of.model is None else models[of.model], data)
            for of in contenders.values()
        ]
        others = baseline_choosers(reality, spaces[0], config.seed)
        choosers = sum(len(of.policies) for of in contenders.values()) + len(others)
        run = runner(reality, config, choosers, tick)
        ran = {
            name: [run(chooser_of(policy, config.seed)) for policy in of.policies] for name, of in contenders.items()
        }
        beside = {name: run(choose) for name, choose in others.items()}
        baselines, best = baseline_returns(beside, reality, config, data)
        starts, steps = next(iter(ran.values()))[0].starts, reality.episode_steps
    rows: dict[str, dict[str, Any]] = {}
    for name, of in contenders.items():
        returns = np.stack([episodes.returns for episodes in ran[name]]) if reality else None
        rows[name] = {"policies": len(of.policies)}
        if returns is not None:
            lengths = np.concatenate([episodes.steps for episodes in ran[name]])
            rows[name] |= _flat(returns_of(returns, lengths, config))

        def asked(model: WorldModel, policies: Sequence[Policy] = of.policies) -> tuple[Returns, int]:
            told = [evaluate_in_model(model, policy, starts, steps, data=data, seed=config.seed) for policy in policies]
            return np.mean([one.returns for one in told], 0), sum(one.cut for one in told)

        if of.model is not None:
            promised, cut = asked(models[of.model])
            rows[name]["promised"] = asdict(over_members(promised)) | {"cut": cut}
            if returns is not None:
                rows[name]["gap"] = asdict(over_members(promised - returns.mean(0)))
        if of.model != judge:
            rows[name]["foretold"] = asdict(over_members(asked(models[judge])[0]))
    if best is not None:
        rows["best_behavior"] = {"name": best} | _flat(baselines[best])
    return {
        "policy": rows, "baselines": baselines, "env": None if reality is None else reality.env_id, "judge": judge,
        "episode_steps": steps, "seed": config.seed,
    }  # fmt: skip


def _flat(told: dict[str, Any]) -> dict[str, Any]:
    """The interquartile mean and its interval beside the mean."""
    middle = told["return"]
    return {"return": middle["value"], "low": middle["low"], "high": middle["high"]} | {
        name: told[name] for name in ("mean", "std", "episodes", "steps")
    }


def _logged_starts(data: Transitions, seed: int) -> Float32[np.ndarray, "start obs"]:
    """Where some logged episodes began."""
    first = np.unique(first_of_episode(data.episode))
    return data.obs[np.random.default_rng(seed).permutation(first)[:MOST_STARTS]]
