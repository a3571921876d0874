"""What an estimate is on average over 20,000 random mini-batches of a fixed data set, drawn with replacement."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.risk.conftest import assert_mean
from worldrex import risk

BATCHES = 20_000
RECORDS = 32
NUM_GROUPS = 6
SIZES = np.array([40, 17, 90, 300, 25, 60])


def data_set(noise, seed=0):
    """Losses a + b x of a parameter x, here 0, skewed, with exactly that noise in each group: a, b, groups."""
    rng = np.random.default_rng(seed)
    a, b = [], []
    for group, (size, level) in enumerate(zip(SIZES, noise, strict=True)):
        residual = rng.exponential(size=size)
        residual = (residual - residual.mean()) / residual.std() * level
        a.append(2 + 0.15 * group + residual)
        b.append(0.3 * group - 0.5 + 0.5 * residual)  # noise of a + b x: level (1 + x / 2)
    return np.concatenate(a), np.concatenate(b), np.repeat(np.arange(NUM_GROUPS), SIZES)


def batches(patterns, seed=1):
    """Rows of the data set: each batch has one pattern's counts, of groups in a random order."""
    rng = np.random.default_rng(seed)
    counts = rng.permuted(np.array(patterns)[rng.integers(0, len(patterns), BATCHES)], axis=1)
    groups = np.repeat(np.tile(np.arange(NUM_GROUPS), BATCHES), counts.reshape(-1)).reshape(BATCHES, RECORDS)
    starts = np.concatenate([[0], np.cumsum(SIZES)])[groups]
    return starts + (rng.random(groups.shape) * SIZES[groups]).astype(int), counts


SEVERAL = [[0, 0, 2, 4, 6, 20], [0, 2, 2, 3, 10, 15], [3, 4, 5, 6, 6, 8], [0, 0, 0, 0, 2, 30]]
SINGLES = [[0, 0, 1, 1, 10, 20], [1, 1, 1, 1, 3, 25], [0, 1, 5, 6, 8, 12], [0, 0, 0, 1, 1, 30]]
UNEQUAL, EQUAL = np.array([0.5, 1.0, 2.0, 1.5, 0.2, 0.8]), np.full(NUM_GROUPS, 0.8)


@jax.jit
def estimates(a, b, groups):
    """Value and slope at x = 0 of each estimate, for each batch."""

    def values(x, a, b, groups):
        m = risk.group_moments(a + b * x, groups, NUM_GROUPS)
        each = [f(m, debiased=d) for f in (risk.variance, risk.irm) for d in (True, False)]
        return jnp.stack([*each, risk.std(m)])

    rows = jax.vmap(lambda *row: (values(0.0, *row), jax.jacfwd(values)(0.0, *row)))
    return rows(a, b, groups)


def of_each_batch(noise, patterns):
    """Estimates, and the full data's values of the groups in each batch, with the plain ones' excess, and slopes."""
    a, b, groups = data_set(noise)
    at, counts = batches(patterns)
    found = estimates(jnp.asarray(a[at], jnp.float32), jnp.asarray(b[at], jnp.float32), jnp.asarray(groups[at]))
    found = [np.asarray(x, np.float64) for x in found]

    def truth(x):
        losses = a + b * x
        means = np.array([losses[groups == g].mean() for g in range(NUM_GROUPS)])
        variances = np.array([losses[groups == g].var() for g in range(NUM_GROUPS)])
        here = counts > 0
        number = here.sum(1)
        center = (means * here).sum(1) / number
        variance = ((means - center[:, None]) ** 2 * here).sum(1) / number
        noise = np.where(here, variances / np.maximum(counts, 1), 0).sum(1)
        return {
            "variance": variance,
            "excess": (number - 1) / number**2 * noise,
            "irm": (means**2 * here).sum(1) / number,
            "irm of several": (means**2 * (counts > 1)).sum(1) / number,
            "irm excess": noise / number,
        }

    up, down, now = truth(1e-4), truth(-1e-4), truth(0.0)
    return found, (now, {name: (up[name] - down[name]) / 2e-4 for name in up})


