"""Gradients of micro-batches that add up to the whole batch's."""

from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.risk.conftest import CASES, MARKS, differences, for_each_case, objective_of_each, options_of, use
from worldrex import risk

RNG = np.random.default_rng(3)
GROUPS = np.array([[0, 1, 1, 2, 0, 1, 2, 4, 0, 2, 2, 4, 4, 0], [3, 3, 0, 0, 0, 1, 3, 1, 1, 0, 3, 1, 0, 1]])
LOSSES = RNG.gamma(2.0, 0.5, GROUPS.shape) + np.array([0.5, 2.5, 1.5, 5.0, 3.5])[GROUPS]
MASK = RNG.random(GROUPS.shape) < 0.85
WEIGHTS = np.where(RNG.random(GROUPS.shape) < 0.1, 0, RNG.uniform(0.5, 2.0, GROUPS.shape))
MICRO = (slice(0, 5), slice(5, 6), slice(6, 14))
"""Micro-batches of the records; the one of one record has few groups."""
EACH = [
    ("mean", False, False, False),
    ("sum", True, False, True),
    ("pooled", False, True, False),
    ("none", True, True, False),
    ("pooled", True, False, True),
]


def weights_of(losses, groups, m, mask, weights, **more):
    """`record_weights` of row k for penalty k of `CASES`; irm's as its docstring says, its scale the loss."""
    found = []
    for row, case in enumerate(CASES):
        x, ids = losses[row], groups[row]
        own = type(m)(*(part[row] for part in m))
        given = {"mask": None if mask is None else mask[row], "weights": None if weights is None else weights[row]}
        options = options_of(own, case) | more | given
        if options["penalty"] != "irm":
            found.append(risk.record_weights(x, ids, own, **options))
            continue
        of_risk = risk.record_weights(x, ids, own, **options | {"penalty": "none"})
        found.append(of_risk + risk.record_weights(x, ids, own, **options | {"reduce": "none"}))
    return found


@pytest.mark.parametrize(("reduce_", "rescale", "with_mask", "with_weights"), EACH)
def test_micro_batches_add_up_to_the_whole(framework, reduce_, rescale, with_mask, with_weights):
    more = {"reduce": reduce_, "rescale": rescale, "weight": 3.0}
    mask, weights = MASK if with_mask else None, WEIGHTS if with_weights else None

    def whole(losses, groups, mask, weights):
        m = risk.group_moments(losses, groups, 5, mask, weights=weights)
        return np.stack(objective_of_each(m, **more))

    columns = [None if x is None else for_each_case(x) for x in (LOSSES, GROUPS, mask, weights)]
    wanted = differences(whole, *columns)
    with framework.precise():
        parts = [
            framework.arrays(*(None if x is None else x[..., part] for x in columns), dtype="float64") for part in MICRO
        ]
        moments = [risk.group_moments(p[0], p[1], 5, p[2], weights=p[3]) for p in parts]
        m = reduce(risk.merge, moments)
        found = [weights_of(p[0], p[1], m, p[2], p[3], **more) for p in parts]
        for x in found[0]:
            assert isinstance(x, framework.kind)
            assert framework.dtype_of(x) == "float64"
        got = np.concatenate([np.stack([framework.numpy(x) for x in part]) for part in found], axis=-1)
    for row, case in enumerate(CASES):
        np.testing.assert_allclose(got[row], wanted[row], rtol=1e-6, atol=1e-7, err_msg=case)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=MARKS.get(name, [])) for name in ("jax", "torch", "tensorflow")]
)
def test_gradients_in_parameters_add_up_and_none_flows_through_the_weights(name):
    framework = use(name)
    # losses (a x - y)^2 of a parameter a: records are only seen through their losses
    x, y = RNG.normal(size=(2, *GROUPS.shape))
    losses_of = lambda a, x, y: (a * x - y) ** 2  # noqa: E731
    start = np.array(0.7)

    def whole(a, x, y, groups):
        losses = losses_of(a, x, y)
        m = risk.group_moments(losses, groups, 5)
        return risk.objective(m, weight=3.0, reduce="none") + risk.objective(
            m, penalty="quantile", density="gaussian", weight=2.0
        )

    def micro(a, x, y, groups, m):
        losses = losses_of(a, x, y)
        first = risk.record_weights(losses, groups, m, weight=3.0, reduce="none")
        second = risk.record_weights(losses, groups, m, penalty="quantile", density="gaussian", weight=2.0)
        return (first + second) * losses

    with framework.precise():
        arrays = [framework.array(z, "float64") for z in (start, x, y)]
        groups = framework.array(GROUPS, "int32")
        wanted = framework.gradient(whole, *arrays, groups)
        m = risk.group_moments(losses_of(*arrays), groups, 5)
        got = sum(
            framework.gradient(micro, arrays[0], *(z[:, part] for z in (*arrays[1:], groups)), m) for part in MICRO
        )
        np.testing.assert_allclose(got, wanted, rtol=1e-10)
        # The naive way, an objective of each micro-batch, is another gradient.
        naive = sum(
            framework.gradient(whole, arrays[0], *(z[:, part] for z in (*arrays[1:], groups))) for part in MICRO
        )
        assert abs(naive / len(MICRO) / wanted - 1) > 0.1


