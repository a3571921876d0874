"""Between the data's own units and those of the networks."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Float32

from worldrex.data import Transitions
from worldrex.policy.errors import PolicyError


class Scales(NamedTuple):
    """Between the data's own units and those of the networks: obs standardized, actions in [-1, 1]."""

    obs_mean: Float32[Array | np.ndarray, " obs"]
    obs_std: Float32[Array | np.ndarray, " obs"]
    low: Float32[Array | np.ndarray, " act"]
    """Least action."""
    high: Float32[Array | np.ndarray, " act"]

    def standardized(self, obs: Float[Any, "batch obs"]) -> Float[Any, "batch obs"]:
        """What the networks see of these observations."""
        return (obs - self.obs_mean[None]) / self.obs_std[None]

    def unstandardized(self, obs: Float[Any, "batch obs"]) -> Float[Any, "batch obs"]:
        """Observations in the data's own units, of what the networks see."""
        return obs * self.obs_std[None] + self.obs_mean[None]

    def to_unit(self, action: Float[Any, "batch act"]) -> Float[Any, "batch act"]:
        """Actions in [-1, 1]."""
        return 2 * (action - self.low[None]) / (self.high - self.low)[None] - 1

    def from_unit(self, action: Float[Any, "batch act"]) -> Float[Any, "batch act"]:
        """Actions in the data's own units."""
        return self.low[None] + 0.5 * (action + 1) * (self.high - self.low)[None]


def scales_of(data: Transitions, low: tuple[float, ...] | None, high: tuple[float, ...] | None) -> Scales:
    """Mean and deviation of the log's obs, and the least and greatest action: those given, else those in the log.

    **Raises:** `PolicyError` where there is nothing to choose.
    """
    width = data.action.shape[1]
    bounds = []
    for name, given, found in (("low", low, data.action.min(0)), ("high", high, data.action.max(0))):
        if given is not None and len(given) not in (1, width):
            raise PolicyError(
                f"action_{name} has {len(given)} numbers; give one, or one for each of the {width} components."
            )
        bounds.append(np.broadcast_to(np.asarray(found if given is None else given, np.float32), width))
    least, greatest = bounds
    if not (least < greatest).all():
        raise PolicyError(
            f"actions go from {least.tolist()} to {greatest.tolist()}: nothing to choose in some component. Give the action "
            "space by action_low and action_high (--action-low, --action-high)."
        )
    mean, std = (getattr(data.obs, name)(0, dtype=np.float64).astype(np.float32) for name in ("mean", "std"))
    return Scales(mean, np.where(std > 0, std, np.float32(1)), least, greatest)
