"""Leave one behavior out: how a model fares under a behavior that it never saw, for each penalty and weight."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from worldrex.data import DataError, Transitions, require_valid, resident
from worldrex.dynamics import (
    Progress,
    Run,
    Sweep,
    TrainConfig,
    TrainedPenalty,
    TrainingError,
    model_of_run,
    require_trainable,
    split_of,
    train,
)  # fmt: skip
from worldrex.evaluation.model_error import output_scale, squared_errors
from worldrex.evaluation.selection import ERM, Choice, LeftOut, Selection, compare_pairs, select
from worldrex.evaluation.shift import shift_map
from worldrex.evaluation.spread import Trained
from worldrex.evaluation.statistics import by_cluster

FEWEST_RECORDS = 50
FEWEST_FOR_PAIRS = 5
Report = Callable[[Progress, list[Run]], None]


@dataclass(frozen=True)
class CrossvalConfig(TrainConfig):
    """Which penalties and weights to compare, and how each of the trainings goes: smaller than the final one's."""

    penalty: TrainedPenalty | tuple[TrainedPenalty, ...] = "variance"
    """Penalty on the spread of the behaviors' risks, or several to compare."""
    weights: tuple[float, ...] = (0.0, 1.0, 10.0, 100.0, 300.0)
    """Weights to compare of each penalty; 0, ERM, is always among them."""
    debiased: bool = True
    """Whether the mini-batch's sampling noise is taken out of the penalty."""
    seeds: int = 3
    """Trainings of each weight and fold."""
    pairs: int = 10
    """With 5 behaviors or more: so many pairs are left out together, to look at the choice once more. 0 for none."""
    members: int = 2
    elites: int = 2
    hidden: tuple[int, ...] = (64, 64)
    batch: int = 256
    warmup_steps: int = 1000
    steps: int = 3000

    @property
    def penalties(self) -> tuple[TrainedPenalty, ...]:
        """All that are compared."""
        return (self.penalty,) if isinstance(self.penalty, str) else tuple(dict.fromkeys(self.penalty))


@dataclass(frozen=True)
class CrossvalTable:
    """Left-out risks, and the penalty and weight that they choose."""

    rows: list[dict[str, Any]]
    """One object for each penalty, weight, left-out behavior and seed: penalty, weight, behavior, seed, risk."""
    selection: Selection
    compile_seconds: float
    distance: dict[str, float] = field(default_factory=dict)
    """Of each left-out behavior's records of (obs, action) from all others', in standard deviations: see `shift_map`."""

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "CrossvalTable":
        """The table that `to_json` told."""
        selection = Selection.from_json(content["selection"])
        return cls(content["crossval"], selection, content["compile_seconds"], content["distance"])

    def to_json(self) -> dict[str, Any]:
        """As summary.json has it."""
        return {
            "crossval": self.rows,
            "selection": asdict(self.selection),
            "compile_seconds": self.compile_seconds,
            "distance": self.distance,
        }


def require_sweepable(config: CrossvalConfig) -> None:
    """Raise `TrainingError` for settings that no comparison can have."""
    if config.seeds < 1:
        raise TrainingError(f"seeds is {config.seeds}; comparing weights needs 1 or more, and 3 to tell chance.")
    comparable = [name for name in get_args(TrainedPenalty) if name != "none"]
    if not config.penalties or not set(config.penalties) <= set(comparable):
        raise TrainingError(
            f"penalty is {' '.join(config.penalties) or 'empty'}; name one or more of {', '.join(comparable)}. ERM, no "
            "penalty, is always compared."
        )
    if config.pairs < 0:
        raise TrainingError(f"pairs is {config.pairs}; give 0 (none) or more.")
    if not isinstance(config.weights, tuple | list):
        raise TrainingError(f"weights is {config.weights!r}; give several, such as (1.0, 10.0, 100.0).")
    require_trainable(config, config.weights)
    if not _above_zero(config.weights):
        raise TrainingError(
            f"weights are {' '.join(f'{weight:g}' for weight in config.weights) or 'empty'}: nothing to compare with ERM, which "
            "is weight 0. Give one or more above 0; for ERM alone: `worldrex fit --weight 0`."
        )


