import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.risk.conftest import CASES, objective_of
from worldrex import risk

LOSSES = np.array([[1.0, 3.0, 2.0, 6.0, 5.0], [0.5, 0.5, 4.0, 1.0, 2.5], [1.0, 2.0, 3.0, 4.0, 5.0]])
GROUPS = np.array([[0, 0, 1, 1, 1], [0, 1, 3, 3, 3], [2, 2, 2, 2, 2]])


def moments(framework):
    return framework.moments(LOSSES, GROUPS, 4)


def test_the_penalties_by_name():
    assert risk.PENALTIES == ("none", "variance", "std", "mad", "worst", "irm", "group_dro", "cvar", "quantile")
    m = risk.group_moments(LOSSES, GROUPS, 4)
    for debiased in (True, False):
        for name, own in (
            ("none", np.zeros(3)),
            ("variance", risk.variance(m, debiased=debiased)),
            ("std", risk.std(m, debiased=debiased)),
            ("mad", risk.mean_absolute_deviation(m)),
            ("worst", risk.worst_excess(m)),
            ("irm", risk.irm(m, debiased=debiased)),
            ("cvar", risk.cvar(m, alpha=0.5) - risk.mean_risk(m)),
            ("quantile", risk.quantile(m, alpha=0.75) - risk.mean_risk(m)),
        ):
            np.testing.assert_array_equal(risk.penalty_value(m, name, debiased=debiased), own)
    np.testing.assert_array_equal(risk.penalty_value(m), risk.variance(m, debiased=True))


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [("mean", [19 / 6, 4 / 3 - 1 / 6, 3]), ("sum", [19 / 3, 3.5, 3]), ("pooled", [17 / 5, 8.5 / 5, 3])],
)
def test_the_risk_is_the_mean_or_the_sum_of_groups_or_the_mean_of_records(framework, reduce, expected):
    m = moments(framework)
    value = risk.objective(m, penalty="none", weight=7.0, reduce=reduce)
    np.testing.assert_allclose(framework.numpy(value), expected, rtol=1e-6)
    with_penalty = risk.objective(m, weight=7.0, reduce=reduce) - value
    np.testing.assert_allclose(
        framework.numpy(with_penalty), 7 * framework.numpy(risk.variance(m)), rtol=1e-5, atol=1e-6
    )


def test_what_is_left_out_is_mean_risk_and_the_debiased_variance_with_weight_1():
    m = risk.group_moments(LOSSES, GROUPS, 4)
    np.testing.assert_array_equal(risk.objective(m), risk.mean_risk(m) + risk.variance(m, debiased=True))


def test_debiased_reaches_the_penalty(framework):
    m = moments(framework)
    gap = framework.numpy(risk.objective(m, debiased=False, weight=2.0)) - framework.numpy(
        risk.objective(m, weight=2.0)
    )
    plain, debiased = (framework.numpy(risk.variance(m, debiased=x)) for x in (False, True))
    np.testing.assert_allclose(gap, 2 * (plain - debiased), rtol=1e-5, atol=1e-6)
    assert (gap[:2] > 0.1).all()


def test_a_sum_with_beta_is_k_times_the_mean_with_beta_over_k():
    m = risk.group_moments(LOSSES, GROUPS, 4)
    present = (m.count > 0).sum(-1)
    summed = risk.objective(m, weight=3.0, reduce="sum")
    np.testing.assert_allclose(summed, present * risk.objective(m, weight=3.0 / present), rtol=1e-12)


def test_rescale_divides_by_weights_above_1(framework):
    for dtype in ("float32", "float64"):
        with framework.precise():
            m = framework.values(lambda *xs: risk.group_moments(*xs, 4))(
                *framework.arrays(LOSSES, GROUPS, dtype=dtype)[:2]
            )
            both = [
                [risk.objective(m, weight=w, rescale=x) for x in (False, True)] for w in (0.0, 0.1, 1.0, 1.5, 100.0)
            ]
        for weight, pair in zip((0.0, 0.1, 1.0, 1.5, 100.0), both, strict=True):
            plain, rescaled = map(framework.numpy, pair)
            np.testing.assert_allclose(rescaled, plain / max(1.0, weight), rtol=1e-6 if dtype == "float32" else 1e-12)


def test_each_row_may_have_its_own_weight(framework):
    m = moments(framework)
    weights = [0.0, 0.5, 20.0]
    for rescale in (False, True):
        rows = framework.numpy(risk.objective(m, weight=framework.array(weights), rescale=rescale))
        for row, weight in enumerate(weights):
            alone = framework.numpy(risk.objective(m, weight=weight, rescale=rescale))[row]
            np.testing.assert_allclose(rows[row], alone, rtol=1e-6)


def test_unknown_names_are_answered_with_the_known_ones():
    m = risk.group_moments(LOSSES, GROUPS, 4)
    # Past the annotations that tests enforce.
    with pytest.raises(risk.RiskError, match="unknown penalty 'vrex'; expected one of none, variance, std, mad, worst"):
        inspect.unwrap(risk.penalty_value)(m, "vrex")
    with pytest.raises(risk.RiskError, match="unknown reduce 'median'; expected one of mean, sum, pooled"):
        inspect.unwrap(risk.objective)(m, reduce="median")


