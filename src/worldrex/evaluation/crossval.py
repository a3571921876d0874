"""Leave one behavior out: how a model fares under a behavior that it never saw, for each weight of the penalty."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from worldrex.data import DataError, Transitions, require_valid, resident
from worldrex.dynamics import (
    Progress,
    Run,
    TrainConfig,
    TrainedPenalty,
    TrainingError,
    model_of_run,
    require_trainable,
    split_of,
    train,
)  # fmt: skip
from worldrex.evaluation.model_error import output_scale, squared_errors
from worldrex.evaluation.selection import LeftOut, Selection, select
from worldrex.evaluation.statistics import by_cluster

FEWEST_RECORDS = 50


@dataclass(frozen=True)
class CrossvalConfig(TrainConfig):
    """Which weights to compare, and how each of the trainings goes: smaller than the final one, since there are many."""

    penalty: TrainedPenalty = "variance"
    """Penalty on the spread of the behaviors' risks."""
    weights: tuple[float, ...] = (0.0, 1.0, 10.0, 100.0, 300.0)
    """Weights to compare; 0, ERM, is always among them."""
    debiased: bool = True
    """Whether the mini-batch's sampling noise is taken out of the penalty."""
    seeds: int = 3
    """Trainings of each weight and fold."""
    members: int = 2
    elites: int = 2
    hidden: tuple[int, ...] = (64, 64)
    batch: int = 256
    warmup_steps: int = 1000
    steps: int = 3000


@dataclass(frozen=True)
class CrossvalTable:
    """Left-out risks, and the weight that they choose."""

    rows: list[dict[str, Any]]
    """One object for each weight, left-out behavior and seed: penalty, weight, behavior, seed, risk."""
    selection: Selection
    compile_seconds: float

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "CrossvalTable":
        """The table that `to_json` told."""
        return cls(content["crossval"], Selection.from_json(content["selection"]), content["compile_seconds"])

    def to_json(self) -> dict[str, Any]:
        """As summary.json has it."""
        return {"crossval": self.rows, "selection": asdict(self.selection), "compile_seconds": self.compile_seconds}


def require_sweepable(config: CrossvalConfig) -> None:
    """Raise `TrainingError` for settings that no comparison can have."""
    if config.seeds < 1:
        raise TrainingError(f"seeds is {config.seeds}; comparing weights needs 1 or more, and 3 to tell chance.")
    require_trainable(config, config.weights)


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
    report: Callable[[Progress, list[Run]], None] | None = None, tick: Callable[[int, int], None] | None = None,
    **more: Any,
) -> CrossvalTable:  # fmt: skip
    """Train with each behavior left out in turn, for each weight and seed, all as one program; choose the weight.

    **Arguments:**

    - `data`: the log of two behaviors or more. With two, a fold trains on one, where every penalty is zero: then only
      ERM is trained, and no weight is chosen.
    - `config`: weights, seeds and training.
    - `report` (also told the runs), `tick` and what else `train` takes: `checkpoint`, ...

    **Returns:** `CrossvalTable`; all risks are squared errors of the ensemble's mean in units of the whole log's outputs, so
    that those of different folds can be compared.

    **Raises:** `DataError` for data that cannot be compared, `TrainingError` for settings that cannot.
    """
    config = config or CrossvalConfig()
    require_sweepable(config)
    require_valid(data)
    require_comparable(data)
    learned, held_out = split_of(data, config)
    folds = list(map(int, np.unique(data.behavior[learned])))
    weights = sorted({0.0, *map(float, config.weights)}) if len(folds) > 2 else [0.0]
    seeds = [config.seed + number for number in range(config.seeds)]
    runs = [
        Run(config.penalty, weight, config.debiased, fold, seed)
        for fold in folds
        for weight in weights
        for seed in seeds
    ]
    tell = None if report is None else lambda progress: report(progress, runs)
    with resident(data):
        sweep = train(data, runs, config, report=tell, tick=tick, **more)
    scale = output_scale(data, config.features.angles)
    # Every model on every record that it did not learn from: the behavior left out, and held-out episodes of the others.
    rows, left_out = [], []
    trained = {data.behavior_names[fold]: np.full((len(weights), len(runs)), np.nan) for fold in folds}
    for fold in folds:
        fold_rows = np.flatnonzero(data.behavior == fold)
        part = data.rows(np.concatenate([fold_rows, held_out[data.behavior[held_out] != fold]]))
        errors = []
        for number, run in enumerate(runs):
            if run.left_out != fold:
                continue
            error = squared_errors(model_of_run(sweep, number, run, data, config), part, scale).mean(1)
            errors.append(error[: len(fold_rows)])
            rows.append(
                {
                    "penalty": run.penalty,
                    "weight": run.weight,
                    "behavior": data.behavior_names[fold],
                    "seed": run.seed,
                    "risk": float(errors[-1].mean()),
                }
            )
            on_others, of_other = error[len(fold_rows) :], part.behavior[len(fold_rows) :]
            for other in np.unique(of_other):
                risk_there = on_others[of_other == other].mean()
                trained[data.behavior_names[other]][weights.index(run.weight), number] = risk_there
        sums, counts = by_cluster(np.stack(errors, axis=1), data.episode[fold_rows])
        left_out.append(LeftOut(data.behavior_names[fold], sums.reshape(len(weights), len(seeds), -1), counts))
    curves = {
        name: np.stack([risks[np.isfinite(risks)] for risks in of_weights])
        for name, of_weights in trained.items()
        if np.isfinite(of_weights).any()
    }
    selection = select(weights, left_out, curves, seed=config.seed)
    return CrossvalTable(rows, selection, sweep.compile_seconds)
