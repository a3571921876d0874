"""Several processes that train one model, each with its own part of the log, and what they must tell each other."""

import itertools
from collections.abc import Mapping
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding
from jaxtyping import Int, Int32
from safetensors.numpy import load
from safetensors.numpy import save as serialize

from worldrex import risk
from worldrex.data import Transitions
from worldrex.dynamics.errors import TrainingError

CONNECT_SECONDS = 60
SILENT_SECONDS = 30  # after which a process that is not heard of is taken for gone


class Whole(NamedTuple):
    """What every process knows of the whole log: its labels, and how many records each process has."""

    behavior: Int32[np.ndarray, " record"]
    episode: Int32[np.ndarray, " record"]
    behavior_names: tuple[str, ...]
    parts: tuple[int, ...]
    """Number of records of each process, in order."""
    ends: bool
    """Whether any episode ends for good."""

    @property
    def num_behaviors(self) -> int:
        """Number of behaviors in all parts."""
        return len(self.behavior_names)

    @property
    def own(self) -> slice:
        """The records of this process."""
        place = jax.process_index() if len(self.parts) > 1 else 0
        start = sum(self.parts[:place])
        return slice(start, start + self.parts[place])

    def rows_of_each(self, shards: int) -> int:
        """How many rows of the tables each process has: as many as every other."""
        alike = shards // len(self.parts)
        return -(-max(self.parts) // alike) * alike

    def place(self, rows: Int[np.ndarray, " row"], shards: int) -> Int[np.ndarray, " row"]:
        """Where these records lie in the tables."""
        begins = np.cumsum((0, *self.parts[:-1]))
        process = np.searchsorted(begins, rows, side="right") - 1
        return rows - begins[process] + process * self.rows_of_each(shards)


def connect(coordinator: str, processes: int, process: int) -> None:
    """Join the others; to be called before JAX is used.

    **Arguments:** `coordinator`, "host:port" at which process 0 listens; how many `processes`; the number of this one.

    **Raises:** `TrainingError` where they do not come together.
    """
    if not 0 <= process < processes:
        raise TrainingError(f"process is {process} of {processes}; they are numbered from 0 to {processes - 1}.")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal():
        raise TrainingError(f"coordinator is {coordinator!r}; give the host of process 0 and a free port, HOST:PORT.")
    try:
        jax.distributed.initialize(
            coordinator, processes, process, initialization_timeout=CONNECT_SECONDS,
            heartbeat_timeout_seconds=SILENT_SECONDS,
        )  # fmt: skip
    except Exception as error:
        # XLA tells of a wrong address, a port in use and a late process by several types of its own.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise TrainingError(
            f"process {process} did not meet the other {processes - 1} at {coordinator} within {CONNECT_SECONDS} s: {reason}. "
            "Start all of them with the same address, where process 0 runs, and a free port."
        ) from error


def simulate(count: int, *, exactly: bool = False) -> None:
    """Have a CPU stand for so many devices, or for a few more that they divide; to be called before JAX is used."""
    if jax.config.jax_platforms not in (None, "", "cpu"):  # pyright: ignore[reportAttributeAccessIssue]
        return
    now = jax.config.jax_num_cpu_devices  # pyright: ignore[reportAttributeAccessIssue]
    wanted = count if exactly else -(-max(now, 1) // count) * count
    if wanted != now:
        jax.config.update("jax_num_cpu_devices", wanted)


def devices() -> int:
    """Devices of all processes."""
    return len(jax.devices())


def whole_of_one(data: Transitions) -> Whole:
    """The whole log, where there is one process."""
    return Whole(data.behavior, data.episode, data.behavior_names, (len(data),), bool(data.terminated.any()))


def whole_log(data: Transitions) -> Whole:
    """The whole log, of which each process has a part: behaviors of the same name are one, in order of appearance."""
    if jax.process_count() == 1:
        return whole_of_one(data)
    parts = gather(
        {
            "behavior": data.behavior,
            "episode": np.unique(data.episode, return_inverse=True)[1].astype(np.int32),
            "names": np.frombuffer("\0".join(data.behavior_names).encode("utf-8", "surrogatepass"), np.uint8),
            "widths": np.array([data.obs.shape[1], data.action.shape[1]]),
            "ends": np.array([data.terminated.any()]),
        }
    )
    widths = [tuple(part["widths"].tolist()) for part in parts]
    if len(set(widths)) > 1:
        raise TrainingError(
            f"the processes' parts have obs and actions of widths {', '.join(map(str, widths))}: give all of them files of "
            "the same system."
        )
    names = [part["names"].tobytes().decode("utf-8", "surrogatepass").split("\0") for part in parts]
    union = tuple(dict.fromkeys(name for of_part in names for name in of_part))
    behaviors = [
        np.array([union.index(name) for name in of_part], np.int32)[part["behavior"]]
        for of_part, part in zip(names, parts, strict=True)
    ]
    begins = itertools.accumulate((int(part["episode"].max()) + 1 for part in parts), initial=0)
    episodes = [part["episode"] + begin for part, begin in zip(parts, begins, strict=False)]
    return Whole(
        np.concatenate(behaviors), np.concatenate(episodes).astype(np.int32), union, tuple(map(len, behaviors)),
        any(part["ends"].any() for part in parts),
    )  # fmt: skip


def gather(arrays: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """What each process gave, in their order, to the bit."""
    from jax.experimental import multihost_utils

    content = np.frombuffer(serialize({name: np.require(x, requirements="C") for name, x in arrays.items()}), np.uint8)
    sizes = np.asarray(multihost_utils.process_allgather(np.array(len(content), np.int32))).reshape(-1)
    padded = np.pad(content, (0, int(sizes.max()) - len(content)))
    everyone = np.asarray(multihost_utils.process_allgather(padded))
    return [load(part[:size].tobytes()) for part, size in zip(everyone, sizes, strict=True)]


def of_each(number: int) -> list[int]:
    """The number that each process gives."""
    if jax.process_count() == 1:
        return [number]
    return [part["number"].item() for part in gather({"number": np.array([number])})]


def of_first(arrays: Mapping[str, np.ndarray] | None) -> dict[str, np.ndarray] | None:
    """The arrays that process 0 has, or None where it has none; what the others give is not looked at."""
    if jax.process_count() == 1:
        return None if arrays is None else dict(arrays)
    first, *_ = gather((arrays or {}) if jax.process_index() == 0 else {})
    return first or None


def merged(moments: risk.Moments) -> risk.Moments:
    """The moments of all processes' records."""
    if jax.process_count() == 1:
        return moments
    parts = gather(moments._asdict())
    return reduce(risk.merge, (risk.GroupMoments(**part) for part in parts))


def spread(tree: Any, sharding: Any) -> Any:
    """The arrays on all devices as the sharding says (one, or a tree of them), each process giving the whole of each."""
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def one(x: Any, sharding: Sharding) -> Any:
        if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(one(jax.random.key_data(x), sharding))
        host = np.asarray(x)
        return jax.make_array_from_callback(host.shape, sharding, lambda place: host[place])

    shardings = jax.tree.map(lambda _: sharding, tree) if isinstance(sharding, Sharding) else sharding
    return jax.tree.map(one, tree, shardings)


def spread_parts(tree: Any, shardings: Any) -> Any:
    """As `spread`, where of what is sharded each process gives its part."""
    if jax.process_count() == 1:
        return jax.device_put(tree, shardings)
    return jax.tree.map(lambda x, sharding: jax.make_array_from_process_local_data(sharding, x), tree, shardings)
