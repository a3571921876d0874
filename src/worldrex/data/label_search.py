"""How many behaviors a log has, and which features tell them apart: by the likelihood of held-out episodes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from worldrex.data.action_models import Basis, EpisodeSums, View, sum_episodes, view
from worldrex.data.autocorrelation import steps_per_independent_one
from worldrex.data.mixture import FLOOR, Mixture, each_alone, fit_mixture, joint_log_likelihoods
from worldrex.data.transitions import Transitions

FOLDS = 5
# Standard errors that a richer mixture must be ahead: with one, behaviors that no linear model fits exactly fall apart.
STRICT = 3.0

Tick = Callable[[], None]


class Candidate(NamedTuple):
    """A number of behaviors that was tried."""

    behaviors: int
    log_likelihood: float
    """Of held-out episodes, mean per episode, in nats and effective steps."""
    behind: float
    """How much the best candidate is ahead of it, mean over the same episodes."""
    behind_error: float
    """Standard error of `behind`."""


@dataclass(frozen=True, eq=False)
class Search:
    """Mixtures of any number of behaviors over the episodes of one log, seen one way.

    Arguments:
        seen: how the records are looked at.
        sums: of the episodes.
        alone: a model of each episode by itself: where mixtures begin.
        tau: steps that tell as much as one independent one.
        seed: of starts and folds.
        tick: called after each mixture.
    """

    seen: View
    sums: EpisodeSums
    alone: Mixture
    tau: float
    seed: int
    tick: Tick

    def fit(self, behaviors: int) -> Mixture:
        """The mixture of all episodes."""
        return self._fit(behaviors, np.arange(len(self.sums.steps)), 0)

    def held_out(self, behaviors: int) -> Float[np.ndarray, " episode"]:
        """Log-likelihood of each episode under a mixture of episodes of the other folds."""
        order = np.random.default_rng([self.seed, 1]).permutation(len(self.sums.steps))
        score = np.zeros(len(order))
        for number, fold in enumerate(np.array_split(order, min(FOLDS, len(order)))):
            mixture = self._fit(behaviors, np.setdiff1d(order, fold), 1 + number)
            held_out = self.sums.rows(fold)
            score[fold] = logsumexp(joint_log_likelihoods(held_out, mixture, sharpness(held_out, self.tau)), axis=1)
        return score

    def _fit(self, behaviors: int, episodes: Int[np.ndarray, " row"], stream: int) -> Mixture:
        sums = self.sums.rows(episodes)
        rng = np.random.default_rng([self.seed, 2, behaviors, stream])
        mixture = fit_mixture(sums, behaviors, sharpness(sums, self.tau), self.alone.rows(episodes), rng)
        self.tick()
        return mixture


def sharpness(sums: EpisodeSums, tau: float) -> Float[np.ndarray, " episode"]:
    """What each step's log-likelihood counts; an episode counts as one independent step at least."""
    return np.maximum(1 / tau, 1 / sums.steps)


def best_search(data: Transitions, bounds: Int[np.ndarray, " bound"], most: int, *, seed: int, tick: Tick) -> Search:
    """The search with features linear in obs, or with squares where these are better by more than chance.

    Arguments:
        data: the records.
        bounds: rows where the episodes begin, with the row behind the last.
        most: the most behaviors that will be tried: at this number tau is measured and the features are compared.
        seed: of starts and folds.
        tick: called after each mixture.
    """
    linear = _search(data, bounds, "linear", seed, tick)
    linear = replace(linear, tau=_tau(data, bounds, linear, most))
    if len(bounds) < 3:
        return linear
    # Densities can be compared at the same tau only.
    squares = replace(_search(data, bounds, "squares", seed, tick), tau=linear.tau)
    better, error = _ahead(squares.held_out(most), linear.held_out(most))
    return replace(squares, tau=_tau(data, bounds, squares, most)) if better > STRICT * error else linear


def choose(scores: Mapping[int, Float[np.ndarray, " episode"]]) -> tuple[int, tuple[Candidate, ...]]:
    """The smallest number of behaviors within three standard errors of the best, and how all fare.

    The error is of the paired difference: episodes differ much in likelihood whatever the number.
    """
    best = max(scores, key=lambda number: float(scores[number].mean()))
    candidates = tuple(
        Candidate(number, float(score.mean()), *_ahead(scores[best], score)) for number, score in sorted(scores.items())
    )
    within = [candidate.behaviors for candidate in candidates if candidate.behind <= STRICT * candidate.behind_error]
    return min(within), candidates


def _search(data: Transitions, bounds: Int[np.ndarray, " bound"], basis: Basis, seed: int, tick: Tick) -> Search:
    seen = view(data, basis)
    sums = sum_episodes(data, bounds, seen)
    return Search(seen, sums, each_alone(sums), 1.0, seed, tick)


def _tau(data: Transitions, bounds: Int[np.ndarray, " bound"], search: Search, most: int) -> float:
    """The autocorrelation time under the richest mixture: with fewer behaviors, their differences would count, too."""
    mixture = replace(search, tau=1.0).fit(most)
    behavior = joint_log_likelihoods(search.sums, mixture, sharpness(search.sums, 1.0)).argmax(1)
    roots = np.linalg.cholesky(mixture.covariance)

    def residuals() -> Iterator[Float[np.ndarray, "step output"]]:
        for start, stop, of in zip(bounds[:-1].tolist(), bounds[1:].tolist(), behavior.tolist(), strict=True):
            rows = slice(start, stop)
            expected = search.seen.features(data, rows) @ mixture.coefficients[of]
            residual = search.seen.actions(data, rows) - expected
            if (residual**2).mean() > FLOOR**2:  # else a constant action, and its rounding
                yield solve_triangular(roots[of], residual.T, lower=True).T

    return steps_per_independent_one(residuals())


def _ahead(score: Float[np.ndarray, " episode"], other: Float[np.ndarray, " episode"]) -> tuple[float, float]:
    """Mean of the paired difference, and its standard error."""
    difference = score - other
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
    return float(difference.mean()), float(error)
