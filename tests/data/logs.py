"""Small logs that continue within their episodes, for the tests of this room."""

import numpy as np

from worldrex.data.transitions import Transitions


def make_log(
    *,
    behaviors: int = 2,
    episodes: int = 3,
    steps: int = 20,
    obs: int = 3,
    act: int = 2,
    names: tuple[str, ...] | None = None,
    seed: int = 0,
) -> Transitions:
    """`episodes` random walks of `steps` steps for each behavior, each cut off by the end of the log."""
    rng = np.random.default_rng(seed)
    total = behaviors * episodes
    walks = rng.normal(size=(total, steps + 1, obs)).astype(np.float32).cumsum(1)
    records = total * steps
    return Transitions(
        obs=walks[:, :-1].reshape(records, obs).copy(),
        action=rng.normal(size=(records, act)).astype(np.float32),
        reward=rng.normal(size=records).astype(np.float32),
        next_obs=walks[:, 1:].reshape(records, obs).copy(),
        terminated=np.zeros(records, bool),
        truncated=np.arange(records) % steps == steps - 1,
        episode=np.repeat(np.arange(total, dtype=np.int32), steps),
        behavior=np.repeat(np.arange(behaviors, dtype=np.int32), episodes * steps),
        behavior_names=names or tuple(f"behavior {i}" for i in range(behaviors)),
    )
