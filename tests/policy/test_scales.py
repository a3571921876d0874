import numpy as np
import pytest

from tests.policy.made_up import log_of
from worldrex.policy import PolicyError
from worldrex.policy.scales import scales_of


def test_bounds_of_the_actions_are_those_given_else_those_in_the_log():
    data = log_of(act=2)
    found = scales_of(data, None, None)
    np.testing.assert_array_equal((found.low, found.high), (data.action.min(0), data.action.max(0)))
    found = scales_of(data, (-3.0,), (4.0, 5.0))
    np.testing.assert_array_equal((found.low, found.high), ([-3, -3], [4, 5]))
    np.testing.assert_allclose(found.obs_mean, data.obs.mean(0), rtol=1e-4, atol=1e-6)


def test_bounds_that_leave_nothing_to_choose_are_refused():
    data = log_of(act=2)
    with pytest.raises(PolicyError, match="action_low has 3 numbers; give one, or one for each of the 2 components"):
        scales_of(data, (-3.0, -3.0, -3.0), None)
    data.action[:, 1] = 0.5
    with pytest.raises(PolicyError, match=r"nothing to choose in some component\. Give the action space"):
        scales_of(data, None, None)
    assert scales_of(data, (-3.0,), (3.0,)).high[1] == 3
