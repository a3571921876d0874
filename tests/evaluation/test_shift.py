"""Distances between behaviors, and the map that they are on."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.data.logs import make_log
from tests.dynamics.gust import gust_log
from tests.dynamics.made_up import TRUTH, linear_model, model_that_sees
from worldrex.data import Transitions
from worldrex.dynamics import Features
from worldrex.evaluation import errors_on_map, score_records, shift_map
from worldrex.runs import plain


def cloud(means: list[float], *, spread: float = 1.0, seed: int = 0, episodes: int = 20) -> Transitions:
    """A behavior for each mean of obs[:, 0]; all else is noise."""
    data = make_log(behaviors=len(means), episodes=episodes, steps=50, names=tuple(f"at {mean:g}" for mean in means))
    rng = np.random.default_rng(seed)
    data.obs[:] = rng.normal(size=data.obs.shape)
    data.action[:] = rng.normal(size=data.action.shape)
    data.obs[:, 0] += np.array(means)[data.behavior]
    data.obs[:] *= spread
    return data


def test_what_is_alike_is_at_the_distance_of_chance():
    found = shift_map(cloud([0.0, 1e-9, 2e-9]))
    off = ~np.eye(3, dtype=bool)
    assert found.distance[off].max() < 1.3 * np.diag(found.distance).max()
    assert found.distance.max() < 0.1
    np.testing.assert_allclose(found.area[off], 0.5, atol=0.04)
    np.testing.assert_array_equal(found.distance, found.distance.T)


def test_distances_are_those_of_normal_distributions():
    data = cloud([-1.0, 0.0, 1.0])
    found = shift_map(data)
    width = data.obs.shape[1] + data.action.shape[1]
    # W1 of two normal distributions of one variance is |u . shift|; E |u_1| on the sphere of so many dimensions:
    directions = np.random.default_rng(1).normal(size=(100_000, width))
    mean_part = np.abs(directions[:, 0] / np.linalg.norm(directions, axis=1)).mean()
    std = np.sqrt(1 + 2 / 3)
    assert found.distance[0, 1] == pytest.approx(mean_part / std, rel=0.15)
    assert found.distance[0, 2] == pytest.approx(2 * mean_part / std, rel=0.15)
    assert found.to_rest[0] == pytest.approx(found.to_rest[2], rel=0.1)
    assert found.to_rest[1] < 0.6 * found.to_rest[0]
    # Phi(shift / sqrt 2), of two normal distributions so far apart.
    assert found.area[0, 1] == pytest.approx(0.760, abs=0.04)
    assert found.area[0, 2] == pytest.approx(0.921, abs=0.03)


def test_units_change_nothing():
    one, other = shift_map(cloud([-1.0, 1.0])), shift_map(cloud([-1.0, 1.0], spread=1000.0))
    np.testing.assert_allclose(one.distance, other.distance, rtol=1e-4)
    np.testing.assert_allclose(one.area, other.area, atol=1e-3)


def test_a_behavior_that_was_not_logged_moves_neither_axes_nor_units():
    logged, far = cloud([-1.0, 1.0]), cloud([30.0], seed=1)
    alone, beside = shift_map(logged), shift_map(logged, far)
    assert beside.behaviors == ("at -1", "at 1", "at 30")
    assert beside.logged == (True, True, False)
    np.testing.assert_array_equal(alone.distance, beside.distance[:2, :2])
    np.testing.assert_array_equal(alone.points["at 1"], beside.points["at 1"])
    assert beside.to_rest[2] > 5 * beside.to_rest[0]
    assert beside.area[2, 0] > 0.999
    # The map shows it: the first axis is the one along which the logged behaviors differ.
    centers = {name: points.mean(0) for name, points in beside.points.items()}
    assert centers["at 30"][0] > centers["at 1"][0] + 5 > centers["at -1"][0] + 5


def test_points_are_records_of_their_behavior():
    data = cloud([-1.0, 1.0], episodes=3)
    found = shift_map(data)
    for number, name in enumerate(data.behavior_names):
        assert len(found.points[name]) == len(found.rows[name]) == 150
        assert set(data.behavior[found.rows[name]]) == {number}


def test_little_data_is_compared_as_far_as_it_goes():
    data = cloud([0.0, 1.0], episodes=1)
    data.obs[:, 1] = 7.0
    few = data.rows(np.array([0, 1, 2, 3, 50]))
    found = shift_map(few)
    assert np.isnan(found.distance[1, 1])
    assert np.isfinite(found.distance[[0, 0, 1], [0, 1, 0]]).all()
    assert found.area[0, 1] == 0.5
    json.dumps(plain(found.to_json()), allow_nan=False)


def test_one_behavior_has_no_rest():
    found = shift_map(cloud([0.0]))
    assert np.isnan(found.to_rest).all()
    assert plain(found.to_json())["behaviors"][0]["to_rest"] is None


def test_the_map_shows_the_records_that_it_is_told_to():
    data = cloud([-1.0, 1.0])
    held_out = np.flatnonzero(data.episode % 5 == 0)
    found = shift_map(data, shown=held_out)
    assert set(np.concatenate(list(found.rows.values()))) <= set(held_out)
    np.testing.assert_array_equal(found.distance, shift_map(data).distance)
    # Of a behavior that has none among them, any.
    of_one = shift_map(data, shown=held_out[data.behavior[held_out] == 0])
    assert set(data.behavior[of_one.rows["at 1"]]) == {1}


def test_the_points_of_many_behaviors_are_few_of_each():
    found = shift_map(cloud([float(mean) for mean in range(40)], episodes=2))
    assert {len(points) for points in found.points.values()} == {50}


def test_errors_stand_at_the_points_of_their_records():
    logged, other = gust_log(8), gust_log(6, seed=5)
    other = replace(other, behavior=np.zeros_like(other.behavior), behavior_names=("new",))
    placed = shift_map(logged, other, shown=np.flatnonzero(logged.episode % 2 == 0))
    model = linear_model(TRUTH)
    scale = np.array([1.0, 2.0, 0.5])
    told = errors_on_map(placed, {"erm": model}, logged, other, scale)
    assert told["squared_error"]["erm"].keys() == set(placed.behaviors)
    for name in placed.behaviors:
        whole = score_records(model, other if name == "new" else logged, scale)
        np.testing.assert_allclose(told["squared_error"]["erm"][name], whole.squared[placed.rows[name]], atol=1e-4)
        np.testing.assert_allclose(told["uncertainty"]["erm"][name], whole.total[placed.rows[name]], atol=1e-4)
    assert len(np.unique(told["squared_error"]["erm"]["new"])) > 50
    json.dumps(plain(placed.to_json() | told), allow_nan=False)


def test_a_model_that_sees_the_past_is_told_the_past_of_the_points():
    logged = gust_log(8)
    placed = shift_map(logged)
    model = model_that_sees(Features(history=3), 2, 1)
    told = errors_on_map(placed, {"erm": model}, logged, None, np.ones(3))
    whole = score_records(model, logged, np.ones(3))
    for name, rows in placed.rows.items():
        np.testing.assert_allclose(told["squared_error"]["erm"][name], whole.squared[rows], rtol=1e-4, atol=1e-4)
