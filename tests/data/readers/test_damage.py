"""Damaged and hostile logs end in a valid log or in one clear error; benchmarks/fuzz_readers.py draws many more of them."""

import json
import os
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.logs import make_log
from tests.data.readers.damage import IN_MEMORY, KINDS, SOUND, damage, sound
from tests.data.readers.damage.judge import judge, judge_log
from tests.data.readers.formats import minari, small_log
from tests.data.test_transitions import assert_identical
from worldrex.data import DataError, LoadOptions, load
from worldrex.data.readers import limits
from worldrex.data.transitions import COLUMNS

SEEDS = json.loads((Path(__file__).parent / "damage" / "seeds.json").read_text(encoding="utf-8"))
KEPT = [(kind, seed) for kind, kept in SEEDS.items() for seeds in kept.values() for seed in seeds]
EXAMPLES = 25


@pytest.fixture(autouse=True)
def _library(request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params.get("kind") if hasattr(request.node, "callspec") else None
    if kind in ("pandas", "polars"):
        pytest.importorskip(kind)


@pytest.mark.parametrize(("kind", "seed"), KEPT, ids=[f"{kind}-{seed[:8]}" for kind, seed in KEPT])
def test_kept_damage_is_a_log_or_one_error(kind: str, seed: str, tmp_path: Path):
    outcome = judge(kind, bytes.fromhex(seed), tmp_path)
    assert outcome.word in ("accepted", "refused"), outcome.detail


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_damage_is_a_log_or_one_error(kind: str, tmp_path_factory: pytest.TempPathFactory):
    @settings(
        max_examples=EXAMPLES, database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(st.binary(min_size=8, max_size=64))
    def run(seed: bytes) -> None:
        outcome = judge(kind, seed, tmp_path_factory.mktemp("log"))
        assert outcome.word in ("accepted", "refused"), outcome.detail

    run()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_log(kind: str):
    seed = bytes.fromhex(SEEDS[kind]["sample"][0])
    one, other = damage(kind, seed), damage(kind, seed)
    assert (one.links, one.options) == (other.links, other.options)
    if kind not in ("hdf5", "minari"):  # which say when they were written
        assert one.files == other.files
    if kind in IN_MEMORY:
        assert str(one.log) == str(other.log)


@pytest.mark.parametrize("kind", list(SOUND))
def test_what_is_damaged_is_read_when_it_is_sound(kind: str, tmp_path: Path):
    for number in range(len(sound(kind))):
        seed = bytes([0, number, 0]) + next(iter(sound(kind)[number].values()))
        folder = tmp_path / str(number)
        folder.mkdir()
        assert judge(kind, seed, folder).word == "accepted"


def bomb_npz(path: Path, records: int) -> None:
    np.savez_compressed(path, **{name: np.zeros(records, np.uint8) for name in ("obs", "action", "reward", "next_obs")})


def bomb_parquet(path: Path, records: int) -> None:
    one = pa.array(np.zeros(records, np.uint8))
    pq.write_table(pa.table(dict.fromkeys(("obs", "action", "reward", "next_obs"), one)), path)


def bomb_hdf5(path: Path, records: int) -> None:
    with h5py.File(path, "w") as file:
        for name in ("obs", "action", "reward", "next_obs"):
            file.create_dataset(name, data=np.zeros(records, np.uint8), compression="gzip", chunks=(2**20,))


LOAD = """
import sys
from pathlib import Path
import worldrex.data.readers.hdf5
from worldrex.data import DataError, load

def held(name):
    return next(int(line.split()[1]) * 1024 for line in Path("/proc/self/status").read_text().splitlines() if name in line)

for path in sys.argv[1:]:
    before = held("VmRSS")
    try:
        message = f"read {len(load(path))}"
    except DataError as error:
        message = str(error)
    print(held("VmHWM") - before, message)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured with Linux's /proc")
def test_small_files_of_many_records_stay_below_a_gigabyte(tmp_path: Path):
    refused, read = int(1.05 * limits.ROOM / 4), int(0.95 * limits.ROOM / 4)
    for write in (bomb_npz, bomb_parquet, bomb_hdf5):
        for records in (refused, read):
            write(tmp_path / f"{records}-{write.__name__}", records)
    paths = [str(path) for records in (refused, read) for path in sorted(tmp_path.glob(f"{records}-*"))]
    assert max(os.path.getsize(path) for path in paths) < 0.95 * limits.ROOM / limits.DENSEST
    done = subprocess.run([sys.executable, "-c", LOAD, *paths], capture_output=True, text=True, check=True)
    memory, messages = zip(*(line.split(" ", 1) for line in done.stdout.splitlines()), strict=True)
    assert all("made to fill the memory" in message for message in messages[:3])
    assert messages[3:] == (f"read {read}",) * 3
    assert max(map(int, memory[:3])) < 1e8
    assert max(map(int, memory)) < 1e9


def test_a_chunk_that_unpacks_to_much_more_than_its_array_is_refused(tmp_path: Path):
    data = make_log()
    with h5py.File(tmp_path / "log", "w") as file:
        for name in ("obs", "action", "next_obs"):
            file[name] = getattr(data, name)
        file.create_dataset("reward", (120,), np.float32, chunks=(2**28,), maxshape=(None,), compression="gzip")
    with pytest.raises(DataError, match=r"declares 1,024 MiB of data"):
        load(tmp_path / "log")


# What is stored of an array of a byte's type, what a chunk of it is packed with, and what is said about it.
BROKEN = {
    "raw": (120, {}, b"abc", "holds 3 bytes of 120"),
    "deflated": (120, {"compression": "gzip"}, zlib.compress(b"abc"), "holds 3 bytes of 120"),
    "less than its checksum": (1, {"fletcher32": True}, b"ab", "holds 0 bytes of 1"),
    "no more than its checksum": (120, {"fletcher32": True}, bytes(120), "holds 116 bytes of 120"),
    "far more": (120, {"compression": "gzip"}, zlib.compress(bytes(10**7)), "holds more than 120 bytes"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_chunk_that_holds_less_or_more_than_its_array_is_refused(case: str, tmp_path: Path):
    """HDF5's library would read beyond it, and may end the process; or unpack it all, to any size."""
    rows, packed, stored, said = BROKEN[case]
    data = make_log()
    with h5py.File(tmp_path / "log", "w") as file:
        for name in ("obs", "action", "next_obs", "reward"):
            file[name] = getattr(data, name)
        flags = file.create_dataset("truncated", (120,), np.uint8, chunks=(rows,), **packed)
        flags.id.write_direct_chunk((0,), stored)
    with pytest.raises(DataError, match=f"a chunk of /truncated {said}"):
        load(tmp_path / "log")


def test_filters_in_an_order_that_may_leave_nothing_for_a_checksum_are_refused(tmp_path: Path):
    data = make_log()
    with h5py.File(tmp_path / "log", "w") as file:
        for name in ("obs", "action", "next_obs", "truncated"):
            file[name] = getattr(data, name)
        made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        made.set_chunk((120,))
        made.set_fletcher32()
        made.set_filter(h5py.h5z.FILTER_LZF, h5py.h5z.FLAG_OPTIONAL, ())
        reward = h5py.h5d.create(file.id, b"reward", h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((120,)), made)
        reward.write_direct_chunk((0,), b"\0a")  # to LZF, one byte
    with pytest.raises(DataError, match="/reward is packed in a way that neither D4RL nor Minari do"):
        load(tmp_path / "log")


@pytest.mark.parametrize(
    "packed", [{"compression": "gzip", "shuffle": True, "fletcher32": True}, {"compression": "lzf"}]
)
def test_packed_arrays_are_read(packed: dict, tmp_path: Path):
    data = make_log()
    with h5py.File(tmp_path / "log", "w") as file:
        for name in COLUMNS:
            file.create_dataset(name, data=getattr(data, name), chunks=True, **packed)
    assert_identical(load(tmp_path / "log"), data)


TEXT = {
    "unpacked": {},
    "in chunks": {"chunks": (50,)},
    "gzip": {"chunks": (50,), "compression": "gzip", "shuffle": True},
}


def with_text(path: Path, text: list[str], **packed: Any) -> h5py.File:
    data = make_log()
    file = h5py.File(path, "w")
    for name in ("obs", "action", "reward", "next_obs", "truncated"):
        file[name] = getattr(data, name)
    file.create_dataset("behavior", data=np.array(text, dtype=object), **packed)
    return file


@pytest.mark.parametrize("packed", TEXT.values(), ids=TEXT)
def test_text_is_read_and_one_long_text_that_all_share_is_refused_unread(
    packed: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = make_log()
    with_text(tmp_path / "log", [data.behavior_names[i] for i in data.behavior], **packed).close()
    assert_identical(load(tmp_path / "log"), data)
    with_text(tmp_path / "log", ["x" * 1_000_000] + ["y"] * 119, **packed).close()
    monkeypatch.setattr(h5py.Dataset, "asstr", pytest.fail)
    with pytest.raises(DataError, match="declares 458 MiB of data and has"):
        load(tmp_path / "log")


def test_a_long_text_of_no_record_and_lzf_packed_text_are_refused(tmp_path: Path):
    with with_text(tmp_path / "log", ["x"] * 120) as file:
        del file["behavior"]
        file.create_dataset("behavior", (120,), h5py.string_dtype(), fillvalue="x" * 1_000_000)
    with pytest.raises(DataError, match="declares 458 MiB of data"):
        load(tmp_path / "log")
    with_text(tmp_path / "log", ["x"] * 120, chunks=(50,), compression="lzf").close()
    with pytest.raises(DataError, match=r"'/behavior' is text packed with LZF.*GZIP=4"):
        load(tmp_path / "log")


def test_an_attribute_of_many_texts_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = minari({name: getattr(small_log(), name) for name in COLUMNS}, tmp_path)
    with h5py.File(path / "data" / "main_data.hdf5", "a") as file:
        for group in file.values():
            del group["infos"]
            group.attrs.create("behavior", ["a", "b"], dtype=h5py.string_dtype())
    monkeypatch.setattr(h5py.AttributeManager, "get", pytest.fail)
    monkeypatch.setattr(h5py.AttributeManager, "__getitem__", pytest.fail)
    assert load(path).behavior_names == ("arm/expert-v0",)


def test_groups_that_hold_each_other_many_times_are_refused_at_once(tmp_path: Path):
    path = minari({name: getattr(small_log(), name) for name in COLUMNS}, tmp_path)
    with h5py.File(path / "data" / "main_data.hdf5", "a") as file:
        del file["episode_0/observations"]
        inner = file.create_group("episode_0/observations")
        for _ in range(24):
            deeper = h5py.Group(h5py.h5g.create(file.id, None))
            inner["a"], inner["b"] = deeper, deeper
            inner = deeper
        inner["x"] = np.zeros(3)
    with pytest.raises(DataError, match="is there more than once, under several names"):
        load(path)


def test_a_long_name_in_a_dictionary_is_never_written_out(tmp_path: Path):
    data, records = make_log(), 120
    columns = {name: pa.array(getattr(data, name).tolist()) for name in ("obs", "action", "reward", "next_obs")}
    long = pa.DictionaryArray.from_arrays(pa.array([0] * records, pa.int32()), pa.array(["x" * 1_000_000]))
    pq.write_table(pa.table(columns | {"behavior": long, "truncated": data.truncated}), tmp_path / "log")
    assert load(tmp_path / "log").behavior_names == ("x" * 1_000_000,)
    pq.write_table(pa.table(columns | {"episode": long}), tmp_path / "log")
    with pytest.raises(DataError, match=r"episode has a name of 1,000,000 characters.*would take 458 MiB"):
        load(tmp_path / "log")


def test_a_description_that_is_a_link_is_not_followed(tmp_path: Path):
    for name, content in sound("mapped")[0].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "log" / "columns.json").unlink()
    (tmp_path / "log" / "columns.json").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"columns\.json is a link"):
        load(tmp_path / "log")


def test_a_member_packed_as_numpy_never_does_is_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "log", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("obs.npy", bytes(100))
    with pytest.raises(DataError, match="obs is packed in a way that NumPy never does"):
        load(tmp_path / "log")


def test_names_stay_names(tmp_path: Path):
    pl = pytest.importorskip("polars")
    data = make_log(names=("<script>\n\x1b[31m", "../../etc/passwd\0"))
    data.save(tmp_path / "log")
    assert_identical(load(tmp_path / "log"), data)
    assert "'a\\x00b'" in judge_log(pl.DataFrame({"a\0b": [1.0]}), LoadOptions()).detail  # polars would end the process
