"""What an action model sees of an episode: features of obs and scaled actions, summed to one matrix per episode."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from worldrex.data.leaks import SAMPLED_ROWS
from worldrex.data.transitions import Transitions

Basis = Literal["linear", "squares"]

MOST_FEATURES = 32
CLIPPED = 10.0  # standard deviations: a wild value must not be the whole of a sum of squares
COLLINEAR = 1e-8  # of the largest variance along an axis: below it, rounding
BLOCK = 65_536  # records at a time
MOST_CATEGORIES = 16
TAIL = 0.01  # share of records on either side that does not count for a column's scale
NORMAL_TAIL = 4.653  # distance of a normal distribution's 1st and 99th percentile, in standard deviations


class Scale(NamedTuple):
    """Center and spread of columns, robust to a few wild values."""

    center: Float[np.ndarray, " column"]
    spread: Float[np.ndarray, " column"]

    def __call__(self, values: Float[np.ndarray, "record column"]) -> Float[np.ndarray, "record column"]:
        """`values` in units of the spread, clipped."""
        return np.clip((values - self.center) / self.spread, -CLIPPED, CLIPPED)


class EpisodeSums(NamedTuple):
    """All that a linear Gaussian model needs of each episode, however long it is; z = (features, actions).

    Arguments:
        products: sum over the episode's steps of z zᵀ.
        steps: number of steps.
        width: number of features, the constant included.
    """

    products: Float[np.ndarray, "episode z z"]
    steps: Float[np.ndarray, " episode"]
    width: int

    def rows(self, index: Int[np.ndarray, " row"]) -> "EpisodeSums":
        """Those of some episodes."""
        return EpisodeSums(self.products[index], self.steps[index], self.width)


@dataclass(frozen=True, eq=False)
class View:
    """One way to look at records: which obs, scaled how, with squares or without; along axes of unit variance.

    Arguments:
        own_actions: components of obs that only repeat the behavior's own earlier actions, and do not count.
        kept: the other components.
        obs: their scale.
        axes: of the widest features, from the raw ones.
        raw_mean: of the raw ones.
        categories: for each action component its values but the first, where it looks like a choice among a few; else
            none.
        action: scale of the outputs.
    """

    basis: Basis
    own_actions: Int[np.ndarray, " component"]
    kept: Int[np.ndarray, " kept"]
    obs: Scale
    axes: Float[np.ndarray, "raw feature"]
    raw_mean: Float[np.ndarray, " raw"]
    categories: tuple[Float[np.ndarray, " value"], ...]
    action: Scale

    def features(self, data: Transitions, rows: slice) -> Float[np.ndarray, "record feature"]:
        """A constant, and what the model is linear in."""
        raw = _raw(self.obs(data.obs[rows][:, self.kept].astype(np.float64)), self.basis)
        seen = np.clip((raw - self.raw_mean) @ self.axes, -CLIPPED, CLIPPED)
        return np.concatenate([np.ones((len(seen), 1)), seen], axis=1)

    @property
    def width(self) -> int:
        """Number of features."""
        return 1 + self.axes.shape[1]

    def actions(self, data: Transitions, rows: slice) -> Float[np.ndarray, "record output"]:
        """Scaled actions; a choice among a few values as one indicator for each value but the first."""
        return self.action(_outputs(data.action[rows], self.categories))


def view(data: Transitions, basis: Basis) -> View:
    """The view of `data` in `basis`: scales from its quantiles, axes from its covariance (the widest 32)."""
    own_actions = find_own_actions(data)
    kept = np.setdiff1d(np.arange(data.obs.shape[1]), own_actions)
    obs = _scale(data.obs[:, kept])
    categories = tuple(_categories(column) for column in data.action.T)
    action = _scale(_outputs(data.action, categories))
    width = len(kept) * (2 if basis == "squares" else 1)
    total, products = np.zeros(width), np.zeros((width, width))
    for start in range(0, len(data), BLOCK):
        raw = _raw(obs(data.obs[start : start + BLOCK][:, kept].astype(np.float64)), basis)
        total += raw.sum(0)
        products += raw.T @ raw
    mean = total / len(data)
    variances, directions = np.linalg.eigh(products / len(data) - np.outer(mean, mean))
    wide = np.flatnonzero(variances > COLLINEAR * variances.max(initial=COLLINEAR))[::-1][:MOST_FEATURES]
    axes = directions[:, wide] / np.sqrt(variances[wide])
    return View(basis, own_actions, kept, obs, axes, mean, categories, action)


def find_own_actions(data: Transitions) -> Int[np.ndarray, " component"]:
    """Components of obs that repeat an earlier action: what the last action was, next_obs tells from any behavior.

    A model that sees them learns "as the step before", which fits every smooth behavior alike and tells none apart.
    """
    memory = {target for _, target in equal_columns(data.action, data.next_obs)}
    shifts = equal_columns(data.obs, data.next_obs)
    while more := {target for source, target in shifts if source in memory} - memory:
        memory |= more
    return np.array(sorted(memory), np.int64)


def episode_bounds(data: Transitions) -> tuple[Int[np.ndarray, " episode"], Int[np.ndarray, " bound"]]:
    """Number of each episode in order, and the rows where each begins, with the row behind the last one."""
    starts = np.flatnonzero(np.r_[True, data.episode[1:] != data.episode[:-1]])
    return data.episode[starts], np.append(starts, len(data))


def sum_episodes(data: Transitions, bounds: Int[np.ndarray, " bound"], seen: View) -> EpisodeSums:
    """The sums of every episode of `data` as `seen` has it."""
    size = seen.width + len(seen.action.center)
    steps = np.diff(bounds).astype(np.float64)
    products = np.zeros((len(steps), size, size))
    for episode, rows in _blocks(bounds):
        z = np.concatenate([seen.features(data, rows), seen.actions(data, rows)], axis=1)
        products[episode] += z.T @ z
    return EpisodeSums(products, steps, seen.width)


def _blocks(bounds: Int[np.ndarray, " bound"]) -> Iterator[tuple[int, slice]]:
    for episode, (start, stop) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        for begin in range(start, stop, BLOCK):
            yield episode, slice(begin, min(begin + BLOCK, stop))


def _raw(scaled: Float[np.ndarray, "record obs"], basis: Basis) -> Float[np.ndarray, "record raw"]:
    return np.concatenate([scaled, scaled**2], axis=1) if basis == "squares" else scaled


def _outputs(
    action: Float[np.ndarray, "record act"], categories: tuple[Float[np.ndarray, " value"], ...]
) -> Float[np.ndarray, "record output"]:
    columns = [
        column[:, None] == values if len(values) else column[:, None]
        for column, values in zip(action.T, categories, strict=True)
    ]
    return np.concatenate(columns, axis=1, dtype=np.float64)


def _categories(column: Float[np.ndarray, " record"]) -> Float[np.ndarray, " value"]:
    distinct = np.unique(column)
    few = 2 < len(distinct) <= MOST_CATEGORIES and (distinct == np.round(distinct)).all()
    return distinct[1:] if few else distinct[:0]


def _scale(values: Float[np.ndarray, "record column"]) -> Scale:
    center, spread = np.zeros(values.shape[1]), np.ones(values.shape[1])
    for place, column in enumerate(values.T.astype(np.float64)):
        low, center[place], high = np.quantile(column, [TAIL, 0.5, 1 - TAIL])
        # Of a column that nearly always stands still, what it does else counts.
        wide = (high - low) / NORMAL_TAIL or column.std()
        spread[place] = wide if wide > 0 and np.isfinite(wide) else 1.0
    return Scale(center, spread)


def equal_columns(
    inputs: Float[np.ndarray, "record input"], targets: Float[np.ndarray, "record target"]
) -> list[tuple[int, int]]:
    """Pairs (input, target) of columns that agree in every record and are not constant."""
    sample = np.linspace(0, len(inputs) - 1, min(SAMPLED_ROWS, len(inputs))).astype(int)
    agree = (inputs[sample][:, :, None] == targets[sample][:, None, :]).all(0)
    return [
        (int(source), int(target))
        for source, target in np.argwhere(agree)
        if np.array_equal(inputs[:, source], targets[:, target]) and (targets[:, target] != targets[0, target]).any()
    ]
