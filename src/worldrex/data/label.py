"""Infer behaviors from a log without labels: a mixture of action models, an episode's posterior under each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp, softmax

from worldrex.data.action_models import Basis, episode_bounds, sum_episodes
from worldrex.data.findings import plural
from worldrex.data.label_search import FOLDS, STRICT, Candidate, best_search, choose, sharpness
from worldrex.data.mixture import joint_log_likelihoods
from worldrex.data.transitions import DataError, Transitions
from worldrex.data.validate import require_valid

MOST_EPISODES = 500  # that are fitted to; all are labeled
SURE = 0.95

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """How many behaviors to look for.

    Arguments:
        behaviors_min: Fewest behaviors to try.
        behaviors_max: Most behaviors to try; no more than one for every two episodes.
        num_behaviors: Find this many instead of choosing.
        seed: Seed of the starting points and of the folds.
    """

    behaviors_min: int = 1
    behaviors_max: int = 6
    num_behaviors: int | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Labeling:
    """Which behavior logged each episode, as far as the actions tell.

    Arguments:
        episodes: number of each episode, in the order of the log.
        behavior: the most probable one of each; numbered in the order in which they first appear.
        posterior: p(behavior | the episode's actions and obs), under the mixture with tau.
        log_likelihood: of each episode under the mixture, in nats and effective steps.
        mean_action: of the records of each behavior.
        candidates: the numbers of behaviors that were tried.
        basis: the action model's mean is linear in obs, or in obs and their squares.
        own_actions: components of obs that were left out, since they only repeat earlier actions.
        steps_per_independent: steps of an episode that tell as much as one independent one.
        episodes_fitted: how many episodes the mixture was fitted to, drawn by the seed where there are very many.
    """

    episodes: Int[np.ndarray, " episode"]
    behavior: Int[np.ndarray, " episode"]
    posterior: Float[np.ndarray, "episode behavior"]
    log_likelihood: Float[np.ndarray, " episode"]
    mean_action: Float[np.ndarray, "behavior act"]
    candidates: tuple[Candidate, ...]
    basis: Basis
    own_actions: Int[np.ndarray, " component"]
    steps_per_independent: float
    episodes_fitted: int

    @property
    def num_behaviors(self) -> int:
        """How many were found."""
        return self.posterior.shape[1]

    @property
    def several(self) -> bool:
        """Whether held-out episodes are evidence for more than one behavior, by more than three standard errors."""
        one = [candidate for candidate in self.candidates if candidate.behaviors == 1]
        return self.num_behaviors > 1 and not any(only.behind <= STRICT * only.behind_error for only in one)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the behaviors."""
        return tuple(f"behavior {number}" for number in range(self.num_behaviors))

    @property
    def sure(self) -> Bool[np.ndarray, " episode"]:
        """Whether an episode's most probable behavior has a posterior above 0.95."""
        return self.posterior.max(1) > SURE

    @property
    def entropy(self) -> Float[np.ndarray, " episode"]:
        """Of each episode's posterior, in nats: 0 where it is sure."""
        return -(self.posterior * np.log(np.maximum(self.posterior, 1e-300))).sum(1)

    def to_json(self) -> dict[str, Any]:
        """What was found, without the posteriors, for `json.dumps`."""
        counts = np.bincount(self.behavior, minlength=self.num_behaviors)
        return {
            "behaviors": [
                {"name": name, "episodes": int(count), "mean_action": mean.tolist()}
                for name, count, mean in zip(self.names, counts, self.mean_action, strict=True)
            ],
            "several": self.several,
            "sure": float(self.sure.mean()),
            "candidates": [candidate._asdict() for candidate in self.candidates],
            "basis": self.basis,
            "own_actions": self.own_actions.tolist(),
            "steps_per_independent": self.steps_per_independent,
            "episodes_fitted": self.episodes_fitted,
        }

    def labeled(self, data: Transitions) -> Transitions:
        """`data` with these behaviors for its own.

        Raises DataError where `data` has other episodes.
        """
        episodes, bounds = episode_bounds(data)
        if not np.array_equal(episodes, self.episodes):
            raise DataError(
                f"the labels are those of {plural(len(self.episodes), 'episode')}, and the data's "
                f"{plural(len(episodes), 'episode')} are others. worldrex needs the log that was labeled: label this one."
            )
        behavior = np.repeat(self.behavior, np.diff(bounds)).astype(np.int32)
        return replace(data, behavior=behavior, behavior_names=self.names)


def label(data: Transitions, config: LabelConfig | None = None, *, progress: Progress | None = None) -> Labeling:
    """Behaviors of the episodes of `data`, whatever its column behavior says.

        p(episode) = sum_k share_k prod_t N(action_t; B_kᵀ features(obs_t), covariance_k) ** (1 / tau)

    fitted by EM from several starts; tau is the autocorrelation time of the residuals, so that steps that repeat each
    other count once. The number of behaviors is the smallest whose log-likelihood of held-out episodes is within three
    standard errors (of the paired difference) of the best; features are linear in obs unless squares are better by more.

    Arguments:
        data: checked records.
        config: how many behaviors to look for; the defaults where there is none.
        progress: called with the mixtures fitted so far and in all.

    Raises DataError for data with errors, or for more behaviors than there can be.
    """
    require_valid(data)
    config = config or LabelConfig()
    episodes, bounds = episode_bounds(data)
    tried = _numbers_to_try(config, len(episodes))
    rng = np.random.default_rng([config.seed, 0])
    drawn = np.sort(rng.permutation(len(episodes))[:MOST_EPISODES])
    fitted, fitted_bounds = (data, bounds) if len(drawn) == len(episodes) else _episodes_at(data, bounds, drawn)
    tick = _counter(progress, 4 + FOLDS * (2 + len(tried)))
    search = best_search(fitted, fitted_bounds, tried[-1], seed=config.seed, tick=tick)
    if len(drawn) > 1:
        chosen, candidates = choose({number: search.held_out(number) for number in tried})
    else:
        chosen, candidates = 1, ()
    mixture = search.fit(config.num_behaviors or chosen)
    sums = search.sums if fitted is data else sum_episodes(data, bounds, search.seen)
    joint = joint_log_likelihoods(sums, mixture, sharpness(sums, search.tau))
    # In the order in which they first appear; one that is no episode's most probable is none.
    most_probable, first = np.unique(joint.argmax(1), return_index=True)
    joint = joint[:, most_probable[np.argsort(first)]]
    behavior = joint.argmax(1)
    of_record = np.repeat(behavior, np.diff(bounds))
    return Labeling(
        episodes=episodes,
        behavior=behavior,
        posterior=softmax(joint, axis=1),
        log_likelihood=logsumexp(joint, axis=1),
        mean_action=np.stack([data.action[of_record == k].mean(0, dtype=np.float64) for k in range(joint.shape[1])]),
        candidates=candidates,
        basis=search.seen.basis,
        own_actions=search.seen.own_actions,
        steps_per_independent=search.tau,
        episodes_fitted=len(drawn),
    )


def agreement(found: Int[np.ndarray, " episode"], true: Int[np.ndarray, " episode"]) -> float:
    """Share of episodes whose labels agree under the best matching of the found labels with the true ones."""
    counts = np.zeros((found.max() + 1, true.max() + 1), np.int64)
    np.add.at(counts, (found, true), 1)
    return float(counts[linear_sum_assignment(-counts)].sum() / len(found))


def _numbers_to_try(config: LabelConfig, episodes: int) -> Sequence[int]:
    if config.seed < 0:
        raise DataError(f"seed is {config.seed}; labeling needs a whole number of 0 or more.")
    if config.num_behaviors is not None:
        if not 1 <= config.num_behaviors <= episodes:
            raise DataError(
                f"num_behaviors is {config.num_behaviors}, and the data have {plural(episodes, 'episode')}. worldrex needs "
                "1 or more, and an episode for each behavior."
            )
        return (1, config.num_behaviors) if config.num_behaviors > 1 else (1,)
    least, most = config.behaviors_min, config.behaviors_max
    if not 1 <= least <= most:
        raise DataError(
            f"behaviors_min is {least} and behaviors_max {most}. worldrex needs 1 <= behaviors_min <= behaviors_max."
        )
    # Each with two episodes at least: one to learn from and one to judge by.
    limit = max(episodes // 2, 1)
    if least > limit:
        raise DataError(
            f"behaviors_min is {least}, and the data have {plural(episodes, 'episode')}. worldrex needs two for each "
            "behavior: lower behaviors_min, or say num_behaviors."
        )
    return range(least, min(most, limit) + 1)


def _episodes_at(
    data: Transitions, bounds: Int[np.ndarray, " bound"], drawn: Int[np.ndarray, " drawn"]
) -> tuple[Transitions, Int[np.ndarray, " drawn_bound"]]:
    rows = np.flatnonzero(np.repeat(np.isin(np.arange(len(bounds) - 1), drawn), np.diff(bounds)))
    return data.rows(rows), np.append(0, np.cumsum(np.diff(bounds)[drawn]))


def _counter(progress: Progress | None, total: int) -> Callable[[], None]:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(min(done, total), total)

    return tick
