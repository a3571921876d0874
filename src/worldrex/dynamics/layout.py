"""Where everything of a sweep lies: the log's tables, each network's assignment, and the devices that hold them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jaxtyping import Array, Bool, Int, Int32

from worldrex.data import Transitions, holdout
from worldrex.dynamics.normalizer import fit_normalizer
from worldrex.dynamics.programs import NETWORK_AXIS, Holdout
from worldrex.dynamics.samplers import sampler_of
from worldrex.dynamics.settings import Run, TrainConfig, TrainedPenalty, TrainingError
from worldrex.dynamics.training import RECORD_AXIS, Assignment, Tables


def mesh_of(devices_per_batch: int) -> Mesh:
    """All devices: along one axis the networks are dealt out, along the other the records of a batch.

    **Raises:** `TrainingError` where the devices do not come out even.
    """
    devices = np.array(jax.devices())
    if devices.size % devices_per_batch:
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
    return jax.device_put((jnp.asarray(order), jnp.asarray(of_device.sum(1).astype(np.int32))), place)


def tables_of(
    data: Transitions, folds: Sequence[int | None], config: TrainConfig, shards: int = 1
) -> tuple[Tables, Holdout]:
    """The log as training takes it, and the held-out rows of each fold.

    **Raises:** `TrainingError` for changes beyond float32, or for a fold without records.
    """
    inputs = np.concatenate([data.obs, data.action], 1)
    with np.errstate(over="ignore"):
        outputs = np.concatenate([data.next_obs - data.obs, data.reward[:, None]], 1)
    if not np.isfinite(outputs).all():
        raise TrainingError(
            f"next_obs - obs is not finite in float32, first at row {int(np.argmin(np.isfinite(outputs).all(1)))}. Look for "
            "huge values with `worldrex describe`, or change the unit."
        )
    train_rows, holdout_rows = holdout(data, config.holdout, seed=config.seed)

    def rows_of(rows: np.ndarray, fold: int | None) -> np.ndarray:
        kept = rows if fold is None else rows[data.behavior[rows] != fold]
        if not len(kept):
            raise TrainingError(f"no records are left when {data.behavior_names[fold or 0]!r} is left out")
        return kept

    kept = [rows_of(train_rows, fold) for fold in folds]
    held = [rows_of(holdout_rows, fold) for fold in folds]
    normalizers = [fit_normalizer(inputs[rows], outputs[rows]) for rows in kept]
    learned = config.termination == "learned" and bool(data.terminated.any())
    short = -len(data) % shards  # rows that nobody draws, so that the shards are alike

    def column(x: np.ndarray) -> Array:
        return jnp.asarray(np.pad(x, ((0, short), *[(0, 0)] * (x.ndim - 1))) if short else x)

    tables = Tables(
        inputs=column(inputs),
        outputs=column(outputs),
        terminated=column(data.terminated) if learned else None,
        behavior=column(data.behavior),
        sampler=sampler_of(kept, data.behavior, data.num_behaviors, config.sampler, config.behavior_weights or ()),
        normalizer=jax.tree.map(lambda *x: jnp.stack(x), *normalizers),
        baseline=jnp.asarray(config.baselines or np.zeros(data.num_behaviors), jnp.float32),
    )
    return tables, Holdout(_padded(held), jnp.array([len(rows) for rows in held], jnp.int32))


def _padded(rows: Sequence[np.ndarray]) -> Int32[Array, "fold row"]:
    out = np.zeros((len(rows), max(len(r) for r in rows)), np.int32)
    for i, r in enumerate(rows):
        out[i, : len(r)] = r
    return jnp.asarray(out)


def assignments_of(
    runs: Sequence[Run], folds: Sequence[int | None], penalties: Sequence[tuple[TrainedPenalty, bool]],
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
