"""HDF5 files that hold other things than arrays of numbers, or hold them in other ways."""

import zlib
from collections.abc import Callable

import h5py
import numpy as np

from tests.data.readers.damage.arrays import hostile_array, hostile_name
from tests.data.readers.damage.choices import Choices
from worldrex.data.readers.hdf5_chunks import require_whole

FILTERS = [{"compression": "gzip"}, {"compression": "lzf"}, {"shuffle": True}, {"fletcher32": True}, {"scaleoffset": 2}]


def hdf5_bytes(image: bytes, choices: Choices) -> bytes:
    """A sound file with one to three of its things replaced, added or taken away."""
    with h5py.File.in_memory(image) as file:
        for _ in range(1 + choices.below(3)):
            try:
                _change(file, choices)
            except (OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError, MemoryError):
                continue  # what h5py does not write cannot be read either
        file.flush()
        return file.id.get_file_image()


def _change(file: h5py.File, choices: Choices) -> None:
    group: h5py.Group = file
    episodes = [name for name in file if name.startswith("episode_")]
    if episodes and not choices.chance(6):
        group = file[choices.one_of(episodes)]
    elif choices.chance(12) and isinstance(file.get("infos"), h5py.Group):
        group = file["infos"]
    if choices.chance(5):
        _attribute(group, choices)
        return
    if not isinstance(group, h5py.Group):
        return  # an array of any size by now
    name = choices.one_of(sorted(group) or ["observations"])
    there = group.get(name)
    small = isinstance(there, h5py.Dataset) and (there.size or 0) * there.dtype.itemsize < 10_000
    values = there[()] if small and _is_whole(there) else np.zeros(6, np.float32)
    match choices.below(10):
        case 0:
            del group[name]
            return
        case 1:
            group.move(name, hostile_name(choices))
            return
        case 2:
            name = choices.one_of(
                [hostile_name(choices), "behavior", "timestamp", "episode_7", "episode_x", "episode_²"]
            )
    if name in group:
        del group[name]
    if choices.chance(2):
        group[name] = hostile_array(np.asarray(values), choices)
    else:
        choices.one_of(ODDITIES)(group, name, np.asarray(values), choices)


def _is_whole(there: h5py.Dataset) -> bool:
    """Whether the library can read what an earlier change left: some damage ends this process, too."""
    if there.is_virtual:
        return False
    try:
        require_whole(there)
    except (ValueError, zlib.error):
        return False
    return True


def _attribute(group: h5py.Group, choices: Choices) -> None:
    values = [
        np.nan,
        -1,
        2**63,
        10**12,
        "x" * 3000,
        "a\nb",
        "",
        b"\xff",
        True,
        [1, 2],
        np.zeros(0),
        h5py.Empty("f"),
        1j,
        0.5,
    ]
    key = choices.one_of(["behavior", "behavior", "worldrex_behavior", "worldrex_episode", "id", "total_steps", "b\nc"])
    group.attrs[key] = choices.one_of(values)


def _text(group: h5py.Group, name: str, values: np.ndarray, choices: Choices) -> None:
    text = np.array([hostile_name(choices).replace("\0", "") for _ in range(len(values))], dtype=object)
    group.create_dataset(name, data=text, dtype=h5py.string_dtype(choices.one_of(["utf-8", "ascii"])))


def _declared(group: h5py.Group, name: str, values: np.ndarray, choices: Choices) -> None:
    """Nothing stored, and much declared."""
    rows = choices.one_of([2**40, 2**62, 2**27, 0, 1])
    shape = choices.one_of([(rows,), (rows, 3), (3, rows), (rows, 2**20), (rows, 0)])
    kind = choices.one_of(["f4", "S1", "S100000", h5py.string_dtype(), "i8", "?", h5py.vlen_dtype("f4")])
    fill = {} if kind not in ("f4", "i8") else {"fillvalue": choices.one_of([0, 1])}
    group.create_dataset(name, shape, kind, chunks=tuple(min(max(n, 1), 2**10) for n in shape), maxshape=shape, **fill)


