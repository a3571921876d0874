import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.data.logs import make_log
from tests.data.test_transitions import assert_identical
from worldrex.data import DataError, Transitions, load, write_minari
from worldrex.runs import RunError


def varied() -> Transitions:
    data = make_log(behaviors=3, episodes=2, steps=7, names=("slow", "fast", "nobody"))
    data = data.rows((data.behavior < 2) & (data.episode != 1))
    return replace(data, terminated=data.truncated & (data.episode == 2), episode=data.episode * 10 - 5)


def test_reads_back_identical_to_the_bit(tmp_path: Path):
    data = varied()
    write_minari(data, tmp_path / "arm-v3")
    assert_identical(load(tmp_path / "arm-v3"), data)
    assert [entry.name for entry in tmp_path.iterdir()] == ["arm-v3"]


def test_hostile_names_stay_names(tmp_path: Path):
    names = ("[red]x", "two\nlines", "../../up", "n" * 100_000, "", "a\0b", "\udc80 操")
    data = make_log(behaviors=len(names), names=names)
    write_minari(data, tmp_path / "log")
    assert load(tmp_path / "log").behavior_names == names


def test_minari_itself_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    minari = pytest.importorskip("minari")
    pytest.importorskip("PIL", reason="Minari imports it to read HDF5")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    data = varied()
    (tmp_path / "lab").mkdir()
    write_minari(data, tmp_path / "lab" / "arm-v0", dataset_id="lab/arm-v0")
    assert list(minari.list_local_datasets()) == ["lab/arm-v0"]
    dataset = minari.load_dataset("lab/arm-v0")
    assert (dataset.id, dataset.total_episodes, dataset.total_steps) == ("lab/arm-v0", 3, 21)
    assert dataset.observation_space.shape == (3,)
    assert dataset.action_space.shape == (2,)
    for number, episode in enumerate(dataset.iterate_episodes()):
        rows = slice(7 * number, 7 * number + 7)
        np.testing.assert_array_equal(episode.observations[:-1], data.obs[rows])
        np.testing.assert_array_equal(episode.observations[1:], data.next_obs[rows])
        np.testing.assert_array_equal(episode.actions, data.action[rows])
        np.testing.assert_array_equal(episode.rewards, data.reward[rows])
        np.testing.assert_array_equal(episode.terminations, data.terminated[rows])
        np.testing.assert_array_equal(episode.truncations, data.truncated[rows])
        assert all(dataset.observation_space.contains(obs) for obs in episode.observations)
    assert [m["behavior"] for m in dataset.storage.get_episode_metadata(range(3))] == ["slow", "fast", "fast"]
    assert_identical(load("minari:lab/arm-v0"), data)


@pytest.mark.filterwarnings("ignore::UserWarning:minari")
def test_what_minari_wrote_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    minari = pytest.importorskip("minari")
    pytest.importorskip("PIL", reason="Minari imports it to read HDF5")
    from gymnasium.spaces import Box, Dict
    from minari.data_collector import EpisodeBuffer

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    rng = np.random.default_rng(0)
    box = Box(-np.inf, np.inf, (2,), np.float64)
    buffers = []
    for number in range(3):
        observations = {"b": rng.normal(size=(6, 2)), "a": rng.normal(size=(6, 2))}
        buffers.append(
            EpisodeBuffer(
                id=number, observations=observations, actions=rng.normal(size=(5, 2)), rewards=np.arange(5.0),
                terminations=np.zeros(5, bool), truncations=np.arange(5) == 4,
                infos={"policy": np.full(6, number % 2)},
            )
        )  # fmt: skip
    minari.create_dataset_from_buffers(
        "test/arm-v0", buffers, observation_space=Dict({"b": box, "a": box}), action_space=box
    )
    data = load("minari:test/arm-v0")
    assert data.behavior_names == ("test/arm-v0",)
    assert len(data) == 15
    for number, buffer in enumerate(buffers):
        flat = np.concatenate([buffer.observations["a"], buffer.observations["b"]], axis=1).astype(np.float32)
        np.testing.assert_array_equal(data.obs[data.episode == number], flat[:-1])
        np.testing.assert_array_equal(data.next_obs[data.episode == number], flat[1:])


def test_what_minari_cannot_hold_is_refused(tmp_path: Path):
    data = make_log()
    data.next_obs[3, 1] = np.nextafter(data.next_obs[3, 1], np.float32(9))
    with pytest.raises(DataError, match=r"next_obs at row 3 is not exactly obs at row 4.*save the log as Parquet"):
        write_minari(data, tmp_path / "log")
    with pytest.raises(DataError, match="Minari needs the rows of an episode together"):
        write_minari(make_log().rows(np.array([0, 1, 30, 5, 6])), tmp_path / "log")
    with pytest.raises(DataError, match="no records"):
        write_minari(make_log().rows(slice(0)), tmp_path / "log")
    with pytest.raises(DataError, match=r"dataset_id is '\.\./up-v0'"):
        write_minari(make_log(), tmp_path / "log", dataset_id="../up-v0")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_and_names_get_a_version(tmp_path: Path):
    write_minari(make_log(), tmp_path / "my log")
    metadata = json.loads((tmp_path / "my log" / "data" / "metadata.json").read_text())
    assert metadata["dataset_id"] == "my_log-v0"
    with pytest.raises(RunError, match="never overwritten"):
        write_minari(make_log(), tmp_path / "my log")
    with pytest.raises(RunError, match="cannot write"):
        write_minari(make_log(), "/proc/nope/log")
