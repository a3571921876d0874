import inspect
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.risk.conftest import CASES, assert_moments, for_each_case, loop_moments, objective_of_each
from worldrex import risk
from worldrex.risk.moments import GroupMoments, check_records

QUICK = settings(max_examples=30, deadline=None)


def batch(shape, *, num_groups=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(3, 2, shape), rng.integers(0, num_groups - 1, shape), rng.random(shape) < 0.6


@pytest.mark.parametrize("shape", [(9,), (2, 3, 9), (2, 1, 2, 9), (3, 1)])
@pytest.mark.parametrize(
    ("shared_groups", "mask"), [(False, "none"), (False, "full"), (True, "shared"), (True, "full")]
)
def test_moments_are_those_of_a_loop_over_rows_and_groups(framework, shape, shared_groups, mask):
    losses, groups, counted = batch(shape)
    groups = groups.reshape(-1, shape[-1])[0] if shared_groups else groups
    counted = {"none": None, "full": counted, "shared": counted.reshape(-1, shape[-1])[0]}[mask]
    m = framework.moments(
        framework.array(losses),
        framework.array(groups, "int32"),
        5,
        None if counted is None else framework.array(counted, "bool"),
    )
    assert {tuple(x.shape) for x in m} == {(*shape[:-1], 5)}
    assert_moments(m, loop_moments(losses, groups, 5, counted), rtol=1e-5, framework=framework)
    assert not framework.numpy(m.count)[..., 4].any(), "nobody is in the last group"


def test_leading_axes_are_a_loop_over_rows():
    losses, groups, mask = batch((2, 3, 9))
    whole = risk.group_moments(losses, groups, 5, mask)
    for row in np.ndindex(2, 3):
        alone = risk.group_moments(losses[row], groups[row], 5, mask[row])
        for a, b in zip(whole, alone, strict=True):
            np.testing.assert_array_equal(a[row], b)


def test_moments_work_compiled(compiling):
    losses, groups, mask = batch((2, 9))
    f = lambda *xs: risk.group_moments(xs[0], xs[1], 5, xs[2])  # noqa: E731
    arrays = compiling.array(losses), compiling.array(groups, "int32"), compiling.array(mask, "bool")
    m = compiling.compiled(f)(*arrays)
    assert_moments(m, loop_moments(losses, groups, 5, mask), rtol=1e-5, framework=compiling)


def test_no_records_are_no_groups(framework):
    for shape in ((0,), (3, 0), (0, 4)):
        groups = framework.array(np.zeros(shape), "int32")
        m = framework.moments(framework.array(np.zeros(shape)), groups, 2)
        for x in m:
            np.testing.assert_array_equal(framework.numpy(x), np.zeros((*shape[:-1], 2)))


def test_masked_records_do_not_touch_values_whatever_they_hold(framework):
    losses, groups, mask = batch((2, 9))
    dirty = np.where(mask, losses, np.resize([np.nan, np.inf, -np.inf], losses.shape))
    ids = np.where(mask, groups, -7)
    m = framework.moments(framework.array(dirty), framework.array(ids, "int32"), 5, framework.array(mask, "bool"))
    clean = framework.moments(
        framework.array(losses), framework.array(groups, "int32"), 5, framework.array(mask, "bool")
    )
    assert_moments(m, [framework.numpy(x) for x in clean], rtol=0, framework=framework)
    assert_moments(m, loop_moments(losses, groups, 5, mask), rtol=1e-5, framework=framework)


def test_records_that_do_not_count_touch_no_gradients_whatever_they_hold(differentiable):
    losses, groups, mask = batch((9,), seed=3)
    weights = np.where(np.arange(9) == np.flatnonzero(mask)[0], 0.0, 1.0)
    counted = mask & (weights > 0)
    dirty = np.where(counted, losses, np.resize([np.nan, np.inf, -np.inf], losses.shape))

    def total(x, groups, mask, weights):
        return sum(objective_of_each(risk.group_moments(x, groups, 5, mask, weights=weights)))

    gradient = differentiable.gradient(total, *differentiable.arrays(for_each_case(dirty), groups, mask, weights))
    np.testing.assert_array_equal(gradient[:, ~counted], 0)
    columns = differentiable.arrays(for_each_case(losses[counted]), groups[counted])
    alone = differentiable.gradient(total, *columns)
    np.testing.assert_allclose(gradient[:, counted], alone, rtol=1e-5, atol=1e-6)
    assert (np.abs(alone).max(axis=1) > 0.1).all()
    assert len(alone) == len(CASES)


def test_unmasked_infinite_and_nan_losses_show_in_their_own_group_alone():
    losses, groups = np.array([1.0, np.inf, 3.0, np.nan]), np.array([0, 1, 2, 3])
    with np.errstate(invalid="ignore"):
        m = risk.group_moments(losses, groups, 5)
    np.testing.assert_array_equal(m.mean, [1, np.inf, 3, np.nan, 0])
    np.testing.assert_array_equal(m.m2[[0, 2, 4]], 0)
    m = risk.group_moments(jnp.asarray(losses, jnp.float32), groups, 5)
    np.testing.assert_array_equal(m.mean, [1, np.inf, 3, np.nan, 0])


@pytest.mark.parametrize(
    ("groups", "match"),
    [
        ([0, 1, 3], r"ids from 0 to 3; expected 0\.\.2 \(num_groups=3\)"),
        ([0, -1, 2], r"ids from -1 to 2; expected 0\.\.2"),
        (np.array([0.0, 1.0, 2.0], np.float32), r"dtype .*float32.*; expected integers"),
        (np.array([True, False, True]), r"dtype .*bool.*; expected integers"),
        ([0, 1], r"groups has shape \(2,\); expected \(2, 3\) or \(3,\) for losses of shape \(2, 3\)"),
        ([[0, 1, 2]], r"groups has shape \(1, 3\)"),
    ],
)
def test_ids_that_are_no_groups_are_refused(framework, groups, match):
    ids = np.asarray(groups)
    ids = framework.array(ids, "int32" if ids.dtype.kind == "i" else ids.dtype.name)
    with pytest.raises(risk.RiskError, match=match):
        risk.group_moments(framework.array(np.zeros((2, 3))), ids, 3)


def test_other_bad_input_is_refused(framework):
    losses, groups = framework.array(np.zeros((2, 3))), framework.array([0, 1, 2], "int32")
    with pytest.raises(risk.RiskError, match="num_groups is 0; expected at least 1"):
        risk.group_moments(losses, groups, 0)
    with pytest.raises(risk.RiskError, match=r"mask has shape \(3, 2\)"):
        risk.group_moments(losses, groups, 3, framework.array(np.ones((3, 2)), "bool"))
    for dtype in ("float32", "int32"):
        with pytest.raises(risk.RiskError, match=rf"mask has dtype .*{dtype}.*; expected booleans"):
            risk.group_moments(losses, groups, 3, framework.array([1, 2, 0], dtype))
    with pytest.raises(risk.RiskError, match="losses is a scalar"):
        risk.group_moments(framework.array(1.0), framework.array(1, "int32"), 3)
    with pytest.raises(risk.RiskError, match=r"got builtins\.list"):
        risk.group_moments(losses, [0, 1, 2], 3)


def test_ids_out_of_range_are_dropped_when_compiled(compiling):
    losses = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    groups = np.array([0, -2, 1, 3, 2**31 - 1])
    f = compiling.compiled(lambda losses, groups: risk.group_moments(losses, groups, 3))
    m = f(compiling.array(losses), compiling.array(groups, "int32"))
    np.testing.assert_array_equal(compiling.numpy(m.count), [1, 1, 0])
    np.testing.assert_array_equal(compiling.numpy(m.mean), [1, 4, 0])
    # TensorFlow wraps an error from the function that it traces, with its name and message.
    error = risk.RiskError if compiling.name == "jax" else Exception
    for not_ids in (compiling.array(losses), compiling.array(losses > 2, "bool")):
        with pytest.raises(error, match=r"groups has dtype .* expected integers"):
            f(compiling.array(losses), not_ids)


def test_ids_out_of_range_have_no_gradient_under_jit():
    groups = jnp.array([0, -2, 1, 3, 0])
    f = jax.jit(jax.grad(lambda x, groups: risk.objective(risk.group_moments(x, groups, 3), weight=2.0)))
    gradient = f(jnp.array([1.0, jnp.nan, 4.0, jnp.inf, 2.0]), groups)
    np.testing.assert_array_equal(gradient[jnp.array([1, 3])], 0)
    kept = jnp.array([0, 2, 4])
    np.testing.assert_allclose(gradient[kept], f(jnp.array([1.0, 4.0, 2.0]), groups[kept]), rtol=1e-6)


def test_moments_under_vmap_are_rows():
    losses, groups, mask = batch((4, 9))
    f = jax.jit(jax.vmap(lambda *xs: risk.group_moments(xs[0], xs[1], 5, xs[2])))
    m = f(jnp.asarray(losses, jnp.float32), jnp.asarray(groups), jnp.asarray(mask))
    assert_moments(m, loop_moments(losses, groups, 5, mask), rtol=1e-5)


def risk_moments(framework, losses, groups, num_groups, mask=None, dtype="float32"):
    x, ids, counted, _ = framework.arrays(losses, groups, mask, dtype=dtype)
    f = jax.jit(risk.group_moments, static_argnums=2) if framework.name == "jax" else risk.group_moments
    return f(x, ids, num_groups, counted)


def parts_of(losses, groups, part, num_parts, framework, dtype):
    """Moments of each part of the records, some of them empty."""
    return [risk_moments(framework, losses, groups, 4, part == number, dtype) for number in range(num_parts)]


@pytest.mark.parametrize("seed", range(4))
def test_any_partition_merges_to_the_whole(framework, seed):
    rng = np.random.default_rng(seed)
    losses, groups = rng.gamma(2, 1, (2, 60)), rng.integers(0, 3, (2, 60))
    num_parts = int(rng.integers(2, 9))
    part = rng.choice(num_parts, 60, p=rng.dirichlet(np.full(num_parts, 0.5)))
    for dtype, rtol in (("float32", 1e-5), ("float64", 1e-12)):
        with framework.precise():
            merged = reduce(risk.merge, parts_of(losses, groups, part, num_parts, framework, dtype))
            assert_moments(merged, loop_moments(losses, groups, 4), rtol=rtol, framework=framework)


@QUICK
@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=30),
    st.permutations(range(5)),
)
def test_the_order_of_merging_does_not_matter(records, order):
    losses, groups, part = (np.array(column) for column in zip(*records, strict=True))
    parts = [risk.group_moments(losses[part == p], groups[part == p], 4) for p in range(5)]
    merged = reduce(risk.merge, [parts[p] for p in order])
    for got, want in zip(merged, loop_moments(losses, groups, 4), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-8)