def test_records_that_do_not_count_weigh_nothing(framework):
    losses, groups = np.array([1.0, np.nan, 3.0, np.inf, 2.0, -np.inf]), np.array([0, 1, 1, 0, 0, 1])
    mask, weights = np.array([1, 0, 1, 1, 1, 1], bool), np.array([1.0, 1, 2, 0, 0.5, 0])
    columns = framework.arrays(losses, groups, mask, weights)
    m = framework.moments(losses, groups, 3, mask, weights)
    found = framework.numpy(risk.record_weights(columns[0], columns[1], m, mask=columns[2], weights=columns[3]))
    np.testing.assert_array_equal(found[[1, 3, 5]], 0)
    assert (found[[0, 2, 4]] != 0).all()


def test_ids_that_no_group_has_weigh_nothing_where_nothing_can_be_raised():
    losses, groups = jnp.arange(6.0), jnp.array([0, -1, 1, 3, 2**31 - 1, -(2**31)])
    m = risk.group_moments(losses[:3], jnp.array([0, 1, 1]), 3)
    with pytest.raises(risk.RiskError, match="groups holds ids from"):
        risk.record_weights(losses, groups, m)
    found = np.asarray(jax.jit(risk.record_weights)(losses, groups, m))
    np.testing.assert_array_equal(found[[1, 3, 4, 5]], 0)
    assert (found[[0, 2]] != 0).all()


def test_what_does_not_belong_together_is_refused(framework):
    losses, groups = framework.array([1.0, 2.0, 3.0, 5.0]), framework.array([0, 0, 1, 1], "int32")
    m = risk.group_moments(losses, groups, 2)
    weighted = risk.group_moments(losses, groups, 2, weights=framework.array([1.0, 2.0, 1.0, 1.0]))
    for match, call in (
        ("dtype", lambda: risk.record_weights(losses, framework.array([0.9, 0.9, 1.9, 1.9]), m)),
        ("ids from 0 to 2", lambda: risk.record_weights(losses, framework.array([0, 0, 1, 2], "int32"), m)),
        (r"groups has shape \(1,\)", lambda: risk.record_weights(losses, groups[:1], m)),
        ("leading axes", lambda: risk.record_weights(losses[None], groups, m)),
        ("go together", lambda: risk.record_weights(losses, groups, weighted)),
        ("reduce='none'", lambda: risk.record_weights(losses, groups, m, penalty="irm")),
        ("same .*group", lambda: risk.merge(m, risk.group_moments(losses, groups * 0, 1))),
        ("scales is empty", lambda: risk.objective(m, penalty="irm", scales=[])),
        ("one shape", lambda: risk.squared_error_scale(losses, losses[:, None])),
    ):
        with pytest.raises(risk.RiskError, match=match):
            call()


def test_half_precision_losses_have_weights_of_float32(framework):
    losses, groups = framework.array([1.0, 2.0, 4.0, 8.0], "float16"), framework.array([0, 0, 1, 1], "int32")
    m = risk.group_moments(losses, groups, 2)
    found = risk.record_weights(losses, groups, m)
    assert framework.dtype_of(found) == "float32"
    wanted = risk.record_weights(
        np.array([1.0, 2, 4, 8]),
        np.array([0, 0, 1, 1]),
        risk.group_moments(np.array([1.0, 2, 4, 8]), np.array([0, 0, 1, 1]), 2),
    )
    np.testing.assert_allclose(framework.numpy(found), wanted, rtol=1e-6)


def test_a_weight_for_each_row_and_equal_risks(framework):
    # Equal risks and a single group: worst, std and quantile have a corner there; their slope is 0.
    losses, groups = np.array([[2.0, 2, 2, 2], [1.0, 5, 3, 4]]), np.array([[0, 0, 1, 1], [2, 2, 2, 2]])
    columns = framework.arrays(losses, groups)
    m = framework.moments(losses, groups, 4)
    weight = framework.array([1.0, 10.0])
    for penalty in ("std", "mad", "worst", "quantile", "variance"):
        found = risk.record_weights(*columns[:2], m, penalty=penalty, weight=weight, debiased=False)
        np.testing.assert_allclose(framework.numpy(found), 0.25, rtol=1e-6, err_msg=penalty)
    rows = framework.numpy(
        risk.record_weights(*columns[:2], m, penalty="irm", weight=weight, reduce="none", debiased=False)
    )
    np.testing.assert_allclose(rows, np.array([[2 * 2 / 2 / 2], [10 * 2 * 3.25 / 4]]) * np.ones((1, 4)), rtol=1e-6)


def test_unknown_names_and_a_missing_state_are_refused():
    losses, groups = np.ones(3), np.zeros(3, int)
    m = risk.group_moments(losses, groups, 1)
    with pytest.raises(risk.RiskError, match="unknown penalty 'best'; expected one of none"):
        risk.record_weights.__wrapped__(losses, groups, m, penalty="best")
    with pytest.raises(risk.RiskError, match="unknown reduce 'median'; expected one of mean"):
        risk.record_weights.__wrapped__(losses, groups, m, reduce="median")
    with pytest.raises(risk.RiskError, match="'group_dro' has a state"):
        risk.record_weights(losses, groups, m, penalty="group_dro")
