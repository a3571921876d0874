import numpy as np
import pytest
from numpy.typing import ArrayLike

from tests.dynamics.conftest import one_by_one, same_bits
from worldrex import risk
from worldrex.data import Transitions
from worldrex.dynamics import Features, first_of_episode, normalizer
from worldrex.dynamics.normalizer import Columns, Normalizer, fit_normalizer, moments_of_behaviors
from worldrex.dynamics.processes import whole_of_one

RNG = np.random.default_rng(0)
SIGHTS = (Features(), Features(history=3, angles=(1,)), Features(absolute=(0,), masked=(1,)))


def columns(*values: ArrayLike) -> np.ndarray:
    return np.column_stack([np.asarray(x) for x in values]).astype(np.float32)


def normalizer_of(inputs: np.ndarray, outputs: np.ndarray) -> Normalizer:
    """Of records of one behavior."""
    nobody = np.zeros(len(inputs), np.int32)
    return fit_normalizer(Columns(*(risk.group_moments(x.T.astype(float), nobody, 1) for x in (inputs, outputs))))


def test_mean_and_deviation_of_each_column():
    inputs, outputs = columns([1.0, 3.0], [0.0, 8.0]), columns([-1.0, 5.0])
    found = normalizer_of(inputs, outputs)
    np.testing.assert_array_equal(found.input_mean, [2.0, 4.0])
    np.testing.assert_array_equal(found.input_std, [1.0, 4.0])
    np.testing.assert_array_equal(found.output_mean, [2.0])
    np.testing.assert_array_equal(found.output_std, [3.0])
    assert {x.dtype for x in found} == {np.dtype(np.float32)}


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e30])
def test_a_constant_column_has_deviation_1(value: float):
    x = columns(np.full(1001, value))
    found = normalizer_of(x, x)
    np.testing.assert_array_equal(found.input_mean, x[0])
    np.testing.assert_array_equal(found.input_std, [1.0])


def test_a_column_that_differs_by_rounding_alone_counts_as_constant():
    value = np.float32(1e6)
    x = columns(np.where(np.arange(1000) % 2, value, np.nextafter(value, np.float32(np.inf))))
    np.testing.assert_array_equal(normalizer_of(x, x).output_std, [1.0])


@pytest.mark.parametrize("spread", [2.0, 100.0])
def test_a_large_mean_leaves_the_deviation_exact(spread: float):
    x = columns(1e6 + spread * RNG.normal(size=20_000))
    found = normalizer_of(x, x)
    exact = x.astype(np.float64).std(0)
    np.testing.assert_allclose(found.input_std, exact, rtol=1e-6)
    np.testing.assert_allclose(found.input_mean, x.astype(np.float64).mean(0), rtol=1e-7)


def test_a_tiny_spread_about_zero_is_kept():
    x = columns(1e-20 * RNG.normal(size=1000))
    np.testing.assert_allclose(normalizer_of(x, x).input_std, x.astype(np.float64).std(0), rtol=1e-6)


def test_huge_values_do_not_overflow():
    x = columns(1e30 * RNG.normal(size=1000))
    np.testing.assert_allclose(normalizer_of(x, x).input_std, x.astype(np.float64).std(0), rtol=1e-6)


@pytest.mark.parametrize("features", SIGHTS)
@pytest.mark.parametrize("leaving_out", [(), (0,), (2,), (1, 3)])
def test_behaviors_merged_are_the_records_of_the_others(
    log: Transitions, features: Features, leaving_out: tuple[int, ...]
):
    trained = np.sort(np.random.default_rng(1).permutation(len(log))[:1100])
    moments = moments_of_behaviors(log, whole_of_one(log), one_by_one(log, trained), features)
    rows = trained[~np.isin(log.behavior[trained], leaving_out)]
    inputs = features.inputs(*features.past(log, rows, first_of_episode(log.episode))).astype(float)
    outputs = features.outputs(log.obs[rows], log.next_obs[rows], log.reward[rows]).astype(float)
    got = fit_normalizer(moments, leaving_out=leaving_out)
    expected = Normalizer(inputs.mean(0), inputs.std(0), outputs.mean(0), outputs.std(0))
    for x, y in zip(got, expected, strict=True):
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7)


def test_moments_are_those_of_each_behavior(log: Transitions):
    trained = np.flatnonzero(log.behavior != 1)[::3]
    moments = moments_of_behaviors(log, whole_of_one(log), one_by_one(log, trained), Features())
    np.testing.assert_array_equal(moments.outputs.count[0], np.bincount(log.behavior[trained], minlength=4))
    for behavior in (0, 2, 3):
        own = trained[log.behavior[trained] == behavior]
        outputs = np.column_stack([log.next_obs - log.obs, log.reward])[own].astype(float)
        np.testing.assert_allclose(moments.outputs.mean[:, behavior], outputs.mean(0), rtol=1e-9)
        np.testing.assert_allclose(moments.outputs.m2[:, behavior], outputs.var(0) * len(own), rtol=1e-9)


@pytest.mark.parametrize("block", [1, 7, 1099])
def test_blocks_change_no_moments(log: Transitions, monkeypatch: pytest.MonkeyPatch, block: int):
    trained = np.sort(np.random.default_rng(1).permutation(len(log))[:1100])
    features = SIGHTS[1]
    whole = fit_normalizer(moments_of_behaviors(log, whole_of_one(log), one_by_one(log, trained), features))
    monkeypatch.setattr(normalizer, "ROWS_AT_ONCE", block)
    for x, y in zip(
        fit_normalizer(moments_of_behaviors(log, whole_of_one(log), one_by_one(log, trained), features)),
        whole,
        strict=True,
    ):
        np.testing.assert_allclose(x, y, rtol=2e-7)


def test_rows_that_are_not_trained_on_count_for_nothing(log: Transitions):
    trained = np.flatnonzero(log.episode % 2 == 0)
    other = Transitions(**{**vars(log), "next_obs": np.where(log.episode[:, None] % 2, np.float32(1e9), log.next_obs)})
    left, right = (
        moments_of_behaviors(data, whole_of_one(data), one_by_one(data, trained), SIGHTS[1]) for data in (log, other)
    )
    assert same_bits(left, right)