def test_merging_with_nothing_changes_nothing(framework):
    losses, groups, _ = batch((2, 9))
    m = framework.moments(framework.array(losses), framework.array(groups, "int32"), 5)
    nothing = GroupMoments(*(x * 0 for x in m))
    for merged in (risk.merge(m, nothing), risk.merge(nothing, m)):
        for got, want in zip(merged, m, strict=True):
            np.testing.assert_array_equal(framework.numpy(got), framework.numpy(want))


@pytest.mark.parametrize("num_records", [40, 3000])
def test_means_a_million_times_the_spread_lose_nothing(framework, num_records):
    rng = np.random.default_rng(5)
    groups = rng.integers(0, 3, num_records)
    for dtype, epsilon in (("float32", 6e-8), ("float64", 1.1e-16)):
        losses = (np.array([1e6, 1.5e6, -2e6])[groups] + rng.normal(size=num_records)).astype(dtype)
        with framework.precise():
            m = risk_moments(framework, losses, groups, 3, dtype=dtype)
            part = rng.integers(0, 4, num_records)
            merged = reduce(risk.merge, parts_of(losses[None], groups[None], part, 4, framework, dtype))
        _, mean, m2 = loop_moments(losses.astype(np.longdouble), groups, 3)
        np.testing.assert_allclose(framework.numpy(m.mean), mean, rtol=4 * epsilon)
        np.testing.assert_allclose(framework.numpy(m.m2), m2, rtol={"float32": 1e-5, "float64": 1e-12}[dtype])
        # A merge works with means that are rounded: it can lose a million epsilon of m2, a naive sum of squares all.
        np.testing.assert_allclose(framework.numpy(merged.mean)[0, :3], mean, rtol=10 * epsilon)
        np.testing.assert_allclose(framework.numpy(merged.m2)[0, :3], m2, rtol=1e6 * epsilon)


