"""Where everything of a sweep lies: the log's tables, each network's assignment, and the devices that hold them."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jaxtyping import Array, Bool, Int, Int32

from worldrex.data import Labels, Spans, Transitions, holdout_spans
from worldrex.dynamics.errors import TrainingError
from worldrex.dynamics.features import first_of_episode
from worldrex.dynamics.normalizer import ROWS_AT_ONCE, fit_normalizer, moments_of_behaviors
from worldrex.dynamics.processes import Whole, spread, whole_of_one
from worldrex.dynamics.programs import NETWORK_AXIS, Holdout
from worldrex.dynamics.samplers import sampler_of
from worldrex.dynamics.settings import Run, TrainConfig, TrainedPenalty
from worldrex.dynamics.tables import RECORD_AXIS, Tables
from worldrex.dynamics.training import Assignment

MOST_JUDGED = 2**17
BLOCK = 4096  # held-out records judged at once: bounds the memory


def mesh_of(devices_per_batch: int) -> Mesh:
    """All devices: along one axis the networks are dealt out, along the other the records of a batch.

    **Raises:** `TrainingError` where the devices do not come out even.
    """
    devices = np.array(sorted(jax.devices(), key=lambda device: (device.process_index, device.id)))
    if jax.process_count() > 1 and devices_per_batch != devices.size:
        raise TrainingError(
            f"{jax.process_count()} processes have {devices.size} devices, each with its part of the log; share each batch "
            f"among all of them (devices is {devices_per_batch})."
        )
    if devices_per_batch < 1 or devices.size % devices_per_batch:
        raise TrainingError(
            f"{devices.size} devices cannot be shared out {devices_per_batch} to a batch; choose a number that divides them."
        )
    return Mesh(
        devices.reshape(-1, devices_per_batch), (NETWORK_AXIS, RECORD_AXIS), axis_types=(AxisType.Auto, AxisType.Auto)
    )


def slots_of(count: int, devices: int) -> Int[np.ndarray, " network"]:
    """The slot of each network: dealt out to the devices in turn, so that networks which stop early stop everywhere."""
    number = np.arange(count)
    return number % devices * (count // devices) + number // devices


def line_up(active: Bool[np.ndarray, " slot"], mesh: Mesh, place: NamedSharding) -> tuple[Array, Array]:
    """On each device, its own networks' places with the active ones first, and how many these are."""
    of_device = active.reshape(mesh.shape[NETWORK_AXIS], -1)
    order = np.argsort(~of_device, axis=1, kind="stable").astype(np.int32).reshape(-1)
    return spread((order, of_device.sum(1).astype(np.int32)), place)


def tables_of(
    data: Transitions,
    folds: Sequence[tuple[int, ...]],
    config: TrainConfig,
    shards: int = 1,
    *,
    whole: Whole | None = None,
) -> tuple[Tables, Holdout]:
    """The log as training takes it, still on the host, and the held-out rows of each fold.

    **Arguments:** this process's part of the log, `data`; `whole` is what it knows of the others', if there are any.

    **Raises:** `TrainingError` for changes beyond float32, or for a fold without records.
    """
    whole = whole or whole_of_one(data)
    _require_finite_changes(data)
    train, held_out = spans_of(whole, config)

    def but_of(spans: Spans, fold: tuple[int, ...]) -> Spans:
        kept = spans.where(~np.isin(spans.behavior, fold)) if fold else spans
        if not len(kept):
            raise TrainingError(
                "the log is too short to hold any records out: log two episodes or more."
                if not fold
                else f"no records are left when {', '.join(repr(whole.behavior_names[b]) for b in fold)} is left out"
            )
        return kept

    kept = [but_of(train, fold) for fold in folds]
    held = [_judged(but_of(held_out, fold)) for fold in folds]
    learned = config.termination == "learned" and whole.ends
    length = whole.rows_of_each(shards)
    of_behavior = moments_of_behaviors(data, whole, train, config.features)
    normalizers = [fit_normalizer(of_behavior, leaving_out=fold) for fold in folds]
    own = whole.own

    def column(x: np.ndarray) -> np.ndarray:
        # Filled up with rows that nobody draws, so that the shards are alike.
        return np.pad(x, ((0, length - len(x)), *[(0, 0)] * (x.ndim - 1))) if length > len(x) else x

    first = first_of_episode(data.episode) if config.features.history > 1 else None
    tables = Tables(
        obs=column(data.obs),
        action=column(data.action),
        next_obs=column(data.next_obs),
        reward=column(data.reward),
        terminated=column(data.terminated) if learned else None,
        behavior=column(whole.behavior[own]),
        first=None if first is None else column(whole.place(first + own.start, shards).astype(np.int32)),
        sampler=sampler_of(
            kept,
            whole.num_behaviors,
            config.sampler,
            config.behavior_weights or (),
            partial(whole.place, shards=shards),
        ),
        normalizer=jax.tree.map(lambda *x: np.stack(x), *normalizers),
        baseline=np.asarray(config.baselines or np.zeros(whole.num_behaviors), np.float32),
    )
    return tables, Holdout(
        _blocks([whole.place(rows, shards) for rows in held]), np.array([len(rows) for rows in held], np.int32)
    )


