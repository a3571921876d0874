"""What holds of every penalty for any records."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.risk.conftest import CASES, SPREADS, objective_of, penalty_of
from worldrex import risk

MANY = settings(max_examples=25, deadline=None)
LOSS = st.floats(0, 1e3).map(lambda x: round(x, 3))
RECORDS = st.lists(st.tuples(LOSS, st.integers(0, 3)), min_size=1, max_size=14)
FREE = [case for case in CASES if case != "group_dro"]
"""The cases that do not tell groups apart by name."""


def columns(records):
    losses, groups = zip(*records, strict=True)
    return np.array(losses), np.array(groups)


def assert_same(m, again, cases=CASES, **more):
    size = 1 + np.abs(m.mean).max()
    for case in cases:
        a, b = (objective_of(x, case, **more) for x in (m, again))
        scale = size**2 if "variance" in case or "irm" in case else size
        # A root near 0 magnifies the rounding under it.
        tolerance = 1e-6 if "std" in case or "quantile" in case else 1e-10
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=tolerance * scale, err_msg=case)


@MANY
@given(RECORDS, st.randoms(use_true_random=False), st.permutations(range(4)))
def test_order_of_records_and_names_of_groups_do_not_matter(records, random, names):
    losses, groups = columns(records)
    m = risk.group_moments(losses, groups, 4)
    order = random.sample(range(len(losses)), len(losses))
    assert_same(m, risk.group_moments(losses[order], groups[order], 4), weight=2.0)
    relabeled = risk.group_moments(losses, np.array(names)[groups], 4)
    for a, b in zip(m, relabeled, strict=True):
        np.testing.assert_allclose(b[..., names], a, rtol=1e-12, atol=1e-8)
    assert_same(m, relabeled, FREE, weight=2.0)


@MANY
@given(RECORDS, st.lists(st.integers(0, 6), min_size=4, max_size=4, unique=True))
def test_absent_groups_are_as_if_they_were_not(records, places):
    losses, groups = columns(records)
    few, many = risk.group_moments(losses, groups, 4), risk.group_moments(losses, np.array(places)[groups], 7)
    for reduce in ("mean", "sum", "pooled", "none"):
        assert_same(few, many, FREE, reduce=reduce)


@MANY
@given(st.lists(RECORDS, min_size=2, max_size=4))
def test_an_ensemble_is_a_loop_over_models(rows):
    size = max(map(len, rows))
    losses, groups, mask = (
        np.full((len(rows), size), np.nan),
        np.zeros((len(rows), size), int),
        np.zeros((len(rows), size), bool),
    )
    for row, records in enumerate(rows):
        losses[row, : len(records)], groups[row, : len(records)] = columns(records)
        mask[row, : len(records)] = True
    together = risk.group_moments(losses, groups, 4, mask)
    for row, records in enumerate(rows):
        assert_same(risk.group_moments(*columns(records), 4), type(together)(*(x[row] for x in together)))


@MANY
@given(RECORDS, st.floats(-100, 100), st.floats(0.1, 10))
def test_a_shift_moves_the_risk_alone_and_a_scale_scales_both(records, shift, scale):
    losses, groups = columns(records)
    m, shifted, scaled = (risk.group_moments(x, groups, 4) for x in (losses, losses + shift, losses * scale))
    np.testing.assert_allclose(risk.mean_risk(shifted), risk.mean_risk(m) + shift, rtol=1e-9, atol=1e-9)
    size = 1 + np.abs(losses).max() * max(1, scale) + abs(shift)
    for case in CASES:
        quadratic = "variance" in case or "irm" in case
        # The root of a negative estimate is cut at 0, and one at 0 but for rounding may be either.
        tolerance = (1e-9 if quadratic else 1e-5) * size ** (2 if quadratic else 1)
        base = penalty_of(m, case)
        if "irm" not in case:
            np.testing.assert_allclose(penalty_of(shifted, case), base, rtol=1e-6, atol=tolerance, err_msg=case)
        degree = 2 if quadratic else 1
        np.testing.assert_allclose(
            penalty_of(scaled, case), base * scale**degree, rtol=1e-6, atol=tolerance, err_msg=case
        )


@MANY
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 20)), min_size=1, max_size=4))
def test_plain_penalties_are_0_if_and_only_if_the_risks_are_equal(groups):
    # Groups of so many records, at a distance of their risk from each other that shows.
    ids = np.repeat(np.arange(len(groups)), [n for n, _ in groups])
    risks = np.array([r for _, r in groups], float)
    noise = np.random.default_rng(0).normal(size=len(ids))
    for g in range(len(groups)):
        noise[ids == g] -= noise[ids == g].mean()
    m = risk.group_moments(risks[ids] + noise, ids, 5)
    equal = len(set(risks)) == 1
    for case in SPREADS:
        value = penalty_of(m, case, debiased=False)
        if equal:
            assert abs(value) < 1e-10, case
        elif case in ("quantile", "gaussian quantile", "group_dro"):
            # Above the mean for most risks; an excess over the mean of another kind, it may have either sign.
            continue
        else:
            assert value > 1e-3, case
    for case in ("quantile", "gaussian quantile", "low quantile"):
        if equal:
            assert abs(penalty_of(m, case)) < 1e-10
    if not equal:
        assert penalty_of(m, "gaussian quantile") > 1e-3
    d = risk.group_moments(np.zeros(len(ids)), ids, 5)
    assert risk.irm(d, debiased=False) == 0
    assert (risk.irm(m, debiased=False) > 0) == bool((np.abs(m.mean) > 0).any())
