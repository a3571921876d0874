import json
from typing import Any

import numpy as np
import pytest

from tests.dynamics.gust import gust_log
from tests.dynamics.made_up import TRUTH, linear_model
from worldrex.data import Transitions
from worldrex.evaluation import open_loop, rank_correlation, score, score_records
from worldrex.runs import plain

SCALE = np.array([1.0, 2.0, 0.5])
MODEL = linear_model(TRUTH, 1.2 * TRUTH, std=0.4)
DETERMINISTIC = MODEL._replace(networks=MODEL.networks._replace(log_var=None, min_log_var=None, max_log_var=None))


@pytest.fixture(scope="module")
def log() -> Transitions:
    """20 episodes of 20 steps of each of two operators."""
    return gust_log(operators=((1.0, 0.0), (1.2, -0.4)))


@pytest.fixture(scope="module")
def table(log: Transitions) -> dict[str, dict[str, Any]]:
    models = {"a": MODEL, "b": linear_model(TRUTH), "c": DETERMINISTIC}
    return plain(score(models, log, SCALE, diagnosed=("a", "c"), seed=3))


def test_only_what_is_asked_for_is_diagnosed(log: Transitions, table: dict[str, dict[str, Any]]):
    assert all(list(entry["diagnostics"]) == ["a", "c"] for entry in table.values())
    assert "diagnostics" not in score({"a": MODEL}, log, SCALE)["operator 0"]
    json.dumps(table, allow_nan=False)


def test_the_parts_are_those_of_the_functions(log: Transitions, table: dict[str, dict[str, Any]]):
    for number, entry in enumerate(table.values()):
        part = log.rows(log.behavior == number)
        told, scores = entry["diagnostics"]["a"], score_records(MODEL, part, SCALE)
        assert (told["records"], told["episodes"]) == (400, 20)
        for name, expected in (("squared_error", scores.squared), ("nll", scores.nll), ("crps", scores.crps)):
            assert told[name]["value"] == pytest.approx(expected.mean(), rel=1e-5)
            assert told[name]["low"] < told[name]["value"] < told[name]["high"]
            np.testing.assert_allclose(told[name]["outputs"], getattr(scores.outputs, name.removesuffix("_error")))
        assert told["squared_error"]["value"] == entry["a"]
        assert [told["squared_error"]["low"], told["squared_error"]["high"]] == entry["intervals"]["a"]
        assert entry["coverage"]["a"] == pytest.approx(told["coverage"]["95"]["value"])
        assert told["joint"]["nll"]["value"] == pytest.approx(scores.joint_nll.mean(), rel=1e-5)
        assert np.shape(told["pit"]["outputs"]["histogram"]) == (3, 20)
        for histogram in (told["pit"]["histogram"], told["joint"]["pit"]["histogram"]):
            assert sum(histogram) == pytest.approx(1, abs=1e-5)
        levels = [told["joint"]["coverage"][name]["value"] for name in ("50", "90", "95")]
        bins = np.cumsum(told["joint"]["pit"]["histogram"])
        np.testing.assert_allclose(levels, bins[[9, 17, 18]], atol=1e-9)
        error = np.sqrt(scores.squared)
        for name in ("total", "epistemic", "aleatoric"):
            expected = rank_correlation(getattr(scores, name), error)
            # The noise that these elites expect is constant but for rounding.
            if name != "aleatoric":
                assert told["uncertainty"][name]["rank_correlation"] == pytest.approx(expected)
            assert len(told["uncertainty"][name]["curve"]) == len(told["uncertainty"]["removed"]) == 50


def test_the_open_loop_is_told_at_each_step(log: Transitions, table: dict[str, dict[str, Any]]):
    part = log.rows(log.behavior == 1)
    told, rolled = table["operator 1"]["diagnostics"]["a"]["open_loop"], open_loop(MODEL, part, SCALE, seed=3)
    steps = len(rolled.squared)
    assert told["steps"] == list(range(1, steps + 1))
    assert told["starts"] == len(rolled.rows)
    np.testing.assert_allclose(told["squared_error"]["value"], rolled.squared.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(told["persistence"]["value"], rolled.persistence.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(told["coverage"]["90"]["value"], rolled.covered[1].mean((1, 2)))
    low, high = (np.array(told["squared_error"][name]) for name in ("low", "high"))
    assert (low < told["squared_error"]["value"]).all()
    assert (high > told["squared_error"]["value"]).all()
    assert told["outputs"]["steps"] == [1, 2, 5, 10]
    np.testing.assert_allclose(told["outputs"]["squared_error"][3], rolled.squared[9].mean(0), rtol=1e-5)


def test_a_network_without_a_noise_head_is_told_as_it_is(table: dict[str, dict[str, Any]]):
    for entry in table.values():
        told = entry["diagnostics"]["c"]
        assert told["nll"]["value"] is None
        assert told["sharpness"]["value"] > 0  # of the elites' disagreement
        assert 0 < told["crps"]["value"] < 1
        assert told["uncertainty"]["aleatoric"]["rank_correlation"] is None
