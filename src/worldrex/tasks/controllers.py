"""Controllers: the laws, from an observation to an action, that behaviors steer by."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64
from safetensors.numpy import load_file

Controller = Callable[[Float[np.ndarray, "env obs"]], Float64[np.ndarray, "env act"]]

WEIGHTS = Path(__file__).parent / "learned"


@dataclass(frozen=True)
class Feedback:
    """Proportional-derivative control of a pendulum: torque = -kp sin θ - kd ω, for obs (cos θ, sin θ, ω).

    Arguments:
        kp: N m.
        kd: N m s.
    """

    kp: float
    kd: float

    def __call__(self, obs: Float[np.ndarray, "env 3"]) -> Float64[np.ndarray, "env 1"]:
        """The torque for each observation."""
        _, sine, speed = obs.T.astype(np.float64)
        return (-self.kp * sine - self.kd * speed)[:, None]


@dataclass(frozen=True)
class Idle:
    """Does nothing.

    Arguments:
        actions: components of the action.
    """

    actions: int

    def __call__(self, obs: Float[np.ndarray, "env obs"]) -> Float64[np.ndarray, "env act"]:
        """Zeros for each observation."""
        return np.zeros((len(obs), self.actions))


@dataclass(frozen=True)
class Reach:
    """Control of the reacher by its tip: action = -kp J^T (tip - target) - kd ω, J the Jacobian of the tip in the joints.

    Arguments:
        kp: of the torque, 200 N m, per m and m.
        kd: of the same, per rad / s.
    """

    kp: float
    kd: float

    def __call__(self, obs: Float[np.ndarray, "env 10"]) -> Float64[np.ndarray, "env 2"]:
        """The action for each observation."""
        cosine, sine, target, speed, offset = np.split(obs.astype(np.float64), [2, 4, 6, 8], axis=1)
        tip_x, tip_y = (target + offset).T
        # From the elbow, 0.1 m from the shoulder, to the tip; from the shoulder it is the tip's own place.
        elbow_x, elbow_y = tip_x - 0.1 * cosine[:, 0], tip_y - 0.1 * sine[:, 0]
        pulls = [-tip_y * offset[:, 0] + tip_x * offset[:, 1], -elbow_y * offset[:, 0] + elbow_x * offset[:, 1]]
        return -self.kp * np.stack(pulls, axis=1) - self.kd * speed


@dataclass(frozen=True)
class Learned:
    """A small policy of worldrex's own, learned by SAC in the environment without gusts; `learned/make.py` makes it.

        action = high * tanh(W_k relu(... relu(W_1 obs + b_1) ...) + b_k)

    Arguments:
        name: of the file of its weights in `learned`, without its ending.
    """

    name: str

    def __call__(self, obs: Float[np.ndarray, "env obs"]) -> Float64[np.ndarray, "env act"]:
        """The middle of its Gaussian, for each observation."""
        layers, high = _weights(self.name)
        *trunk, (weight, bias) = layers
        hidden = obs.astype(np.float64)
        for inner, offset in trunk:
            hidden = np.maximum(hidden @ inner + offset, 0)
        return high * np.tanh(hidden @ weight + bias)


@cache
def _weights(name: str) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    arrays = {key: array.astype(np.float64) for key, array in load_file(WEIGHTS / f"{name}.safetensors").items()}
    count = (len(arrays) - 1) // 2
    return [(arrays[f"{layer}.weight"], arrays[f"{layer}.bias"]) for layer in range(count)], arrays["high"]
