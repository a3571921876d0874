import numpy as np
import pytest

from tests.data.logs import make_log
from worldrex.data.options import ActionBounds, LoadOptions
from worldrex.data.readers import load
from worldrex.data.transitions import COLUMNS, DataError
from worldrex.data.validate import require_valid, validate


def clipped():
    data = make_log(behaviors=3, episodes=3, steps=20)
    data.action[:] = np.tanh(data.action)
    return data


def test_actions_outside_of_the_named_space_are_errors():
    data = clipped()
    data.action[[40, 41], 1] = [1.5, -3]
    (found,) = validate(data, ActionBounds((-1.0,), (1.0,)))
    assert (found.severity, found.column, found.count, found.first_row) == ("error", "action[:, 1]", 2, 40)
    assert "2 values outside [-1, 1] (from -3 to 1.5; first at row 40)" in found.message
    with pytest.raises(DataError, match=r"'log' cannot be used.*\n- action\[:, 1\] has 2 values outside"):
        require_valid(data, source="'log'", bounds=ActionBounds((-1.0,), (1.0,)))
    assert validate(data, ActionBounds((-1.0, -4.0), None)) == []


def test_bounds_of_each_component_and_rounding():
    data = clipped()
    data.action[3] = [0.1, 5]
    data.action[4] = [np.float32(0.1) * np.float32(10) * np.float32(1 + 1e-7), 4]
    assert validate(data, ActionBounds((-1.0, -1.0), (1.0, 5.0))) == []
    assert [found.column for found in validate(data, ActionBounds((-1.0,), (1.0,)))] == ["action[:, 1]"]


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ((-1.0, -1.0, -1.0), None, "action_low is -1 -1 -1, and an action has 2 components"),
        (None, (), "action_high is empty"),
        ((float("nan"),), None, "action_low is nan"),
        ((1.0,), (-1.0,), r"action_low is 1 and action_high -1 for action\[:, 0\]"),
    ],
)
def test_bounds_that_do_not_fit_are_refused(low, high, message):
    with pytest.raises(DataError, match=message):
        validate(clipped(), ActionBounds(low, high))


def test_load_enforces_them():
    from worldrex.data.options import LoadOptions

    data = clipped()
    columns = {column: getattr(data, column) for column in COLUMNS}
    assert len(load(columns, options=LoadOptions(action_low=(-1.0,), action_high=(1.0,)))) == 180
    with pytest.raises(DataError, match=r"outside \[-0.5, inf\]"):
        load(columns, options=LoadOptions(action_low=(-0.5,)))


def test_a_signaling_nan_outside_nothing_is_no_warning():
    data = make_log(behaviors=2)
    data.action.view(np.uint32)[3, 0] = 0x7F800001
    data.action[5, 0] = 7
    with pytest.raises(DataError, match=r"(?s)action\[:, 0\] has 1 NaN.*action\[:, 0\] has 1 value outside"):
        load(
            {name: getattr(data, name) for name in COLUMNS}, options=LoadOptions(action_low=(-6.0,), action_high=(6.0,))
        )
