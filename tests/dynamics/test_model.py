import json
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.dynamics.conftest import same_bits
from tests.dynamics.gust import gust_log, true_outputs
from tests.dynamics.made_up import TRUTH, linear_model, made_up_model
from worldrex.dynamics import ModelError, WorldModel, load_model
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
        mean, log_var = map(np.asarray, jax.jit(apply_network)(network, x.astype(np.float32)))
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
    message = f"obs is {obs} wide and action {act}; this model was fitted on 1 and 2"
    with pytest.raises(ModelError, match=message):
        made_up_model().predict(np.zeros((6, obs)), np.zeros((6, act)))


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


@pytest.mark.parametrize("version", [0, 2, None])
def test_another_format_is_refused(saved: Path, version: int | None):
    description_of(saved, format=version)
    with pytest.raises(ModelError, match=r"is not of format 1.*fit again"):
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