def test_m2_is_never_negative_and_0_for_equal_losses(framework):
    for value in (0.1, 1e6 + 0.3, -7e-3):
        m = framework.moments(framework.array(np.full(50, value)), framework.array(np.arange(50) % 3, "int32"), 4)
        assert framework.numpy(m.m2).min() >= 0
        np.testing.assert_allclose(framework.numpy(m.m2), 0, atol=1e-12 * value**2)


def test_weights_of_1_are_none_and_integers_are_repeated_records(framework):
    losses, groups, mask = batch((2, 9))
    plain, ones = (
        framework.moments(losses, groups, 5, mask),
        framework.moments(losses, groups, 5, mask, np.ones((2, 9))),
    )
    assert isinstance(ones, risk.WeightedMoments)
    for a, b in zip((*plain, plain.count), ones, strict=True):
        np.testing.assert_allclose(framework.numpy(b), framework.numpy(a), rtol=1e-6)
    for debiased in (True, False):
        for f in (risk.variance, risk.irm, risk.std):
            a, b = (framework.numpy(f(m, debiased=debiased)) for m in (plain, ones))
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)

    times = np.random.default_rng(1).integers(0, 4, 9)
    weighted = framework.moments(losses[0], groups[0], 5, None, times)
    repeated = loop_moments(np.repeat(losses[0], times), np.repeat(groups[0], times), 5)
    assert_moments(weighted[:3], repeated, rtol=1e-5, framework=framework)
    assert_moments(weighted, loop_moments(losses[0], groups[0], 5, None, times), rtol=1e-5, framework=framework)


