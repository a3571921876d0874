"""Choose the penalty and its weight by the worst left-out risk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from worldrex.evaluation.spread import Spread, Trained, spread_of
from worldrex.evaluation.statistics import Estimate, cluster_means, estimate, resample, simultaneous

DRAWS = 1000
LEAST_GAIN = 0.02


class Choice(NamedTuple):
    """A penalty and its weight; ERM is ("none", 0)."""

    penalty: str
    weight: float


ERM = Choice("none", 0.0)
"""No penalty: the choice that every other is compared with."""


class LeftOut(NamedTuple):
    """Squared errors on one left-out behavior, summed over each of its episodes."""

    behavior: str
    sums: Float[np.ndarray, "choice seed episode"]
    counts: Float[np.ndarray, " episode"]
    """Records of each episode."""


@dataclass(frozen=True)
class Worst(Estimate):
    """The worst left-out risk, and whose it is."""

    behavior: str


@dataclass(frozen=True)
class WeightRow:
    """What one weight of one penalty does."""

    penalty: str
    weight: float
    worst: Worst
    mean: Estimate
    folds: dict[str, Estimate]
    """Risk of each behavior when it is left out."""
    trained: dict[str, Estimate]
    """Risk of each behavior on held-out episodes where it is trained on; the interval is the range of the trainings."""
    gain: Estimate
    """ERM's worst left-out risk minus this one's, paired; the interval holds for all rows at once."""

    @property
    def choice(self) -> Choice:
        """What this row is about."""
        return Choice(self.penalty, self.weight)


@dataclass(frozen=True)
class Pairs:
    """The candidate and ERM once more, two behaviors left out at a time."""

    pairs: list[list[str]]
    erm: Worst
    candidate: Worst
    gain: Estimate


@dataclass(frozen=True)
class Selection:
    """The penalties and weights compared, and the choice."""

    rule: str
    weights: list[WeightRow]
    """ERM first, then each penalty's weights in ascending order."""
    penalty: str
    """That of `chosen` and `candidate`."""
    chosen: float
    """The weight to use; 0 where no penalty pays."""
    candidate: float | None
    """The weight chosen, or else the best above 0; None where none could be compared."""
    spread: Spread | None = None
    """How far apart the risks of the behaviors trained on stay."""
    pairs: Pairs | None = None

    @property
    def erm(self) -> WeightRow:
        """ERM's row."""
        return self.weights[0]

    @property
    def best(self) -> WeightRow | None:
        """The candidate's row, if there is one."""
        found = [row for row in self.weights if row.choice == (self.penalty, self.candidate)]
        return found[0] if found else None

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Selection":
        """The selection that `dataclasses.asdict` told."""
        rows = [
            WeightRow(
                penalty=row["penalty"],
                weight=row["weight"],
                worst=Worst(**row["worst"]),
                mean=Estimate(**row["mean"]),
                folds={name: Estimate(**part) for name, part in row["folds"].items()},
                trained={name: Estimate(**part) for name, part in row["trained"].items()},
                gain=Estimate(**row["gain"]),
            )
            for row in content["weights"]
        ]
        spread, pairs = content["spread"], content["pairs"]
        if pairs is not None:
            told = {name: Worst(**pairs[name]) for name in ("erm", "candidate")}
            pairs = Pairs(pairs["pairs"], **told, gain=Estimate(**pairs["gain"]))
        return cls(
            content["rule"], rows, content["penalty"], content["chosen"], content["candidate"],
            None if spread is None else Spread.from_json(spread), pairs,
        )  # fmt: skip


class Drawn(NamedTuple):
    """Left-out risks and their bootstrap."""

    value: Float64[np.ndarray, "fold choice"]
    draws: Float64[np.ndarray, "draw fold choice"]

    @property
    def worst(self) -> Float64[np.ndarray, " choice"]:
        """The worst over the folds."""
        return self.value.max(0)

    @property
    def worst_draws(self) -> Float64[np.ndarray, "draw choice"]:
        """The same of each draw."""
        return self.draws.max(1)

    def worst_of(self, choice: int, behaviors: Sequence[str]) -> Worst:
        """One choice's worst risk, and which of the folds' `behaviors` has it."""
        behavior = behaviors[int(self.value[:, choice].argmax())]
        return Worst(*estimate(self.worst[choice], self.worst_draws[:, choice]), behavior=behavior)


def rule_of(choices: Sequence[Choice]) -> str:
    """The rule of the choice, in words."""
    comparisons = len(choices) - 1
    at_once = f", for all {comparisons} comparisons at once" if comparisons > 1 else ""
    several = len({choice.penalty for choice in choices[1:]}) > 1
    of_each, least = ("each penalty's", ", and of these the one with the least mean") if several else ("the", "")
    return (
        f"of what is within one standard error (paired) of the smallest worst left-out risk {of_each} smallest weight that beats "
        f"ERM's by at least 2 % and by more than chance (95 % interval over episodes and seeds, paired{at_once}){least}; "
        "if there is none, ERM"
    )


