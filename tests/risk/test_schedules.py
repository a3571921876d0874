import numpy as np
import pytest

from worldrex import risk
from worldrex.risk.schedules import Constant, Ramp, Step

STEPS = [0, 1, 99, 100, 101, 150, 199, 200, 201, 10_000]
EACH = [
    (Constant(3.0), [3.0] * 10, ()),
    (Step(50.0, at=100), [0, 0, 0, 50, 50, 50, 50, 50, 50, 50], (100,)),
    (Step(50.0, at=100, before=1.0, reset=False), [1, 1, 1, 50, 50, 50, 50, 50, 50, 50], ()),
    (Ramp(21.0, start=100, stop=200, before=1.0), [1, 1, 1, 1, 1.2, 11, 20.8, 21, 21, 21], ()),
    (Ramp(0.0, start=0, stop=100, before=10.0), [10, 9.9, 0.1, 0, 0, 0, 0, 0, 0, 0], ()),
]


@pytest.mark.parametrize(("schedule", "weights", "resets"), EACH)
def test_the_weight_of_each_step(schedule, weights, resets):
    np.testing.assert_allclose([schedule(step) for step in STEPS], weights, rtol=1e-12, atol=1e-12)
    assert all(isinstance(schedule(step), float) for step in STEPS)
    assert schedule.resets == resets


@pytest.mark.parametrize(("schedule", "weights", "resets"), EACH)
def test_the_step_may_be_an_array(framework, schedule, weights, resets):
    del resets
    for step, weight in zip(STEPS, weights, strict=True):
        for x in (framework.array(step, "float32"), framework.array(step, "int32")):
            found = framework.values(schedule)(x)
            np.testing.assert_allclose(framework.numpy(framework.array(found)), weight, rtol=1e-5, atol=1e-5)


def test_a_weight_for_each_row(framework):
    weights = framework.array([0.0, 10.0, 100.0])
    before = framework.array([1.0, 1.0, 1.0])
    for schedule in (Step(weights, at=10, before=before), Ramp(weights, start=9, stop=11, before=before)):
        for step, want in ((9, [1, 1, 1]), (11, [0, 10, 100])):
            np.testing.assert_allclose(framework.numpy(schedule(step)), want)
            np.testing.assert_allclose(framework.numpy(schedule(framework.array(step, "float32"))), want)
    np.testing.assert_allclose(framework.numpy(Constant(weights)(3)), [0, 10, 100])


def test_a_ramp_that_ends_before_it_starts_is_refused():
    for stop in (5, 4):
        with pytest.raises(risk.RiskError, match=f"from step 5 to step {stop}; expected a stop after the start"):
            Ramp(1.0, start=5, stop=stop)