def test_weighted_moments_merge_exactly(framework):
    rng = np.random.default_rng(0)
    losses, groups, weights = rng.gamma(2, 1, (2, 60)), rng.integers(0, 3, (2, 60)), rng.gamma(1, 1, (2, 60))
    part = rng.integers(0, 5, 60)
    for dtype, rtol in (("float32", 1e-5), ("float64", 1e-12)):
        with framework.precise():
            x, ids, _, w = framework.arrays(losses, groups, None, weights, dtype=dtype)
            parts = [risk.group_moments(x, ids, 4, part == number, weights=w) for number in range(5)]
            merged = reduce(risk.merge, parts)
            assert_moments(merged, loop_moments(losses, groups, 4, None, weights), rtol=rtol, framework=framework)
            # One with weights and one without: those of the other count 1.
            whole = risk.merge(parts[0], risk.group_moments(x, ids, 4, part == 1))
            ones = np.where(part == 0, weights, 1.0)
            wanted = loop_moments(losses, groups, 4, part < 2, ones)
            assert_moments(whole, wanted, rtol=rtol, framework=framework)


def test_negative_weights_are_refused(framework):
    losses, groups, _, weights = framework.arrays(np.ones(3), [0, 1, 1], None, [1.0, -0.5, 2.0])
    for negative in (weights, np.array([1.0, -0.5, 2.0])):
        with pytest.raises(risk.RiskError, match=r"weights holds values from -0.5 to 2.0; expected 0 .* to 1e\+15"):
            risk.group_moments(losses, groups, 2, weights=negative)
    with pytest.raises(risk.RiskError, match=r"weights has shape \(2,\)"):
        risk.group_moments(losses, groups, 2, weights=framework.array([1.0, 1.0]))


