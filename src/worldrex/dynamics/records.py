"""Where training takes a log's records from: all of them in memory, or those of the next steps, read from disk."""

from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Int, Int32

from worldrex.data import Transitions, aligned, aligned_room, release
from worldrex.dynamics.features import rows_of_past
from worldrex.dynamics.processes import spread, spread_parts
from worldrex.dynamics.programs import Holdout, tables_spec
from worldrex.dynamics.samplers import Sampler, draw_rows
from worldrex.dynamics.settings import TrainConfig
from worldrex.dynamics.tables import COLUMNS, Tables
from worldrex.dynamics.training import Assignment

STRETCH = 100
"""Steps between two looks at how the training goes."""
WINDOW_BYTES = 2**28
ROWS_AT_ONCE = 4096  # a row looked at alone maps 64 KiB of its file: bounds the memory
NO_ROW = np.iinfo(np.int32).max


class Records(Protocol):
    """The tables of a sweep, where the programs want them."""

    trained: Tables
    """Like those of every step; on disk, their shapes."""
    judged: Tables
    """Those that hold the held-out records."""
    steps: int
    """From one multiple of so many steps to the next the tables stay the same."""

    def of(self, step: int) -> Tables:
        """The tables that hold the records of this step."""
        ...


class InMemory:
    """The whole log, once and for all."""

    def __init__(self, host: Tables, mesh: Mesh, shards: int, total: int) -> None:
        spec = jax.tree.map(lambda s: NamedSharding(mesh, s), tables_spec(host, shards))
        self.trained = self.judged = spread_parts(
            host._replace(**{name: aligned(x) for name in COLUMNS if (x := getattr(host, name)) is not None}), spec
        )
        self.steps = total

    def of(self, step: int) -> Tables:
        """All of it, whatever the step."""
        del step
        return self.trained


class OnDisk:
    """Of a log on disk, the records of many steps at a time, read while those before them are trained on.

    Which records a step takes depends on keys and the step only, so they are known in advance. Those of a window of steps,
    sorted, are one pass over the file and not a search of the disk for each. The batches are those of a log in memory, to
    the bit.
    """

    def __init__(
        self, data: Transitions, host: Tables, held: Holdout, assignments: Assignment, config: TrainConfig, mesh: Mesh
    ) -> None:
        self._data, self._host = data, host
        self._history, self._total = config.features.history, config.warmup_steps + config.steps
        self._everywhere = NamedSharding(mesh, P())
        self._columns = {name: x for name in COLUMNS if (x := getattr(host, name)) is not None}
        self._common: Tables = spread(host._replace(**dict.fromkeys(COLUMNS)), self._everywhere)
        taken = assignments.fold.shape[0] * config.batch * self._history
        most = WINDOW_BYTES // (taken * (4 + sum(x[:1].nbytes for x in self._columns.values())))
        self.steps = min(max(most // STRETCH * STRETCH or most, 1), self._total)
        self._room = taken * self.steps
        shapes = {name: ((self._room, *x.shape[1:]), x.dtype) for name, x in self._columns.items()}
        self.trained = self._common._replace(
            rows=self._shape((self._room,), np.int32), **{name: self._shape(*shape) for name, shape in shapes.items()}
        )
        of_folds = [rows.reshape(-1)[:number] for rows, number in zip(held.rows, held.number, strict=True)]
        self.judged = self._tables(np.concatenate(of_folds))
        self._draw = partial(
            jax.jit(partial(_drawn, config=config, steps=self.steps)), self._common.sampler, assignments
        )
        self._window, self._now = -1, self.judged
        self._next = 0, self._begin(0)

    def of(self, step: int) -> Tables:
        """The tables of this step's window; the reading of the next one is begun."""
        window = step // self.steps
        if window != self._window:
            if self._next[0] != window:  # a training that goes on from a checkpoint
                self._next = window, self._begin(window)
            self._now = self.judged  # so that the last window's memory is free before that of the next but one is taken
            self._window, self._now = window, self._next[1].result()
            if (window + 1) * self.steps < self._total:
                self._next = window + 1, self._begin(window + 1)
        return self._now

    def _begin(self, window: int) -> "Future[Tables]":
        """Read a window on a thread that an interrupted program does not wait for."""
        first = window * self.steps
        drawn = self._draw(np.int32(first))
        future: Future[Tables] = Future()

        def read() -> None:
            try:
                rows = np.asarray(drawn)[:, : self._total - first].reshape(-1)
                future.set_result(self._tables(rows, self._room))
            except BaseException as error:  # it is raised where the result is asked for
                future.set_exception(error)

        Thread(target=read, name="records", daemon=True).start()
        return future

    def _tables(self, rows: Int[np.ndarray, " row"], room: int | None = None) -> Tables:
        """The records at these rows, in any order and repeated or not, in tables with room for so many."""
        if self._host.first is not None:
            rows = rows_of_past(rows, self._host.first[rows], self._history).reshape(-1)
        rows = np.sort(rows)
        rows = rows[np.append(True, rows[1:] != rows[:-1])]
        room = len(rows) if room is None else room
        found = {name: aligned_room((room, *x.shape[1:]), x.dtype) for name, x in self._columns.items()}
        for start in range(0, len(rows), ROWS_AT_ONCE):
            block = rows[start : start + ROWS_AT_ONCE]
            for name, x in self._columns.items():
                found[name][start : start + len(block)] = x[block]
            release(self._data)
        found["rows"] = aligned_room((room,), np.int32)
        found["rows"][: len(rows)], found["rows"][len(rows) :] = rows, NO_ROW
        return self._common._replace(**spread(found, self._everywhere))

    def _shape(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return jax.ShapeDtypeStruct(shape, dtype, sharding=self._everywhere)


def _drawn(
    sampler: Sampler, assignments: Assignment, first: Int[Array, ""], *, config: TrainConfig, steps: int
) -> Int32[Array, "network step batch"]:
    """The rows that each network draws in the steps from the `first`."""

    def one(assignment: Assignment, number: Array) -> Array:
        return draw_rows(
            sampler, assignment.fold, number, config.batch, config.sampler,
            key=assignment.key, bootstrap=config.bootstrap,
        )  # fmt: skip

    numbers = first + jnp.arange(steps, dtype=jnp.int32)
    return jax.vmap(lambda assignment: jax.vmap(partial(one, assignment))(numbers))(assignments)
