"""Fit world models: one, or several that differ in their penalty, as one program."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax

from worldrex.data import Transitions, require_valid, resident
from worldrex.dynamics.model import WorldModel
from worldrex.dynamics.selection import elites_of
from worldrex.dynamics.settings import Run, TrainConfig, TrainedPenalty
from worldrex.dynamics.sweep import Progress, Sweep, train


@dataclass(frozen=True)
class FitConfig(TrainConfig):
    """How one world model is fitted."""

    penalty: TrainedPenalty = "variance"
    """Penalty on the spread of the behaviors' risks."""
    weight: float = 100.0
    """Weight of the penalty; 0 is empirical risk minimization (ERM)."""
    debiased: bool = True
    """Whether the mini-batch's sampling noise is taken out of the penalty."""


def fit(
    data: Transitions, config: FitConfig | None = None, *,
    report: Callable[[Progress], None] | None = None, tick: Callable[[int, int], None] | None = None, **more: Any,
) -> WorldModel:  # fmt: skip
    """Fit an ensemble to the log, its risk made even over the behaviors.

    **Arguments:**

    - `data`: the log.
    - `config`: penalty, weight and training.
    - `report`, `tick` and what else `train` takes: `checkpoint`, `devices_per_batch`, ...

    **Returns:** the `WorldModel` of the elites. **Raises:** `DataError` for data that cannot be used, `TrainingError`.
    """
    config = config or FitConfig()
    require_valid(data)
    run = Run(config.penalty, config.weight, config.debiased, (), config.seed)
    return fit_runs(data, [run], config, report=report, tick=tick, **more)[0][0]


def fit_runs(
    data: Transitions, runs: Sequence[Run], config: TrainConfig, *,
    report: Callable[[Progress], None] | None = None, tick: Callable[[int, int], None] | None = None,
    trainer: Callable[..., Sweep] | None = None, **more: Any,
) -> tuple[list[WorldModel], Sweep]:  # fmt: skip
    """A model for each run, all trained as one program on the same records in the same order; or by another `trainer`."""
    with resident(data):
        sweep = (trainer or train)(data, runs, config, report=report, tick=tick, **more)
    return [model_of_run(sweep, number, run, data, config) for number, run in enumerate(runs)], sweep


def model_of_run(sweep: Sweep, number: int, run: Run, data: Transitions, config: TrainConfig) -> WorldModel:
    """The world model of one run of a sweep: its members, and as elites those with the lowest held-out objective."""
    elites = elites_of(sweep.holdout_objective[number], config.elites)
    return WorldModel(
        networks=jax.tree.map(lambda x: x[number], sweep.networks),
        normalizer=jax.tree.map(lambda x: x[number], sweep.normalizers),
        elites=elites,
        obs_dims=data.obs.shape[1],
        behavior_names=sweep.behavior_names,
        features=config.features,
        termination=config.termination,
        trained={**asdict(config), **{k: v for k, v in asdict(run).items() if v is not None}},
    )
