from dataclasses import replace

import jax
import numpy as np
import pytest

from tests.policy.made_up import log_of
from worldrex.data import DataError
from worldrex.policy import CloneConfig, clone

CONFIG = CloneConfig(hidden=(32,), steps=1500, batch=64, learning_rate=1e-2, action_low=(-4.0,), action_high=(4.0,))


def test_it_does_what_was_logged():
    data = log_of(600)
    rng = np.random.default_rng(0)
    wanted = 2 * np.tanh(data.obs[:, :1]) - 0.5 * data.obs[:, 1:]
    noisy = np.clip(wanted + 0.3 * rng.normal(size=wanted.shape), -4, 4).astype(np.float32)
    ticks: list[tuple[int, int]] = []
    policy = clone(replace(data, action=noisy), CONFIG, tick=lambda *x: ticks.append(x))
    assert np.abs(np.asarray(policy.act(data.obs)) - wanted).mean() < 0.15
    draws = np.stack([policy.act(data.obs, key=jax.random.key(seed)) for seed in range(30)])
    assert draws.std(0).mean() == pytest.approx(0.3, rel=0.25)
    assert ticks == [(1000, 1500), (1500, 1500)]
    assert policy.trained["algorithm"] == "cloning"


def test_a_log_that_is_not_usable_is_refused():
    data = log_of()
    data.reward[3] = np.nan
    with pytest.raises(DataError):
        clone(data, CONFIG)