def select(
    choices: Sequence[Choice], left_out: Sequence[LeftOut], trained: Sequence[Trained], *, seed: int = 0
) -> Selection:
    """Compare penalties and weights by the worst of the left-out risks, and choose.

    The mean over the folds would choose ERM just where it is wrong: the pooled log's shortcut pays on most folds and
    fails on the one that differs. The bootstrap draws episodes and seeds, the same ones for every choice, so that the
    gains are paired; their intervals hold simultaneously, since the best of many would gain by chance. Of a penalty's
    weights that pay, and do as well as the best within one standard error of their difference, the smallest is taken
    (Breiman et al. 1984).

    **Arguments:** the `choices`, ERM first and each penalty's weights ascending; `left_out` for each fold; risks of the
    behaviors `trained` on.

    **Returns:** `Selection`.
    """
    drawn = drawn_risks(left_out, seed=seed)
    worst, worst_draws = drawn.worst, drawn.worst_draws
    gains = simultaneous(worst[0] - worst, worst_draws[:, :1] - worst_draws)
    rows = [
        WeightRow(
            *choice,
            worst=drawn.worst_of(place, [fold.behavior for fold in left_out]),
            mean=Estimate(*estimate(drawn.value[:, place].mean(), drawn.draws[:, :, place].mean(1))),
            folds={
                fold.behavior: Estimate(*estimate(drawn.value[number, place], drawn.draws[:, number, place]))
                for number, fold in enumerate(left_out)
            },
            trained={one.behavior: one.range_of(place) for one in trained},
            gain=gains[place],
        )
        for place, choice in enumerate(choices)
    ]
    rule = rule_of(choices)
    if len(choices) == 1:
        return Selection(rule, rows, choices[0].penalty, 0.0, None)
    best = 1 + int(worst[1:].argmin())
    behind = (worst_draws - worst_draws[:, best : best + 1]).std(0)
    near = [place for place in range(1, len(choices)) if worst[place] - worst[best] <= behind[place]]
    paying = [place for place in near if gains[place].low > 0 and gains[place].value >= LEAST_GAIN * worst[0]]
    smallest = {choices[place].penalty: place for place in reversed(paying)}
    candidate = min(smallest.values(), key=lambda place: drawn.value[:, place].mean(), default=best)
    penalty, weight = choices[candidate]
    last = max(place for place, choice in enumerate(choices) if choice.penalty == penalty)
    spread = spread_of(trained, [0, *range(candidate, last + 1)], [choice.weight for choice in choices], seed=seed)
    return Selection(rule, rows, penalty, weight if paying else 0.0, weight, spread)


def drawn_risks(left_out: Sequence[LeftOut], *, seed: int = 0) -> Drawn:
    """Left-out risks, and those of resampled episodes and seeds: of a behavior in several folds, the same episodes."""
    rng = np.random.default_rng(seed)
    seeds = left_out[0].sums.shape[1]
    # A mean over so few seeds varies more than a plain bootstrap shows, by n / (n - 1) (Davison & Hinkley 1997, 2.5.2).
    deviation = (resample(seeds, DRAWS, rng=rng) - 1) * np.sqrt(seeds / max(seeds - 1, 1))
    seed_draws = (1 + deviation) / seeds
    episodes: dict[str, np.ndarray] = {}
    values, draws = [], []
    for fold in left_out:
        if fold.behavior not in episodes:
            episodes[fold.behavior] = resample(len(fold.counts), DRAWS, rng=rng)
        values.append(fold.sums.sum(-1).mean(1) / fold.counts.sum())
        resampled = cluster_means(fold.sums, fold.counts, episodes[fold.behavior])
        draws.append(np.einsum("dcs,ds->dc", resampled, seed_draws))
    return Drawn(np.stack(values), np.stack(draws, axis=1))


def compare_pairs(pairs: Sequence[Sequence[str]], left_out: Sequence[LeftOut], *, seed: int = 0) -> Pairs:
    """ERM (the first choice) and the candidate (the second), on each behavior of each pair that was left out."""
    drawn = drawn_risks(left_out, seed=seed)
    behaviors = [fold.behavior for fold in left_out]
    erm, candidate = (drawn.worst_of(place, behaviors) for place in (0, 1))
    gain = estimate(erm.value - candidate.value, drawn.worst_draws[:, 0] - drawn.worst_draws[:, 1])
    return Pairs([list(pair) for pair in pairs], erm, candidate, Estimate(*gain))
