import inspect
import json
import re
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.dynamics.conftest import same_bits
from tests.dynamics.gust import gust_log, true_outputs
from tests.dynamics.made_up import TRUTH, linear_model, made_up_model, model_that_sees
from worldrex.dynamics import Features, ModelError, WorldModel, load_model
from worldrex.dynamics.ensemble import apply_network
from worldrex.runs import RunError

RNG = np.random.default_rng(0)
OBS, ACTION = RNG.normal(size=(6, 1)), RNG.normal(size=(6, 2))


def test_predictions_are_in_the_units_of_the_data():
    model = made_up_model()
    x = (np.concatenate([OBS, ACTION], 1) - model.normalizer.input_mean) / model.normalizer.input_std
    prediction = model.predict(OBS, ACTION)
    scale = model.normalizer.output_std
    means, stds = [], []
    for place, member in enumerate((0, 2, 3)):
        network = jax.tree.map(lambda x, m=member: x[m], model.networks)
        mean, log_var = map(np.asarray, jax.jit(apply_network)(network, x.astype(np.float32))[:2])
        change = mean * scale + model.normalizer.output_mean
        means.append(change + np.concatenate([OBS, np.zeros((6, 1))], 1))
        stds.append(np.exp(0.5 * log_var) * scale)
        np.testing.assert_allclose(prediction.member_next_obs[place], means[-1][:, :1], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(prediction.member_reward[place], means[-1][:, 1], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(prediction.member_next_obs_std[place], stds[-1][:, :1], rtol=1e-4)
        np.testing.assert_allclose(prediction.member_reward_std[place], stds[-1][:, 1], rtol=1e-4)
    mixture = np.mean(means, axis=0)
    std = np.sqrt(np.mean(np.square(stds), axis=0) + np.var(means, axis=0))
    np.testing.assert_allclose(prediction.next_obs, mixture[:, :1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(prediction.reward, mixture[:, 1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(prediction.next_obs_std, std[:, :1], rtol=1e-4)
    np.testing.assert_allclose(prediction.reward_std, std[:, 1], rtol=1e-4)


def test_a_linear_model_predicts_the_linear_system():
    log = gust_log(2)
    prediction = linear_model(TRUTH, std=0.3).predict(log.obs, log.action)
    np.testing.assert_allclose(prediction.next_obs - log.obs, true_outputs(log)[:, :2], atol=1e-5)
    np.testing.assert_allclose(prediction.reward, true_outputs(log)[:, 2], atol=1e-5)
    np.testing.assert_allclose(prediction.next_obs_std, 0.3, rtol=1e-5)


@pytest.mark.parametrize(("obs", "act"), [(2, 1), (1, 3), (3, 2), (1, 1)])
def test_widths_other_than_the_models_are_refused(obs: int, act: int):
    message = f"obs has shape (6, {obs}) and action (6, {act}); this model was fitted on widths of 1 and 2"
    with pytest.raises(ModelError, match=re.escape(message)):
        made_up_model().predict(np.zeros((6, obs)), np.zeros((6, act)))


def test_a_list_in_the_place_of_an_array_is_told():
    with pytest.raises(ModelError, match=r"action is a list; give an array, such as np\.array"):
        inspect.unwrap(WorldModel.predict)(made_up_model(), np.zeros((1, 1)), [[0.0, 0.0]])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    made_up_model().save(tmp_path / "model")
    return tmp_path / "model"


def test_a_saved_model_is_loaded_identical_to_the_bit(saved: Path):
    model, loaded = made_up_model(), load_model(saved)
    assert same_bits(model[:4], loaded[:4])
    assert loaded[4:] == model[4:]
    assert [x.dtype for x in jax.tree.leaves(loaded[:2])] == [x.dtype for x in jax.tree.leaves(model[:2])]
    assert same_bits(model.predict(OBS, ACTION), loaded.predict(OBS, ACTION))
    assert sorted(path.name for path in saved.iterdir()) == ["model.json", "model.safetensors"]


def test_a_model_without_hidden_layers_is_kept_too(tmp_path: Path):
    linear_model(TRUTH, 2 * TRUTH).save(tmp_path)
    assert same_bits(load_model(tmp_path)[:4], linear_model(TRUTH, 2 * TRUTH)[:4])


def test_a_run_folder_stands_for_its_model(saved: Path):
    assert same_bits(load_model(saved.parent)[:4], load_model(saved)[:4])


def test_nothing_is_pickled(saved: Path):
    weights = (saved / "model.safetensors").read_bytes()
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    tensors = [entry for name, entry in header.items() if name != "__metadata__"]
    assert {entry["dtype"] for entry in tensors} == {"F32"}
    assert max(entry["data_offsets"][1] for entry in tensors) == len(weights) - 8 - int.from_bytes(
        weights[:8], "little"
    )
    json.loads((saved / "model.json").read_text(encoding="utf-8"))


def description_of(folder: Path, **changes: object) -> None:
    path = folder / "model.json"
    content = json.loads(path.read_text(encoding="utf-8")) | changes
    content = {key: value for key, value in content.items() if value is not None}
    path.write_text(json.dumps(content), encoding="utf-8")


def test_weights_of_another_save_are_found_out(saved: Path):
    made_up_model(seed=9).save(saved.parent / "other")
    (saved.parent / "other" / "model.safetensors").replace(saved / "model.safetensors")
    with pytest.raises(ModelError, match=r"damaged: model\.safetensors is not the file"):
        load_model(saved)


def test_a_flipped_bit_is_found_out(saved: Path):
    weights = bytearray((saved / "model.safetensors").read_bytes())
    weights[-3] ^= 1
    (saved / "model.safetensors").write_bytes(weights)
    with pytest.raises(ModelError, match="damaged"):
        load_model(saved)


@pytest.mark.parametrize("key", ["sha256", "elites", "hidden_layers", "trained"])
def test_a_description_that_lacks_something_is_damaged(saved: Path, key: str):
    description_of(saved, **{key: None})
    with pytest.raises(ModelError, match="damaged"):
        load_model(saved)


@pytest.mark.parametrize("version", [0, 4, None])
def test_another_format_is_refused(saved: Path, version: int | None):
    description_of(saved, format=version)
    with pytest.raises(ModelError, match=r"is not of format 1 or 2 or 3.*fit again"):
        load_model(saved)


@pytest.mark.parametrize("content", [b"", b'{"format": 1', b"[]", b"\xff\xfe"])
def test_a_description_that_is_none_is_refused(saved: Path, content: bytes):
    (saved / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"no model that can be read|not of format"):
        load_model(saved)


@pytest.mark.parametrize("missing", ["model.json", "model.safetensors"])
def test_half_a_model_is_refused(saved: Path, missing: str):
    (saved / missing).unlink()
    with pytest.raises(ModelError, match="holds no model that can be read"):
        load_model(saved)


def test_a_folder_that_cannot_be_made_is_a_run_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot make the folder"):
        made_up_model().save(tmp_path / "file" / "model")


def test_saving_over_a_model_leaves_the_new_one(saved: Path):
    newer: WorldModel = made_up_model(seed=9)
    newer.save(saved)
    assert same_bits(load_model(saved)[:4], newer[:4])


def with_heads(*, gaussian: bool = True, ends: bool = False) -> WorldModel:
    """The made-up model with other heads."""
    model, rng = made_up_model(), np.random.default_rng(5)
    networks = model.networks
    if not gaussian:
        networks = networks._replace(log_var=None, min_log_var=None, max_log_var=None)
    if ends:
        stop = rng.normal(size=(4, 4, 1)).astype(np.float32), rng.normal(size=(4, 1)).astype(np.float32)
        networks = networks._replace(stop=stop)
    return model._replace(networks=networks)


@pytest.mark.parametrize("gaussian", [True, False])
@pytest.mark.parametrize("ends", [True, False])
def test_a_model_is_kept_with_the_heads_that_it_has(tmp_path: Path, gaussian: bool, ends: bool):
    model = with_heads(gaussian=gaussian, ends=ends)
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert jax.tree.structure(loaded.networks) == jax.tree.structure(model.networks)
    assert same_bits(loaded[:4], model[:4])
    assert same_bits(loaded.predict(OBS, ACTION), model.predict(OBS, ACTION))
    weights = (tmp_path / "model.safetensors").read_bytes()
    names = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    assert ("networks.log_var.0" in names, "networks.stop.0" in names) == (gaussian, ends)


def test_a_model_of_format_1_is_read(saved: Path):
    """It had the heads of a Gaussian and did not say so."""
    description_of(saved, format=1, gaussian=None, terminates=None, features=None, termination=None)
    assert "gaussian" not in json.loads((saved / "model.json").read_text())
    assert same_bits(load_model(saved)[:4], made_up_model()[:4])


def test_without_a_variance_head_only_the_elites_disagree():
    prediction = with_heads(gaussian=False).predict(OBS, ACTION)
    assert not np.any(prediction.member_next_obs_std)
    assert not np.any(prediction.member_reward_std)
    assert not np.any(prediction.aleatoric)
    np.testing.assert_allclose(prediction.next_obs_std, np.std(prediction.member_next_obs, axis=0), rtol=1e-5)
    np.testing.assert_allclose(prediction.reward_std, np.std(prediction.member_reward, axis=0), rtol=1e-5)
    assert same_bits(prediction.member_next_obs, made_up_model().predict(OBS, ACTION).member_next_obs)


def test_uncertainty_is_told_apart():
    prediction = made_up_model().predict(OBS, ACTION)
    means = np.dstack([prediction.member_next_obs, prediction.member_reward])
    stds = np.dstack([prediction.member_next_obs_std, prediction.member_reward_std])
    np.testing.assert_allclose(prediction.epistemic, means.std(0), rtol=1e-4)
    np.testing.assert_allclose(prediction.aleatoric, np.sqrt(np.square(stds).mean(0)), rtol=1e-4)
    both = np.column_stack([prediction.next_obs_std, prediction.reward_std])
    np.testing.assert_allclose(np.hypot(prediction.epistemic, prediction.aleatoric), both, rtol=1e-4)


def test_the_probability_of_an_end_is_the_mean_of_the_elites():
    model = with_heads(ends=True)
    x = (np.concatenate([OBS, ACTION], 1) - model.normalizer.input_mean) / model.normalizer.input_std
    odds = [
        jax.jit(apply_network)(jax.tree.map(lambda leaf, m=member: leaf[m], model.networks), x.astype(np.float32)).stop
        for member in model.elites
    ]
    told = model.predict(OBS, ACTION).terminated
    np.testing.assert_allclose(told, (1 / (1 + np.exp(-np.array(odds)))).mean(0), rtol=1e-4)
    assert not np.any(made_up_model().predict(OBS, ACTION).terminated)


def test_samples_have_the_moments_of_the_mixture():
    model, many = made_up_model(), 40_000
    obs, action = (np.repeat(x[:1], many, axis=0) for x in (OBS, ACTION))
    told = model.predict(OBS[:1], ACTION[:1])
    next_obs, reward = model.sample(obs, action, key=jax.random.key(0))
    drawn = np.column_stack([next_obs, reward]).astype(float)
    mean = np.array([told.next_obs[0, 0], told.reward[0]])
    std = np.array([told.next_obs_std[0, 0], told.reward_std[0]])
    np.testing.assert_allclose(drawn.mean(0), mean, atol=5 * std.max() / np.sqrt(many))
    np.testing.assert_allclose(drawn.std(0), std, rtol=0.03)
    # One elite predicts a whole record: next_obs and the reward go together as the elites' means do.
    means = np.column_stack([told.member_next_obs[:, 0, 0], told.member_reward[:, 0]])
    expected = np.cov(means.T, bias=True)[0, 1]
    np.testing.assert_allclose(np.cov(drawn.T)[0, 1], expected, atol=5 * std.prod() / np.sqrt(many))
    assert abs(expected) > 10 * std.prod() / np.sqrt(many)


def test_samples_depend_on_the_key_alone_and_each_record_is_drawn_by_itself():
    model = linear_model(TRUTH, std=0.5)
    log = gust_log(1)
    first, again, other = (model.sample(log.obs, log.action, key=jax.random.key(seed)) for seed in (0, 0, 1))
    assert same_bits(first, again)
    assert not np.isclose(first[0], other[0]).any()
    noise = np.column_stack([first[0] - log.obs, first[1]]) - true_outputs(log)
    np.testing.assert_allclose(noise.std(0), 0.5, rtol=0.25)
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.4


SEES = Features(history=2, absolute=(1,), angles=(0, 2), masked=(2,))


def test_a_model_is_kept_with_what_it_sees_and_its_rule(tmp_path: Path):
    model = model_that_sees(SEES, 3, 2)._replace(termination="0:-3:3")
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.features == SEES
    assert hash(loaded.features) == hash(SEES)
    assert loaded.termination == "0:-3:3"
    assert same_bits(loaded[:4], model[:4])
    obs, action = RNG.normal(scale=3, size=(50, 2, 3)), RNG.normal(size=(50, 2, 2))
    told = loaded.predict(obs, action)
    assert same_bits(told, model.predict(obs, action))
    assert 0 < np.mean(told.terminated) < 1
    # And it is more than the weights: with other eyes it is another model.
    assert not same_bits(told, model._replace(features=replace(SEES, absolute=None)).predict(obs, action))


@pytest.mark.parametrize(
    ("obs", "action", "message"),
    [
        ((6, 3), (6, 2), r"obs has shape \(6, 3\); this model sees 2 steps: give \[batch, 2, 3\]"),
        ((6, 1, 3), (6, 1, 2), r"obs has shape \(6, 1, 3\); this model sees 2 steps: give \[batch, 2, 3\]"),
        ((6, 3, 3), (6, 3, 2), r"obs has shape \(6, 3, 3\); this model sees 2 steps"),
        ((6, 2, 4), (6, 2, 2), r"obs has shape \(6, 2, 4\) and action \(6, 2, 2\); .* fitted on widths of 3 and 2"),
        ((6, 2, 3), (6, 2, 1), r"obs has shape \(6, 2, 3\) and action \(6, 2, 1\); .* fitted on widths of 3 and 2"),
    ],
)
def test_a_past_of_another_shape_is_refused(obs: tuple[int, ...], action: tuple[int, ...], message: str):
    with pytest.raises(ModelError, match=message):
        model_that_sees(SEES, 3, 2).predict(np.zeros(obs), np.zeros(action))


def test_a_model_of_the_present_step_takes_no_past():
    message = r"obs has shape \(6, 2, 1\); this model sees the present step: give \[batch, 1\]"
    with pytest.raises(ModelError, match=message):
        made_up_model().predict(np.zeros((6, 2, 1)), np.zeros((6, 2, 2)))


@pytest.mark.parametrize("version", [1, 2])
def test_a_model_of_an_older_format_sees_one_step_and_learned_its_ends(saved: Path, version: int):
    old = {"gaussian": None, "terminates": None} if version == 1 else {}
    description_of(saved, format=version, features=None, termination=None, **old)
    assert not {"features", "termination"} & set(json.loads((saved / "model.json").read_text()))
    loaded = load_model(saved)
    assert (loaded.features, loaded.termination) == (Features(), "learned")
    assert same_bits(loaded.predict(OBS, ACTION), made_up_model().predict(OBS, ACTION))


def test_samples_go_on_from_the_present_step():
    model = model_that_sees(SEES, 3, 2)
    obs, action = RNG.normal(size=(2000, 2, 3)), RNG.normal(size=(2000, 2, 2))
    next_obs, reward = model.sample(obs, action, key=jax.random.key(0))
    told = model.predict(obs, action)
    off = np.column_stack([(next_obs - told.next_obs) / told.next_obs_std, (reward - told.reward) / told.reward_std])
    assert off.shape == (2000, 4)
    np.testing.assert_allclose(off.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(off.std(0), 1, atol=0.1)
