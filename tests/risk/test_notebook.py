"""Every number of the seed notebook that the functions can give, in every framework."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.risk.conftest import RTOL
from worldrex import risk
from worldrex.risk.moments import GroupMoments

SEED_VALUES = Path(__file__).parents[3] / "shared" / "seed" / "values.json"

# Some of them, for where the file is not: four models of three records each, and what it printed for them.
NOTEBOOK = {
    "record_losses": [[0.5, 2.5, 4.5], [6.5, 8.5, 10.5], [12.5, 14.5, 16.5], [18.5, 20.5, 22.5]],
    "groups": [[1, 1, 2], [1, 0, 0], [0, 2, 2], [0, 1, 1]],
    "num_groups": 3,
    "sums": [[0, 3, 4.5], [19, 6.5, 0], [12.5, 0, 31], [18.5, 43, 0]],
    "counts": [[0, 2, 1], [2, 1, 0], [1, 0, 2], [1, 2, 0]],
    "means_absent_zero": [[0, 1.5, 4.5], [9.5, 6.5, 0], [12.5, 0, 15.5], [18.5, 21.5, 0]],
    "derived_m2": [[0, 2, 0], [2, 0, 0], [0, 0, 2], [0, 2, 0]],
    "mean_over_models_absent_zero": [10.125, 7.375, 5],
    "derived_mean_over_models_present_only": [13.5, 29.5 / 3, 10],
    "sum_of_risks": [6, 16, 28, 40],
    "derived_mean_of_risks": [3, 8, 14, 20],
    "variance": [2.25] * 4,
    "mean_absolute_deviation": [1.5] * 4,
    "derived_debiased_variance": [1.5] * 4,
    "sum_plus_variance": [8.25, 18.25, 30.25, 42.25],
    "pooled_variance_all_present_entries": 42.9375,
    "pooled_mean_all_present_entries": 11.25,
    "abs_deviation_from_pooled_mean": [[11.25, 9.75, 6.75], [1.75, 4.75, 11.25], [1.25, 11.25, 4.25], [7.25, 10.25, 11.25]],
    "rex_beta": 0.1,
    "derived_sum_plus_beta_variance": [6.225, 16.225, 28.225, 40.225],
    "derived_variance_plus_sum_over_beta": [62.25, 162.25, 282.25, 402.25],
}  # fmt: skip


def notebook_values():
    if not SEED_VALUES.exists():
        pytest.skip(f"third-party data is not at {SEED_VALUES}")
    return json.loads(SEED_VALUES.read_text())


@pytest.mark.parametrize("values", [lambda: NOTEBOOK, notebook_values], ids=["inline", "file"])
def test_risks_and_penalties(framework, values):
    values = values()
    beta, plain = values["rex_beta"], {"reduce": "sum", "debiased": False}

    def answers(losses, groups):
        m = risk.group_moments(losses, groups, values["num_groups"])
        return {
            "sums": m.count * m.mean,
            "counts": m.count,
            "means_absent_zero": m.mean,
            "derived_m2": m.m2,
            "mean_over_models_absent_zero": risk.mean_over_models(m, absent="zero"),
            "derived_mean_over_models_present_only": risk.mean_over_models(m),
            "sum_of_risks": risk.sum_risk(m),
            "derived_mean_of_risks": risk.mean_risk(m),
            "variance": risk.variance(m, debiased=False),
            "derived_debiased_variance": risk.variance(m),
            "mean_absolute_deviation": risk.mean_absolute_deviation(m),
            "sum_plus_variance": risk.objective(m, **plain),
            # beta multiplies the variance, or divides the summed risks.
            "derived_sum_plus_beta_variance": risk.objective(m, weight=beta, **plain),
            "derived_variance_plus_sum_over_beta": risk.objective(m, weight=beta, **plain) / beta,
        }

    for dtype in ("float32", "float64"):
        with framework.precise():
            losses, groups, *_ = framework.arrays(values["record_losses"], values["groups"], dtype=dtype)
            found = framework.values(answers)(losses, groups)
            m = risk.group_moments(losses, groups, values["num_groups"])
            # All models' entries as one row, of which the absent ones have no say.
            row = GroupMoments(*(framework.array(framework.numpy(x).reshape(-1), dtype) for x in m))
            found["pooled_mean_all_present_entries"] = risk.mean_risk(row)
            found["pooled_variance_all_present_entries"] = risk.variance(row, debiased=False)
            found["abs_deviation_from_pooled_mean"] = abs(m.mean - risk.mean_risk(row))
            for name, got in found.items():
                np.testing.assert_allclose(framework.numpy(got), values[name], rtol=RTOL[dtype], err_msg=name)


def test_the_inline_numbers_are_those_of_the_file():
    values = notebook_values()
    for name, inline in NOTEBOOK.items():
        np.testing.assert_allclose(inline, values[name], err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_a_group(framework, dtype):
    rows = notebook_values()["rows"]
    with framework.precise():
        data = framework.array(rows["data"], dtype)
        for shape in ((4,), (4, 1)):
            groups = framework.array(np.reshape(rows["groups"], shape), "int32")
            for group in (0, 1):
                found = framework.numpy(risk.rows_of_group(data, groups, group))
                np.testing.assert_array_equal(found, rows[f"group_{group}"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_invariant_risk_minimization(framework, dtype):
    values = notebook_values()
    irm, num_groups = values["irm"], values["num_groups"]
    x = np.array(irm["x"])
    # The notebook's axes are [model, record, output]; ours [model, output, record].
    ids = np.tile(np.array(values["groups"])[:, None], (1, 2, 1))
    with framework.precise():
        array = lambda x: framework.array(x.swapaxes(1, 2), dtype)  # noqa: E731
        squares = risk.squared_error_scale(array(x), array(x * 0))
        per_record = framework.numpy(squares).swapaxes(1, 2)
        np.testing.assert_allclose(per_record, irm["d_sum_square_d_scale"], rtol=RTOL[dtype])
        groups = framework.array(ids, "int32")
        d = risk.group_moments(squares, groups, num_groups)
        sums = framework.numpy(d.count * d.mean).swapaxes(1, 2)
        np.testing.assert_allclose(sums, irm["group_gradient_sums"], rtol=RTOL[dtype])
        # Of the sums where the notebook has them, and not of the means; both models' K is 2.
        of_sums = risk.irm(GroupMoments(d.count, d.count * d.mean, d.m2), debiased=False)
        norms = 2 * framework.numpy(of_sums).sum(-1)
        np.testing.assert_allclose(norms, irm["squared_norm_of_group_gradient_sums"], rtol=RTOL[dtype])

        of_mean, of_log_var = risk.gaussian_nll_scales(array(x), array(x), array(x + 0.1))
        # Of the groups' risks in the notebook: a share of 1 / (records of the group * outputs) of each record's.
        counts = np.take_along_axis(np.array(values["counts"]), np.array(values["groups"]), 1)[:, None] * 2
        shares = framework.numpy(of_mean) / counts
        np.testing.assert_allclose(shares.swapaxes(1, 2), irm["d_nll_d_mean_scale"], rtol=1e-4)
        scales = [risk.group_moments(part, groups, num_groups) for part in (of_mean, of_log_var)]
        for m, name, rtol in (
            (scales[0], "sum_d_nll_d_mean_scale", 1e-4),
            (scales[1], "sum_d_nll_d_log_var_scale", RTOL[dtype]),
        ):
            np.testing.assert_allclose(framework.numpy(risk.sum_risk(m)).mean(-1), irm[name], rtol=rtol)

        # Debiased: the mean product of two different records' derivatives, for each group that has two.
        for m, derivatives in zip((d, *scales), (squares, of_mean, of_log_var), strict=True):
            derivatives = framework.numpy(derivatives).astype(float)
            want = np.zeros((4, 2))
            for row in np.ndindex(4, 2):
                for group in range(num_groups):
                    own = derivatives[row][ids[row] == group]
                    if len(own) == 2:
                        want[row] += own.prod() / 2
            got = framework.numpy(risk.irm(m))
            size = framework.numpy(risk.irm(m, debiased=False))
            np.testing.assert_array_less(abs(got - want), 10 * RTOL[dtype] * size + 1e-30)
