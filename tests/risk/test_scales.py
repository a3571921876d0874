import numpy as np

from tests.risk.conftest import differences
from worldrex import risk

RNG = np.random.default_rng(0)
MEAN, LOG_VAR, TARGET = RNG.normal(size=(3, 2, 5, 4))


def squared_error(scale, mean, target):
    return ((scale * mean - target) ** 2)[..., 0]


def nll(scales, mean, log_var, target):
    v, w = scales[..., :1], scales[..., 1:]
    return ((v * mean - target) ** 2 * np.exp(-w * log_var) + w * log_var)[..., 0]


def derivatives(loss, num_scales, *columns):
    """By differences in a scale of each number's own."""
    found = [
        differences(lambda s, at=at: loss(s, *(c[at] for c in columns)), np.ones(num_scales))
        for at in np.ndindex(MEAN.shape)
    ]
    return np.reshape(found, (*MEAN.shape, num_scales))


def test_they_are_the_derivatives_at_a_scale_of_1(framework):
    arrays = [framework.array(x) for x in (MEAN, LOG_VAR, TARGET)]
    found = framework.values(
        lambda mean, log_var, target: (
            risk.squared_error_scale(mean, target),
            *risk.gaussian_nll_scales(mean, log_var, target),
        )
    )(*arrays)
    of_both = derivatives(nll, 2, MEAN, LOG_VAR, TARGET)
    wanted = derivatives(squared_error, 1, MEAN, TARGET)[..., 0], of_both[..., 0], of_both[..., 1]
    for got, want in zip(found, wanted, strict=True):
        assert isinstance(got, framework.kind)
        assert framework.dtype_of(got) == "float32"
        np.testing.assert_allclose(framework.numpy(got), want, rtol=1e-5, atol=1e-5)


def test_a_true_model_has_no_derivatives_on_average():
    # y = mu + noise: the penalty is 0 in the mean at the truth of a conditional mean that its scale cannot mend.
    mean, noise = RNG.normal(size=100_000), RNG.normal(size=100_000)
    log_var = 0.3 * mean
    d = risk.squared_error_scale(mean, mean + noise * np.exp(log_var / 2))
    parts = d, *risk.gaussian_nll_scales(mean, log_var, mean + noise * np.exp(log_var / 2))
    for part in parts:
        assert abs(part.mean()) < 3 * part.std() / np.sqrt(part.size)