def spans_of(labels: Labels, config: TrainConfig) -> tuple[Spans, Spans]:
    """The rows of a log to train on, and those held out."""
    behaviors = [labels.behavior_names.index(name) for name in config.held_out_behaviors or ()]
    return holdout_spans(labels, config.holdout, seed=config.seed, behaviors=behaviors)


def split_of(labels: Labels, config: TrainConfig) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " holdout"]]:
    """As `spans_of`, as row numbers."""
    train, held_out = spans_of(labels, config)
    return train.rows(), held_out.rows()


def _judged(held_out: Spans) -> Int[np.ndarray, " row"]:
    """The held-out rows that evaluations judge by: all, or of very many as many as tell enough, evenly chosen."""
    count = len(held_out)
    return held_out.at(np.arange(min(count, MOST_JUDGED)) * count // min(count, MOST_JUDGED))


def _require_finite_changes(data: Transitions) -> None:
    for start in range(0, len(data), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        # A log on disk was checked before it was written, and its disk may have changed it since.
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.isfinite(data.next_obs[rows] - data.obs[rows]).all(1)
        finite &= np.isfinite(data.action[rows]).all(1) & np.isfinite(data.reward[rows])
        if not finite.all():
            raise TrainingError(
                "next_obs - obs, action or reward is not finite in float32, first at row "
                f"{start + int(np.argmin(finite))}. Look for huge values with `worldrex describe`, or change the unit."
            )


def _blocks(rows: Sequence[np.ndarray]) -> Int32[np.ndarray, "fold block row"]:
    longest = max(map(len, rows))
    block = min(longest, BLOCK)
    out = np.zeros((len(rows), -(-longest // block) * block), np.int32)
    for fold, own in enumerate(rows):
        out[fold, : len(own)] = own
    return out.reshape(len(rows), -1, block)


def assignments_of(
    runs: Sequence[Run], folds: Sequence[tuple[int, ...]], penalties: Sequence[tuple[TrainedPenalty, bool]],
    config: TrainConfig, num_devices: int,
) -> Assignment:  # fmt: skip
    """Each network's, in the order of their slots."""
    keys = [jax.random.key(run.seed) for run in runs]
    of_network = [(r, m) for r in range(len(runs)) for m in range(config.members)]
    # Every device gets as many: the last one is trained more than once where that does not come out even.
    of_network += of_network[-1:] * (-len(of_network) % num_devices)
    slots = slots_of(len(of_network), num_devices)
    of_slot = [of_network[number] for number in np.argsort(slots)]
    rates = [config.learning_rate if run.learning_rate is None else run.learning_rate for run in runs]
    return Assignment(
        key=jnp.stack([jax.random.fold_in(keys[r], m) for r, m in of_slot]),
        fold=jnp.array([folds.index(runs[r].left_out) for r, _ in of_slot], jnp.int32),
        penalty=jnp.array([penalties.index((runs[r].penalty, runs[r].debiased)) for r, _ in of_slot], jnp.int32),
        weight=jnp.array([runs[r].weight for r, _ in of_slot], jnp.float32),
        learning_rate=jnp.array([rates[r] for r, _ in of_slot], jnp.float32),
    )
