"""Networks and models that nothing trained."""

from collections.abc import Sequence

import jax
import numpy as np

from tests.dynamics.gust import EFFORT, MEMORY, PUSH, WORTH
from worldrex.dynamics import Features, WorldModel
from worldrex.dynamics.ensemble import Network
from worldrex.dynamics.normalizer import Normalizer

TRUTH = np.vstack([np.column_stack([(MEMORY - np.eye(2)).T, WORTH]), [*PUSH, EFFORT]])
"""Of the gusty system, `[input, output]`: the changes of obs and the reward are (obs, action) TRUTH."""


def made_up_network(seed: int = 1) -> Network:
    """Two hidden layers, 3 inputs and 2 outputs, every parameter at random."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return Network(
        trunk=((normal(3, 5), normal(5)), (normal(5, 4), normal(4))),
        mean=(normal(4, 2), normal(2)),
        log_var=(normal(4, 2), normal(2)),
        min_log_var=np.array([-3.0, -10.0], np.float32),
        max_log_var=np.array([0.5, -1.0], np.float32),
    )


def stacked(networks: Sequence[Network]) -> Network:
    """An ensemble of these members."""
    return jax.tree.map(lambda *x: np.stack(x), *networks)


def made_up_model(members: int = 4, elites: Sequence[int] = (0, 2, 3), seed: int = 1) -> WorldModel:
    """One obs, two actions, the reward: every parameter at random."""
    rng = np.random.default_rng(seed)
    numbers = [rng.normal(2.0, 1.0, 3), rng.uniform(0.5, 2, 3), rng.normal(-1.0, 1.0, 2), rng.uniform(0.5, 2, 2)]
    return WorldModel(
        networks=stacked([made_up_network(seed + member) for member in range(members)]),
        normalizer=Normalizer(*(x.astype(np.float32) for x in numbers)),
        elites=np.array(elites),
        obs_dims=1,
        behavior_names=("calm", "bold ☂"),
        trained={"weight": 10.0, "hidden": [5, 4]},
    )


def model_that_sees(features: Features, obs: int, act: int, *, members: int = 3, seed: int = 0) -> WorldModel:
    """Every parameter at random, with inputs and outputs as these features have them."""
    rng = np.random.default_rng(seed)
    inputs, outputs = features.num_inputs(obs, act), obs + 1

    def layer(fan_in: int, fan_out: int) -> tuple[np.ndarray, np.ndarray]:
        weight = rng.normal(size=(members, fan_in, fan_out)) / np.sqrt(fan_in)
        return weight.astype(np.float32), rng.normal(size=(members, fan_out)).astype(np.float32)

    limits = (np.full((members, outputs), limit, np.float32) for limit in (-5, 1))
    units = rng.normal(size=inputs), rng.uniform(1, 3, inputs), rng.normal(size=outputs), rng.uniform(1, 3, outputs)
    return WorldModel(
        networks=Network((layer(inputs, 8),), layer(8, outputs), layer(8, outputs), *limits),
        normalizer=Normalizer(*(x.astype(np.float32) for x in units)),
        elites=np.arange(members),
        obs_dims=obs,
        behavior_names=("only",),
        trained={},
        features=features,
    )


def linear_model(*weights: np.ndarray, std: float = 0.5) -> WorldModel:
    """Members that predict (obs, action) W for these W, `[input, output]`, each with that standard deviation."""

    def network(weight: np.ndarray) -> Network:
        inputs, outputs = weight.shape
        still = np.zeros((inputs, outputs), np.float32), np.full(outputs, 2 * np.log(std), np.float32)
        limits = np.full(outputs, -40, np.float32), np.full(outputs, 40, np.float32)
        return Network((), (weight.astype(np.float32), np.zeros(outputs, np.float32)), still, *limits)

    inputs, outputs = weights[0].shape
    units = (np.zeros(inputs), np.ones(inputs), np.zeros(outputs), np.ones(outputs))
    return WorldModel(
        networks=stacked([network(weight) for weight in weights]),
        normalizer=Normalizer(*(x.astype(np.float32) for x in units)),
        elites=np.arange(len(weights)),
        obs_dims=outputs - 1,
        behavior_names=(),
        trained={},
    )
