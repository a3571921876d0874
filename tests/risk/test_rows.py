import jax
import jax.numpy as jnp
import numpy as np
import pytest

from worldrex import risk

DATA = np.arange(24.0).reshape(6, 2, 2)
GROUPS = np.array([0, 2, 0, 1, 0, 2])


@pytest.mark.parametrize(("group", "rows"), [(0, [0, 2, 4]), (1, [3]), (2, [1, 5]), (3, []), (-1, [])])
def test_any_number_of_rows_none_and_one_included(framework, group, rows):
    for groups in (GROUPS, GROUPS[:, None]):
        found = risk.rows_of_group(framework.array(DATA), framework.array(groups, "int32"), group)
        assert isinstance(found, framework.kind)
        np.testing.assert_array_equal(framework.numpy(found), DATA[rows])
        # ids that the data was read with
        found = risk.rows_of_group(framework.array(DATA), groups, group)
        np.testing.assert_array_equal(framework.numpy(found), DATA[rows])


def test_ids_of_another_shape_or_type_are_refused(framework):
    data = framework.array(DATA)
    for shape in ((5,), (6, 2), (1, 6)):
        with pytest.raises(risk.RiskError, match=r"groups has shape .*; expected \(6,\)"):
            risk.rows_of_group(data, framework.array(np.zeros(shape), "int32"), 0)
    with pytest.raises(risk.RiskError, match=r"groups has dtype .*float32.*; expected integer ids"):
        risk.rows_of_group(data, framework.array(GROUPS, "float32"), 0)


def test_the_number_of_rows_must_be_known_under_jit():
    with pytest.raises(risk.RiskError, match=r"not known under jit.*mask"):
        jax.jit(lambda groups: risk.rows_of_group(jnp.asarray(DATA), groups, 0))(jnp.asarray(GROUPS))
