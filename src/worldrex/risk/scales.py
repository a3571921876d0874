"""Derivatives of a record's loss with respect to dummy scales of its prediction, in closed form, for `irm`.

Each is elementwise: give outputs of any shape, and take of the result the mean over outputs that the loss takes.
"""

from worldrex.risk.arrays import Array, RiskError, framework_of


def squared_error_scale(mean: Array, target: Array) -> Array:
    """Derivative at w = 1 of (w mu - y)^2: 2 (mu - y) mu.

    **Arguments:** `mean` mu and `target` y, of one shape. **Returns:** the same shape. Source: Arjovsky et al. 2019,
    arXiv 1907.02893.
    """
    _require_one_shape(mean=mean, target=target)
    return 2 * (mean - target) * mean


def gaussian_nll_scales(mean: Array, log_var: Array, target: Array) -> tuple[Array, Array]:
    """Derivatives at v = w = 1 of (v mu - y)^2 exp(-w s) + w s, in the scale v of the mean and w of the log variance.

        dl/dv = 2 (mu - y) mu exp(-s),   dl/dw = s (1 - (mu - y)^2 exp(-s))

    **Arguments:** `mean` mu, `log_var` s and `target` y, of one shape. **Returns:** both, of the same shape.
    """
    _require_one_shape(mean=mean, log_var=log_var, target=target)
    precision = framework_of(log_var).exp(-log_var)
    gap = mean - target
    return 2 * gap * mean * precision, log_var * (1 - gap * gap * precision)


def _require_one_shape(**arrays: Array) -> None:
    shapes = {name: tuple(x.shape) for name, x in arrays.items()}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise RiskError(f"shapes differ: {told}; expected one shape, as broadcasting would pair each with every other")