def _chunked(group: h5py.Group, name: str, values: np.ndarray, choices: Choices) -> None:
    """Chunks far larger than what they hold."""
    shape = values.shape or (1,)
    chunks = (choices.one_of([2**10, 2**20, 2**22]), *shape[1:])
    group.create_dataset(name, shape, values.dtype, chunks=chunks, maxshape=(None, *shape[1:]), compression="gzip")


def _filtered(group: h5py.Group, name: str, values: np.ndarray, choices: Choices) -> None:
    """Chunks whose bytes are not what their filters expect."""
    shape = values.shape or (1,)
    found = group.create_dataset(name, shape, values.dtype, chunks=shape, **choices.one_of(FILTERS))
    found.id.write_direct_chunk((0,) * len(shape), choices.take(choices.below(80)), choices.one_of([0, 1, 2**31]))


def _link(group: h5py.Group, name: str, values: np.ndarray, choices: Choices) -> None:
    other = choices.one_of(["other.hdf5", "/etc/passwd", "../log", "log", "."])
    links = [
        h5py.SoftLink("/"),
        h5py.SoftLink("/nowhere"),
        h5py.SoftLink(name),
        h5py.ExternalLink(other, "/observations"),
    ]
    group[name] = choices.one_of([*links, group.file["/"], group])


def _web(group: h5py.Group, name: str, values: np.ndarray, choices: Choices) -> None:
    """Groups that hold the next one many times over."""
    inner = group.create_group(name)
    for _ in range(choices.one_of([1, 3, 24])):
        deeper = h5py.Group(h5py.h5g.create(group.file.id, None))
        for i in range(choices.one_of([1, 2, 6])):
            inner[f"a{i}"] = deeper
        inner = deeper
    if choices.chance(2):
        inner["x"] = values


def _elsewhere(group: h5py.Group, name: str, values: np.ndarray, choices: Choices) -> None:
    other, shape = choices.one_of(["other.hdf5", "/etc/passwd", "."]), values.shape or (1,)
    if choices.chance(2):
        group.create_dataset(name, shape, values.dtype, external=[(other, 0, max(values.nbytes, 1))])
        return
    layout = h5py.VirtualLayout(shape, values.dtype)
    layout[...] = h5py.VirtualSource(other, "observations", shape)
    group.create_virtual_dataset(name, layout)


def _typed(group: h5py.Group, name: str, values: np.ndarray, choices: Choices) -> None:
    kinds = [
        h5py.enum_dtype({"A": 0, "B": 1}),
        h5py.ref_dtype,
        h5py.regionref_dtype,
        h5py.vlen_dtype(np.float32),
        "f2",
        ">f4",
    ]
    kinds += [
        np.dtype([("a", "f4")]),
        np.dtype(("f4", (3,))),
        np.dtype("V8"),
        h5py.string_dtype(length=3),
        "<f16",
        "<c8",
    ]
    group.create_dataset(name, values.shape, choices.one_of(kinds))


def _no_array(group: h5py.Group, name: str, values: np.ndarray, choices: Choices) -> None:
    made: list[Callable[[], object]] = [
        lambda: group.create_group(name),
        lambda: group.create_dataset(name, data=h5py.Empty("f4")),
        lambda: group.create_dataset(name, data=h5py.Empty(h5py.string_dtype())),
        lambda: group.__setitem__(name, np.dtype("f4")),
        lambda: group.create_dataset(name, data=values.reshape(-1)[:1].reshape(())),
        lambda: group.create_dataset(name, data="text"),
        lambda: group.create_dataset(f"{name}/deeper", data=values),
        lambda: group.create_dataset(f"{name}/{hostile_name(choices)}", data=hostile_array(values, choices)),
    ]
    choices.one_of(made)()


ODDITIES: list[Callable[[h5py.Group, str, np.ndarray, Choices], None]] = [
    *(_text, _declared, _chunked, _filtered, _link, _web, _elsewhere, _typed, _no_array)
]