@pytest.mark.parametrize(("noise", "patterns"), [(UNEQUAL, SEVERAL), (EQUAL, SINGLES)], ids=["several", "singles"])
def test_debiased_estimates_are_the_full_datas_and_the_plain_ones_exceed_it_by_the_formula(noise, patterns):
    found, true = of_each_batch(noise, patterns)
    for what in (0, 1):  # value, slope
        debiased, plain, irm, plain_irm, _ = found[what].T
        now = true[what]
        assert_mean(debiased - now["variance"], 0)
        assert_mean(plain - now["variance"] - now["excess"], 0)
        # A single record's part of irm is 0; the plain one has it.
        assert_mean(irm - now["irm of several"], 0)
        assert_mean(plain_irm - now["irm"] - now["irm excess"], 0)
        # What the plain ones exceed it by would have been seen.
        for excess, estimate in ((now["excess"], plain), (now["irm excess"], plain_irm)):
            assert abs(excess.mean()) > 10 * estimate.std() / np.sqrt(BATCHES)


def test_single_records_of_noisier_groups_are_biased_as_the_docstring_says():
    # One single record each of a group with noise 2, and the others' with noise 0.5: the pooled s2 takes off too little.
    rng = np.random.default_rng(0)
    noise, counts = np.array([2.0, 0.5, 0.5]), np.array([1, 8, 8])
    groups = np.repeat(np.arange(3), counts)
    losses = rng.normal(size=(BATCHES, 17)) * noise[groups]
    m = risk.group_moments(losses, groups, 3)
    missing = 2 / 9 * (noise[0] ** 2 - noise[1] ** 2)
    assert_mean(risk.variance(m) - missing, 0)
    assert missing > 10 * risk.variance(m).std() / np.sqrt(BATCHES)


@pytest.mark.parametrize("noise", [0.1, 0.3, 1.0])
def test_the_root_of_an_unbiased_estimate_is_a_little_low_and_its_square_is_not(noise):
    rng = np.random.default_rng(2)
    risks, counts = np.array([1.0, 2.0, 3.0, 4.0]), np.array([4, 8, 8, 12])
    groups = np.repeat(np.arange(4), counts)
    m = risk.group_moments(risks[groups] + noise * rng.normal(size=(BATCHES, 32)), groups, 4)
    std, variance = risk.std(m), risk.variance(m)
    assert (variance > 0).all(), "not cut"
    assert_mean(std**2 - risks.var(), 0)
    # E sqrt(v) = sqrt(V) - Var(v) / (8 V^1.5) + ...
    low = variance.var() / (8 * risks.var() ** 1.5)
    error = std.std() / np.sqrt(BATCHES)
    assert abs(std.mean() - risks.std() + low) < 3 * error + 0.2 * low
    assert (std.mean() < risks.std()) or low < error


def test_importance_weights_leave_it_unbiased():
    # Weights that do not depend on a record's noise, of other sizes in each group, some of them 0; one single record.
    rng = np.random.default_rng(3)
    for noise, counts in (
        (np.array([0.5, 1.0, 2.0, 1.5]), np.array([3, 4, 8, 17])),
        (np.full(4, 0.8), np.array([1, 5, 8, 18])),
    ):
        groups = np.repeat(np.arange(4), counts)
        weights = rng.gamma(1.0, 1.0, (BATCHES, 32)) * np.array([0.1, 1, 5, 2])[groups]
        weights[:, counts[:2].sum() :: 4] = 0
        risks = np.array([1.0, 1.3, 0.8, 1.1])
        losses = risks[groups] + noise[groups] * (rng.exponential(size=(BATCHES, 32)) - 1)
        m = risk.group_moments(losses, groups, 4, weights=weights)
        assert_mean(risk.variance(m) - risks.var(), 0)
        shrink = m.square / m.count**2
        excess = 3 / 16 * (shrink * noise**2).sum(-1)
        assert_mean(risk.variance(m, debiased=False) - risks.var() - excess, 0)
        several = counts > 1
        assert_mean(risk.irm(m) - (risks**2 * several).sum() / 4, 0)