def require_comparable(data: Transitions) -> None:
    """Raise `DataError` unless the log has two behaviors or more, each with `FEWEST_RECORDS` records or more."""
    counts = np.bincount(data.behavior, minlength=data.num_behaviors)
    present = np.flatnonzero(counts)
    if len(present) < 2:
        raise DataError(
            f"the log has one behavior only, {data.behavior_names[present[0]]!r} ({len(data):,} records). worldrex compares "
            "behaviors and needs at least two, three to choose a weight: add a log of another policy, or, if several "
            "policies took turns, say so with --behavior-cycle. For a plain model of one behavior: "
            "`worldrex fit --weight 0`."
        )
    few = [int(behavior) for behavior in present if counts[behavior] < FEWEST_RECORDS]
    if few:
        named = ", ".join(f"{data.behavior_names[b]!r} ({counts[b]})" for b in few[:5])
        raise DataError(
            f"{len(few)} of {len(present)} behaviors have fewer than {FEWEST_RECORDS} records: {named}. A risk of so few says "
            "nothing when that behavior is left out: collect more, leave its file out, or log it under one name with "
            "another behavior."
        )


def crossval(
    data: Transitions, config: CrossvalConfig | None = None, *,
    report: Report | None = None, tick: Callable[[int, int], None] | None = None,
    trainer: Callable[..., Sweep] | None = None, **more: Any,
) -> CrossvalTable:  # fmt: skip
    """Train with each behavior left out in turn, for each penalty, weight and seed, all as one program; choose.

    With `FEWEST_FOR_PAIRS` behaviors or more, the candidate and ERM are then compared once more with pairs of behaviors
    left out: a model that holds with less to learn from, under two behaviors that it never saw.

    **Arguments:**

    - `data`: the log of two behaviors or more. With two, a fold trains on one, where every penalty is zero: then only
      ERM is trained, and no weight is chosen.
    - `config`: penalties, weights, seeds and training.
    - `report` (also told the runs; not of the pairs), `tick` and what else `train` takes: `checkpoint`, ...
    - `trainer`: trains instead of `train`, such as `train_on_ray`.

    **Returns:** `CrossvalTable`; all risks are squared errors of the ensemble's mean in units of the whole log's outputs, so
    that those of different folds can be compared.

    **Raises:** `DataError` for data that cannot be compared, `TrainingError` for settings that cannot.
    """
    config = config or CrossvalConfig()
    require_sweepable(config)
    require_valid(data)
    require_comparable(data)
    learned, held_out = split_of(data, config)
    behaviors = list(map(int, np.unique(data.behavior[learned])))
    choices = [ERM]
    if len(behaviors) > 2:
        choices += [Choice(name, weight) for name in config.penalties for weight in _above_zero(config.weights)]
    all_pairs = list(combinations(behaviors, 2)) if len(behaviors) >= FEWEST_FOR_PAIRS and len(choices) > 1 else []
    drawn = np.random.default_rng(config.seed).permutation(len(all_pairs))[: config.pairs]
    pairs = [all_pairs[number] for number in sorted(drawn)]
    sizes = len(behaviors) * len(choices), 2 * len(pairs)

    def ticking(before: int, own: int) -> Callable[[int, int], None] | None:
        told = tick
        if told is None or not pairs:
            return told
        return lambda step, total: told(before * total + own * step, sum(sizes) * total)

    more["trainer"] = trainer or train
    folds = [(behavior,) for behavior in behaviors]
    swept = _sweep(data, folds, choices, config, report=report, tick=ticking(0, sizes[0]), **more)
    left_out, trained = _errors(data, swept, held_out, config)
    selection = select(choices, left_out, trained, seed=config.seed)
    compile_seconds = swept.sweep.compile_seconds
    if pairs and selection.best is not None:
        more["begins"] = None  # the metrics of the first comparison stay
        if more.get("checkpoint") is not None:
            more["checkpoint"] = Path(more["checkpoint"]) / "pairs"
        again = _sweep(data, pairs, [ERM, selection.best.choice], config, tick=ticking(*sizes), **more)
        named = [[data.behavior_names[behavior] for behavior in pair] for pair in pairs]
        of_pairs, _ = _errors(data, again, np.zeros(0, np.int64), config)
        selection = replace(selection, pairs=compare_pairs(named, of_pairs, seed=config.seed))
        compile_seconds += again.sweep.compile_seconds
    shift = shift_map(data, seed=config.seed)
    distance = dict(zip(shift.behaviors, shift.to_rest.tolist(), strict=True))
    return CrossvalTable(list(_rows(left_out, choices, config)), selection, compile_seconds, distance)


