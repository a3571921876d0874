"""Squared error, likelihood and coverage of a model's predictions under each behavior of a log."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, Float64

from worldrex.data import Transitions
from worldrex.dynamics import Features, ModelError, WorldModel, first_of_episode
from worldrex.evaluation.calibration import LEVELS
from worldrex.evaluation.diagnostics import diagnose, with_intervals
from worldrex.evaluation.record_scores import BLOCK, score_records
from worldrex.evaluation.statistics import resample

DRAWS = 1000


def outputs_of(data: Transitions, angles: Sequence[int] | None = None) -> Float32[np.ndarray, "record output"]:
    """What a model predicts of each record: next_obs - obs (of `angles` the short way round), then the reward."""
    return Features(angles=tuple(angles or ())).outputs(data.obs, data.next_obs, data.reward)


def output_scale(data: Transitions, angles: Sequence[int] | None = None) -> Float64[np.ndarray, " output"]:
    """Standard deviation of each output over a log: errors in these units are "normalized". 1 for a constant output."""
    std = outputs_of(data, angles).std(axis=0, dtype=np.float64)
    return np.where(std > 0, std, 1.0)


def predict_outputs(model: WorldModel, data: Transitions) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the elites' mixture, `[record, output]` each, in the data's own units."""
    means, stds = [], []
    first = first_of_episode(data.episode)
    for start in range(0, len(data), BLOCK):
        # The last block is filled up with its last record.
        rows = np.minimum(np.arange(start, start + BLOCK), len(data) - 1)
        count = min(BLOCK, len(data) - start)
        prediction = model.predict(*model.features.past(data, rows, first))
        mean = np.column_stack([prediction.next_obs, prediction.reward])[:count]
        mean[:, :-1] -= data.obs[rows[:count]]
        means.append(mean)
        stds.append(np.column_stack([prediction.next_obs_std, prediction.reward_std])[:count])
    return np.concatenate(means), np.concatenate(stds)


def squared_errors(
    model: WorldModel, data: Transitions, scale: Float[np.ndarray, " output"]
) -> Float64[np.ndarray, "record output"]:
    """Squared error of the elites' mean, ((prediction - truth) / scale)^2, of each record and output."""
    mean, _ = predict_outputs(model, data)
    return np.square((mean.astype(np.float64) - outputs_of(data, model.features.angles)) / scale)


def score(
    models: Mapping[str, WorldModel], data: Transitions, scale: Float[np.ndarray, " output"], *,
    floor: Float[np.ndarray, "record output"] | None = None, diagnosed: Collection[str] = (), seed: int = 0,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Mean squared error of each model under each behavior, in normalized units, with 95 % intervals over episodes.

    **Arguments:**

    - `models`: by name.
    - `data`: the log to score on.
    - `scale`: of `output_scale`, of the log that the models learned from.
    - `floor`: squared error of the true model in the data's own units, where it is known.
    - `diagnosed`: names of the models whose calibration, open-loop error and uncertainty are told, too.

    **Returns:** for each behavior: each model's error; `intervals` of them; `noise_floor` or None; `outputs`, the
    errors of each output; of the elites' mixture for each model, `nll` of an output in nats, in normalized units, and
    `coverage` of its central 95 % interval; `diagnostics` (of `diagnose`) of those asked for. All paired: the same
    episodes are drawn for each model.
    """
    if floor is not None:
        floor = floor / np.square(scale)
    table: dict[str, dict[str, Any]] = {}
    for behavior, name in enumerate(data.behavior_names):
        rows = np.flatnonzero(data.behavior == behavior)
        if not len(rows):
            continue
        part = data.rows(rows)
        draws = resample(len(np.unique(part.episode)), DRAWS, rng=np.random.default_rng([seed, behavior]))
        entry: dict[str, Any] = {"intervals": {}, "outputs": {}, "nll": {}, "coverage": {}}
        if diagnosed:
            entry["diagnostics"] = {}
        for model_name, model in models.items():
            scores = score_records(model, part, scale)
            error = with_intervals(scores.squared.astype(np.float64)[:, None], part.episode, draws)[0]
            entry[model_name] = error["value"]
            entry["intervals"][model_name] = [error["low"], error["high"]]
            entry["outputs"][model_name] = scores.outputs.squared
            entry["nll"][model_name] = float(scores.outputs.nll.mean())
            entry["coverage"][model_name] = float(scores.outputs.covered[LEVELS.index(0.95)].mean())
            if model_name in diagnosed:
                entry["diagnostics"][model_name] = diagnose(model, part, scores, scale, draws, seed=seed)
        entry["noise_floor"] = None if floor is None else float(floor[rows].mean())
        if floor is not None:
            entry["outputs"]["noise_floor"] = floor[rows].mean(0)
        table[name] = entry
    return table


def action_slope(model: WorldModel, data: Transitions) -> Float64[np.ndarray, "output act"]:
    """Mean over the records of the derivative of the predicted outputs in the present action, in the data's own units."""
    if not len(data):
        raise ModelError("the slope in the action needs at least one record")
    total = np.zeros((model.normalizer.output_mean.shape[-1], data.action.shape[1]))
    first = first_of_episode(data.episode)
    for start in range(0, len(data), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(data)))
        total += np.asarray(_slope_sum(model, *model.features.past(data, rows, first)), np.float64)
    return total / len(data)


def _slope_sum(model: WorldModel, obs: np.ndarray, action: np.ndarray) -> jax.Array:
    # One forward derivative per action: each output of a record depends on that record's action only.
    def outputs(action: jax.Array) -> jax.Array:
        prediction = model.predict(obs, action)
        return jnp.concatenate([prediction.next_obs, prediction.reward[:, None]], -1)

    slope_in = partial(jax.jvp, outputs, (jnp.asarray(action),))
    columns = []
    for place in range(action.shape[-1]):
        direction = np.zeros_like(action)
        direction.reshape(len(action), -1, action.shape[-1])[:, -1, place] = 1.0
        columns.append(slope_in((jnp.asarray(direction),))[1].sum(0))
    return jnp.stack(columns, -1)
