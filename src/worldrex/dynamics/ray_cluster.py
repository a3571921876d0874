"""The door to a Ray cluster. Ray is imported here only, and only when it is asked for."""

import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from worldrex.dynamics.errors import TrainingError

ANSWER_SECONDS = 10


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Within the block, drive the Ray cluster at `address`; one that this process has joined already is taken as it is.

    **Arguments:** `address`: "HOST:PORT" of a cluster's head; "auto", the cluster of this machine, or that RAY_ADDRESS
    names; "local", one that is started here, has all cores and ends with the block.

    **Raises:** `TrainingError` where Ray is missing, or nothing answers.
    """
    api = ray()
    if api.is_initialized():
        yield
        return
    if address == "auto":
        address = _of_this_machine()
    _require_answer(address)
    own = {"include_dashboard": False} if address == "local" else {}
    with _hushed():
        try:
            with warnings.catch_warnings():
                # Ray tells its developers what will change; JAX warns of a fork, but the new process is another program at once.
                warnings.simplefilter("ignore")
                api.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise _unanswered(address, reason) from error
        try:
            yield
        finally:
            api.shutdown()


def ray() -> Any:
    """The module. **Raises:** `TrainingError` where it is not installed."""
    try:
        return import_module("ray")
    except ImportError as error:
        raise TrainingError(
            f"--ray needs Ray, which is not installed ({error}): pip install 'worldrex[ray]'"
        ) from error


def on_this_node() -> Any:
    """Has an actor run on the driver's node, which lives as long as the driver does."""
    strategies = import_module("ray.util.scheduling_strategies")
    return strategies.NodeAffinitySchedulingStrategy(ray().get_runtime_context().get_node_id(), soft=True)


def _of_this_machine() -> str:
    """What "auto" stands for. Ray takes the word, too, and then waits for minutes for a cluster that has gone."""
    services = import_module("ray._private.services")
    if not hasattr(services, "get_ray_address_from_environment"):
        return "auto"
    try:
        return services.get_ray_address_from_environment("auto", None)
    except ConnectionError as error:
        raise _unanswered("auto", "none runs on this machine, and RAY_ADDRESS names none") from error


def _require_answer(address: str) -> None:
    """Raise `TrainingError` unless somebody listens there: Ray itself would try for minutes."""
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise TrainingError(
            f"--ray {address!r} is no address; give HOST:PORT of the cluster's head (as `ray start --head` tells it), 'auto' for "
            "the cluster of this machine, or 'local' to start one here. (Ray Client, ray://, is not used: start worldrex on a "
            "machine of the cluster.)"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unanswered(address, str(error)) from error


def _unanswered(address: str, reason: str) -> TrainingError:
    return TrainingError(
        f"no Ray cluster answers at {address!r} ({reason.rstrip('.')}). Start one with `ray start --head` and give the "
        "HOST:PORT that it tells, or start one on this machine alone with --ray local."
    )


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep the log of a node that died off stdout, where --json has the summary: Ray prints it there, with no way to say no."""
    worker = import_module("ray._private.worker")
    before = getattr(worker, "print_to_stdstream", None)
    if before is None:
        yield
        return
    vars(worker)["print_to_stdstream"] = lambda *_, **__: None
    try:
        yield
    finally:
        vars(worker)["print_to_stdstream"] = before
