"""A mixture of linear Gaussian action models over whole episodes, fitted by EM to the episodes' sums."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import softmax

from worldrex.data.action_models import EpisodeSums

FLOOR = 0.01  # of an action's spread: the least noise, so that a constant action has a finite density
PRIOR_RECORDS = 1.0  # of the whole log, that each behavior has beside its episodes
RESTARTS, FIRST_STEPS, MOST_STEPS = 6, 5, 60
TRIES = 3  # episodes drawn for each seed; the best is taken
CONVERGED = 1e-4  # nats per episode
LEAST_EPISODES = 0.5  # of a behavior; one with fewer is empty


class Mixture(NamedTuple):
    """Shares and action models: action ~ N(coefficientsᵀ features, covariance), for each behavior.

    Arguments:
        log_shares: of the episodes.
        coefficients: in scaled units, the constant first.
        covariance: of the noise, floor included.
    """

    log_shares: Float[np.ndarray, " behavior"]
    coefficients: Float[np.ndarray, "behavior feature output"]
    covariance: Float[np.ndarray, "behavior output output"]

    def rows(self, index: Int[np.ndarray, " row"]) -> "Mixture":
        """Some of the behaviors."""
        return Mixture(self.log_shares[index], self.coefficients[index], self.covariance[index])


def joint_log_likelihoods(
    sums: EpisodeSums, mixture: Mixture, sharpness: Float[np.ndarray, " episode"]
) -> Float[np.ndarray, "episode behavior"]:
    """log share + sharpness * log p(the episode's actions | its obs, behavior).

    An episode's sum of squares is the inner product of its sum of z zᵀ with one matrix of the behavior: all episodes
    under all behaviors are one matrix product.
    """
    weights, constants = _densities(mixture)
    squares = sums.products.reshape(len(sums.steps), -1) @ weights.reshape(len(weights), -1).T
    return mixture.log_shares - 0.5 * sharpness[:, None] * (squares + sums.steps[:, None] * constants)


def each_alone(sums: EpisodeSums) -> Mixture:
    """A behavior for each episode: fitted to it, and to as many records of the whole log as there are features."""
    prior = _mean_record(sums)
    return _solve(sums.products + sums.width * prior, sums.steps + sums.width, sums.width)


def fit_mixture(
    sums: EpisodeSums,
    behaviors: int,
    sharpness: Float[np.ndarray, " episode"],
    alone: Mixture,
    rng: np.random.Generator,
) -> Mixture:
    """The most likely of several mixtures, each climbed to from seeds: episodes that no other seed explains well.

    Arguments:
        sums: of the episodes to fit.
        behaviors: how many; fewer come back where some lose all their episodes.
        sharpness: what each step's log-likelihood counts, at most 1: one over the steps that make one independent one.
        alone: `each_alone` of the same episodes.
        rng: draws the seeds.
    """
    if behaviors == 1:
        return _maximize(sums, np.ones((len(sums.steps), 1)), sharpness)
    begun = [
        _climb(sums, alone.rows(_seeds(sums, behaviors, sharpness, alone, rng)), sharpness, FIRST_STEPS)
        for _ in range(RESTARTS)
    ]
    best = max(begun, key=lambda climbed: climbed[1])[0]
    return _climb(sums, best, sharpness, MOST_STEPS)[0]


def _climb(
    sums: EpisodeSums, mixture: Mixture, sharpness: Float[np.ndarray, " episode"], most_steps: int
) -> tuple[Mixture, float]:
    """EM; returns the mixture and the mean log-likelihood before its last step."""
    reached = -np.inf
    for _ in range(most_steps):
        joint = joint_log_likelihoods(sums, mixture, sharpness)
        before, reached = reached, float(np.mean(np.logaddexp.reduce(joint, axis=1)))
        filled = softmax(joint, axis=1).sum(0) >= LEAST_EPISODES
        mixture = _maximize(sums, softmax(joint[:, filled], axis=1), sharpness)
        if abs(reached - before) < CONVERGED:
            break
    return mixture, reached


def _maximize(
    sums: EpisodeSums, posterior: Float[np.ndarray, "episode behavior"], sharpness: Float[np.ndarray, " episode"]
) -> Mixture:
    """The most likely models for a posterior: weighted least squares with a little of the whole log."""
    weights = (posterior * sharpness[:, None]).T
    products = (weights @ sums.products.reshape(len(sums.steps), -1)).reshape(-1, *sums.products.shape[1:])
    little = PRIOR_RECORDS * float(sharpness.mean())
    solved = _solve(products + little * _mean_record(sums), weights @ sums.steps + little, sums.width)
    return solved._replace(log_shares=np.log(posterior.mean(0)))


def _solve(products: Float[np.ndarray, "behavior z z"], records: Float[np.ndarray, " behavior"], width: int) -> Mixture:
    inputs, crossed = products[:, :width, :width], products[:, :width, width:]
    # A direction of obs in which even the whole log does not move gets no coefficient rather than an error.
    ridge = 1e-9 * np.trace(inputs, axis1=1, axis2=2)[:, None, None] * np.eye(width)
    coefficients = np.linalg.solve(inputs + ridge, crossed)
    residual = products[:, width:, width:] - crossed.transpose(0, 2, 1) @ coefficients
    covariance = (residual + residual.transpose(0, 2, 1)) / (2 * records[:, None, None])
    # Rounding may leave a variance of 0 a little below it: far less than the floor.
    covariance += FLOOR**2 * np.eye(covariance.shape[1])
    return Mixture(np.zeros(len(records)), coefficients, covariance)


def _mean_record(sums: EpisodeSums) -> Float[np.ndarray, "z z"]:
    return sums.products.sum(0) / sums.steps.sum()


def _densities(
    mixture: Mixture,
) -> tuple[Float[np.ndarray, "behavior z z"], Float[np.ndarray, " behavior"]]:
    """What to weigh an episode's products with, and what each step costs besides."""
    outputs = mixture.covariance.shape[1]
    identity = np.broadcast_to(np.eye(outputs), mixture.covariance.shape)
    residual = np.concatenate([-mixture.coefficients, identity], axis=1)
    weights = residual @ np.linalg.inv(mixture.covariance) @ residual.transpose(0, 2, 1)
    return weights, np.linalg.slogdet(mixture.covariance)[1] + outputs * np.log(2 * np.pi)


def _seeds(
    sums: EpisodeSums,
    behaviors: int,
    sharpness: Float[np.ndarray, " episode"],
    alone: Mixture,
    rng: np.random.Generator,
) -> Int[np.ndarray, " seed"]:
    """Episodes drawn as greedy k-means++ does: in proportion to what each loses without a model of its own."""
    weights, constants = _densities(alone)
    own = -0.5 * sharpness * (np.einsum("eij,eij->e", sums.products, weights) + sums.steps * constants)
    chosen: list[int] = []
    best, odds = np.full(len(own), -np.inf), np.ones(len(own))
    while len(chosen) < behaviors and odds.any():
        drawn = rng.choice(len(own), size=TRIES if chosen else 1, p=odds / odds.sum())
        reached = np.maximum(best[:, None], joint_log_likelihoods(sums, alone.rows(drawn), sharpness))
        winner = int(reached.sum(0).argmax())
        chosen.append(int(drawn[winner]))
        best = reached[:, winner]
        odds = np.maximum(own - best, 0)
        odds[chosen] = 0
    return np.array(chosen)