def test_weights_of_masked_records_may_be_anything(framework):
    losses, groups, mask, weights = framework.arrays(
        np.arange(1.0, 4.0), [0, 1, 1], np.array([True, False, True]), [1.0, np.nan, 2.0]
    )
    m = risk.group_moments(losses, groups, 2, mask, weights=weights)
    np.testing.assert_array_equal(framework.numpy(m.count), [1, 2])
    with pytest.raises(risk.RiskError, match="weights holds values from"):
        risk.group_moments(losses, groups, 2, weights=framework.array([1.0, np.inf, 1.0]))


def test_a_column_of_losses_is_told_to_be_squeezed(framework):
    with pytest.raises(risk.RiskError, match=r"for losses of shape \(4, 1\)\. The losses are a column.*squeeze"):
        risk.group_moments(framework.array(np.ones((4, 1))), framework.array([0, 0, 1, 1], "int32"), 2)


@pytest.mark.parametrize("num_groups", [2.0, "2", None, True])
def test_a_number_of_groups_that_is_none_is_refused(num_groups):
    with pytest.raises(risk.RiskError, match=r"num_groups is .*; expected a Python integer"):
        inspect.unwrap(check_records)(np.ones(2), np.array([0, 1]), num_groups, None, None)


def test_losses_that_are_no_real_floats_are_refused():
    for losses in (np.arange(2), np.ones(2, complex)):
        with pytest.raises(risk.RiskError, match=r"losses has dtype .*; expected real floats"):
            risk.group_moments(losses, np.array([0, 1]), 2)


def test_ids_of_64_bits_do_not_wrap_into_a_group():
    with jax.enable_x64(True):
        groups = jnp.array([0, 1, 2**32, 2**32 + 1])
        counted = jax.jit(lambda groups: risk.group_moments(jnp.ones(4), groups, 2).count)(groups)
    np.testing.assert_array_equal(counted, [1, 1])


def test_numpy_groups_with_a_mask_that_is_traced():
    groups, mask = np.array([0, 0, 1]), jnp.array([True, False, True])
    counted = jax.jit(lambda mask: risk.group_moments(jnp.ones(3), groups, 2, mask).count)(mask)
    np.testing.assert_array_equal(counted, [1, 1])


def test_no_gradient_flows_into_weights(differentiable):
    losses, groups, *_ = differentiable.arrays(np.array([1.0, 2, 4, 8]), [0, 0, 1, 1])

    def value(weights, x):
        return (
            risk.objective(risk.group_moments(x * 1, groups, 2, weights=weights)) + 0 * weights.sum()
            if (differentiable.name != "tensorflow")
            else risk.objective(risk.group_moments(x, groups, 2, weights=weights))
        )

    np.testing.assert_array_equal(differentiable.gradient(value, differentiable.array([1.0, 2, 3, 4]), losses), 0)


SIZES = st.lists(st.tuples(st.floats(-1e3, 1e3), st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=30)


@QUICK
@given(SIZES, st.permutations(range(5)), st.sampled_from([0.0, 1e9]))
def test_float32_merges_as_well_as_its_parts_means(records, order, offset):
    # The parts' means are rounded to float32: m2 can be off by what that moves them, and no more.
    losses, groups, part = (np.array(column) for column in zip(*records, strict=True))
    losses = (losses + offset).astype(np.float32)
    parts = [risk.group_moments(losses[part == p], groups[part == p], 4) for p in range(5)]
    merged = reduce(risk.merge, [parts[p] for p in order])
    count, mean, m2 = loop_moments(losses, groups, 4)
    rounding = 1e-6 * np.abs(losses).max()
    np.testing.assert_array_equal(merged.count, count)
    np.testing.assert_allclose(merged.mean, mean, rtol=1e-6, atol=rounding)
    slack = count * rounding * (rounding + np.sqrt(m2 / np.maximum(count, 1)))
    assert (np.abs(merged.m2 - m2) <= 1e-5 * m2 + 2 * slack).all()
