"""Every penalty, loss, sampler and head, trained for a moment as one program."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest

from tests.dynamics.conftest import SMALL, same_bits
from tests.dynamics.gust import gust_log
from worldrex.data import Transitions
from worldrex.dynamics import Run, Sweep, TrainConfig, WorldModel, fit_runs, layout, load_model
from worldrex.dynamics.settings import TrainedPenalty
from worldrex.risk import PENALTIES

# Those that are risks of their own are that risk at weight 1.
WEIGHTS = {"variance": 10.0, "std": 3.0, "mad": 3.0, "irm": 3.0}
BRISK = replace(SMALL, members=1, elites=1, batch=64, warmup_steps=50, steps=300, learning_rate=1e-2, group_dro_eta=0.1)
SETTINGS = {
    "squared": BRISK,
    "nll": replace(BRISK, loss="nll", sampler="balanced", bootstrap=True),
    "beta_nll": replace(BRISK, loss="beta_nll", per_dimension=True, tracking=0.9),
    "deterministic": replace(
        BRISK, deterministic=True, sampler="weighted", behavior_weights=(1.0, 2.0, 3.0, 4.0), termination="none"
    ),
}
SOME: tuple[TrainedPenalty, ...] = ("none", "variance", "irm", "group_dro")


class Trained(NamedTuple):
    """A model of each penalty."""

    config: TrainConfig
    log: Transitions
    models: dict[str, WorldModel]
    sweep: Sweep


def ending(log: Transitions) -> Transitions:
    """The log, its episodes ending wherever the first observation is large."""
    return replace(log, terminated=log.obs[:, 0] > 0.8)


@pytest.fixture(scope="module", params=list(SETTINGS))
def trained(request: pytest.FixtureRequest) -> Trained:
    """With every penalty under squared loss, and with some under the others."""
    config, log = SETTINGS[request.param], ending(gust_log())
    names = PENALTIES if request.param == "squared" else SOME
    models, sweep = fit_runs(log, [Run(name, WEIGHTS.get(name, 1.0)) for name in names], config)
    return Trained(config, log, dict(zip(names, models, strict=True)), sweep)


def test_every_penalty_trains(trained: Trained) -> None:
    sweep, log = trained.sweep, trained.log
    assert not sweep.skipped.any()
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(sweep.networks))
    assert np.isfinite(sweep.holdout_objective).all()
    assert np.isfinite(sweep.holdout_risk).all()
    for name, model in trained.models.items():
        assert same_bits(model.networks, trained.models["none"].networks) == (name == "none")
        # No model is much worse than one that predicts no change.
        told = model.predict(log.obs, log.action)
        error = np.square(told.next_obs - log.next_obs).mean(0) / (log.next_obs - log.obs).var(0)
        assert error.max() < 1.5, (name, error)


# Not of likelihoods: their spread is lowered by the variance, too.
@pytest.mark.parametrize("trained", ["squared", "deterministic"], indirect=True)
def test_a_penalty_evens_the_risks_out(trained: Trained) -> None:
    spread = dict(zip(trained.models, trained.sweep.holdout_risk[:, 0].std(1), strict=True))
    for name in {"variance", "mad", "worst"} & set(spread):
        assert spread[name] < spread["none"], spread


def test_ends_are_learned_where_there_are_some_and_asked_for(trained: Trained, tmp_path: Path) -> None:
    log, model = trained.log, trained.models["none"]
    model.save(tmp_path)
    assert same_bits(load_model(tmp_path).networks, model.networks)
    told = np.asarray(model.predict(log.obs, log.action).terminated)
    if trained.config.termination == "none":
        assert model.networks.stop is None
        assert not told.any()
        return
    clear = np.abs(log.obs[:, 0] - 0.8) > 0.4
    assert told[log.terminated & clear].mean() > 0.6
    assert told[~log.terminated & clear].mean() < 0.15


def test_a_log_without_ends_has_no_head_for_them() -> None:
    tables, _ = layout.tables_of(gust_log(2), [(), ()], BRISK)
    assert tables.terminated is None
    tables, _ = layout.tables_of(ending(gust_log(2)), [(), ()], replace(BRISK, termination="none"))
    assert tables.terminated is None


def test_a_deterministic_network_has_no_noise(trained: Trained) -> None:
    log, deterministic = trained.log, trained.config.deterministic
    told = trained.models["none"].predict(log.obs, log.action)
    assert (trained.sweep.networks.log_var is None) == deterministic
    assert not np.any(told.aleatoric) if deterministic else np.all(told.aleatoric > 0)