class _Swept(NamedTuple):
    """A trained comparison; its runs in the order of folds, choices and seeds."""

    sweep: Sweep
    runs: list[Run]
    folds: Sequence[tuple[int, ...]]
    choices: int


def _above_zero(weights: Sequence[float]) -> list[float]:
    return sorted({float(weight) for weight in weights if weight > 0})


def _sweep(
    data: Transitions, folds: Sequence[tuple[int, ...]], choices: Sequence[Choice], config: CrossvalConfig, *,
    trainer: Callable[..., Sweep], report: Report | None = None, **more: Any,
) -> _Swept:  # fmt: skip
    """Train each choice with each fold left out, for each seed."""
    # ERM is any penalty of weight 0; the first one, so that no program is compiled for "none".
    of_choice = [(config.penalties[0] if choice == ERM else choice.penalty, choice.weight) for choice in choices]
    runs = [
        Run(*choice, config.debiased, fold, config.seed + number)  # type: ignore[arg-type]
        for fold in folds
        for choice in of_choice
        for number in range(config.seeds)
    ]
    tell = None if report is None else lambda progress: report(progress, runs)
    with resident(data):
        return _Swept(trainer(data, runs, config, report=tell, **more), runs, folds, len(choices))


def _errors(
    data: Transitions, swept: _Swept, held_out: np.ndarray, config: CrossvalConfig
) -> tuple[list[LeftOut], list[Trained]]:
    """Each model on records that it did not learn from: the behaviors left out, and `held_out` rows of the others."""
    scale = output_scale(data, config.features.angles)
    left_out: list[LeftOut] = []
    trained: dict[int, list[np.ndarray]] = {}
    counts_of: dict[int, np.ndarray] = {}
    per_fold = swept.choices * config.seeds
    for place, fold in enumerate(swept.folds):
        others = held_out[~np.isin(data.behavior[held_out], fold)]
        part = data.rows(np.concatenate([np.flatnonzero(np.isin(data.behavior, fold)), others]))
        models = range(place * per_fold, (place + 1) * per_fold)
        errors = np.stack(
            [
                squared_errors(model_of_run(swept.sweep, number, swept.runs[number], data, config), part, scale).mean(1)
                for number in models
            ],
            axis=1,
        )
        for behavior in map(int, np.unique(part.behavior)):
            own = part.behavior == behavior
            sums, counts = by_cluster(errors[own], part.episode[own])
            sums = sums.reshape(swept.choices, config.seeds, -1)
            if behavior in fold:
                left_out.append(LeftOut(data.behavior_names[behavior], sums, counts))
            else:
                trained.setdefault(behavior, []).append(sums)
                counts_of[behavior] = counts
    return left_out, [
        Trained(data.behavior_names[behavior], np.concatenate(trained[behavior], axis=1), counts_of[behavior])
        for behavior in sorted(trained)
    ]


def _rows(left_out: Sequence[LeftOut], choices: Sequence[Choice], config: CrossvalConfig) -> Iterator[dict[str, Any]]:
    for fold in left_out:
        risks = fold.sums.sum(-1) / fold.counts.sum()
        for choice, of_seeds in zip(choices, risks, strict=True):
            for number, risk in enumerate(of_seeds):
                yield {**choice._asdict(), "behavior": fold.behavior, "seed": config.seed + number, "risk": float(risk)}