def test_a_weight_that_is_not_finite_is_refused():
    m = risk.group_moments(LOSSES, GROUPS, 4)
    for weight in (float("nan"), float("inf"), -1, -0.5):
        with pytest.raises(
            risk.RiskError, match=f"weight is {weight}; expected a finite number of 0 or more, or an array"
        ):
            risk.objective(m, weight=weight)


def test_an_array_of_weights_below_0_is_refused_where_it_can_be_told(framework):
    losses, groups, _, weights = framework.arrays(LOSSES, GROUPS, None, np.array([0.5, -3.0]), dtype="float32")
    m = risk.group_moments(losses, groups, 4)
    with pytest.raises(
        risk.RiskError, match=r"weight holds values from -3\.0 to 0\.5; expected finite ones of 0 or more"
    ):
        risk.objective(m, weight=weights)
    with pytest.raises(risk.RiskError, match="weight holds values from -2 to -2"):
        inspect.unwrap(risk.objective)(m, weight=np.int64(-2))


def test_groups_of_another_number_are_refused():
    five = risk.group_moments(LOSSES, GROUPS, 5)
    four = risk.group_dro.init(risk.group_moments(LOSSES, GROUPS, 4))
    for use in (
        lambda: risk.objective(five, penalty="group_dro", state=four),
        lambda: risk.group_dro.step(four, five),
    ):
        with pytest.raises(risk.RiskError, match=r"state has shape \(3, 4\) and m \(3, 5\); expected the same groups"):
            use()
    with pytest.raises(risk.RiskError, match="state is a WeightedMoments; expected group_dro's State"):
        inspect.unwrap(risk.group_dro.step)(risk.tracking.init(five), five)
    with pytest.raises(risk.RiskError, match=r"baseline has shape \(3,\) and m \(3, 5\); expected one number for each"):
        risk.excess(five, np.zeros(3))


def test_what_is_no_array_is_told_by_its_name():
    with pytest.raises(
        risk.RiskError, match=r"^losses: expected an array of NumPy.* got builtins\.list; convert it first"
    ):
        inspect.unwrap(risk.group_moments)([1.0, 2.0], GROUPS, 4)
    with pytest.raises(risk.RiskError, match=r"^mask: expected an array"):
        inspect.unwrap(risk.group_moments)(LOSSES, GROUPS, 4, mask=[True] * len(GROUPS))


def test_jit_vmap_and_grad_agree_with_rows_one_by_one():
    losses, groups, mask = jnp.asarray(LOSSES, jnp.float32), jnp.asarray(GROUPS), jnp.asarray(LOSSES > 0.7)
    every = [*((case, "mean") for case in CASES if "quantile" not in case), ("none", "sum"), ("none", "pooled")]

    def values(losses, groups, mask, weight):
        m = risk.group_moments(losses, groups, 4, mask)
        return jnp.stack(
            [objective_of(m, case, weight=weight, reduce=reduce, rescale=True) for case, reduce in every], -1
        )

    weights = jnp.array([0.0, 0.5, 20.0])
    arrays = losses, groups, mask, weights
    together = jax.jit(values)(*arrays)
    np.testing.assert_allclose(jax.jit(jax.vmap(values))(*arrays), together, rtol=1e-6, atol=1e-7)
    slopes = jax.jit(jax.vmap(jax.jacrev(values)))(*arrays)
    one_slope = jax.jit(jax.jacfwd(values))
    for row in range(3):
        alone = [x[row] for x in arrays]
        np.testing.assert_allclose(one_slope(*alone), slopes[row], rtol=1e-5, atol=1e-6)
    assert np.isfinite(slopes).all()
    assert not slopes.swapaxes(1, 2)[~mask].any()
    assert (np.abs(slopes).max((0, 2)) > 0.1).all()


def test_the_gradient_in_the_weight_is_the_penalty(differentiable):
    m = moments(differentiable)
    gradient = differentiable.gradient(lambda weight: risk.objective(m, weight=weight)[0], differentiable.array(3.0))
    np.testing.assert_allclose(gradient, differentiable.numpy(risk.variance(m))[0], rtol=1e-6)


def test_irm_adds_up_the_penalties_of_its_scales(framework):
    m = moments(framework)
    scales = [framework.moments(x, GROUPS, 4) for x in (LOSSES - 2, 3 - LOSSES)]
    parts = [framework.numpy(risk.irm(d, debiased=False)) for d in scales]
    base = framework.numpy(risk.mean_risk(m))
    for given, wanted in ((scales[0], parts[0]), (scales, sum(parts)), (tuple(scales), sum(parts))):
        value = risk.objective(m, penalty="irm", weight=2.0, scales=given, debiased=False)
        np.testing.assert_allclose(framework.numpy(value), base + 2 * wanted, rtol=1e-5)
    for wrong in ({"penalty": "irm"}, {"penalty": "variance", "scales": m}):
        with pytest.raises(risk.RiskError, match="'irm' and `scales` go together"):
            risk.objective(m, **wrong)


def test_at_weight_1_cvar_and_quantile_are_the_objective(framework):
    m = moments(framework)
    for penalty, f, options in (
        ("cvar", risk.cvar, {"alpha": 0.4}),
        ("quantile", risk.quantile, {"alpha": 0.9, "density": "gaussian"}),
    ):
        value = risk.objective(m, penalty=penalty, **options)
        np.testing.assert_allclose(framework.numpy(value), framework.numpy(f(m, **options)), rtol=1e-5)
