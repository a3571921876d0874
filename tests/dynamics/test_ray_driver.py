"""The process that drives a Ray cluster: what is left when it dies, or when Ray forgets a chunk."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.dynamics.conftest import arrays, same_bits
from tests.ray_nodes import Nodes, require_ray
from worldrex.data import Transitions
from worldrex.dynamics import Run, TrainConfig, TrainingError, connected, ray_driver, ray_runs, train, train_on_ray
from worldrex.dynamics.ray_cluster import joined

SHORT = TrainConfig(members=2, elites=1, hidden=(16,), batch=32, warmup_steps=20, steps=80)
RUNS = [Run("variance", weight, True, (), 0) for weight in (1.0, 10.0, 100.0)]
one_by_one = partial(train_on_ray, runs_per_chunk=1)


@pytest.fixture(scope="module")
def expected(log: Transitions) -> list[object]:
    return list(arrays(train(log, RUNS, SHORT)))


def end(how: signal.Signals) -> None:
    """Of the driver, as by a fault of Ray."""
    process = joined().process
    assert process is not None
    process.send_signal(how)
    if how != signal.SIGSTOP:
        process.wait()


def test_a_driver_that_ray_ends_is_one_clear_error_and_the_next_try_goes_on(
    nodes: Nodes, log: Transitions, tmp_path: Path, expected: list[object]
):
    def tick(step: int, total: int) -> None:
        if list(tmp_path.rglob("chunk.json")):
            end(signal.SIGSEGV)

    with connected(nodes.address):
        with pytest.raises(TrainingError, match=r"has ended \(SIGSEGV\).* give the same command to go on"):
            one_by_one(log, RUNS, SHORT, checkpoint=tmp_path, tick=tick)
        said: list[str] = []
        found = one_by_one(log, RUNS, SHORT, checkpoint=tmp_path, say=said.append)
    assert said[0].endswith("of 3 runs were trained by an earlier try and are taken from there")
    assert same_bits(arrays(found), expected)


def test_a_driver_that_dies_when_nothing_is_trained_takes_nothing_with_it(
    nodes: Nodes, log: Transitions, expected: list[object]
):
    """Ray 2.60 may crash when it disconnects."""
    with connected(nodes.address):
        found = train_on_ray(log, RUNS, SHORT)
        end(signal.SIGSEGV)
    assert same_bits(arrays(found), expected)


def test_a_driver_that_hangs_is_left_behind(nodes: Nodes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("worldrex.dynamics.ray_cluster.LEAVE_SECONDS", 0.5)
    with connected(nodes.address):
        process = joined().process
        end(signal.SIGSTOP)
    assert process is not None
    assert process.returncode == -signal.SIGKILL


def test_an_error_of_the_callers_own_ends_the_training(nodes: Nodes, log: Transitions):
    def tick(step: int, total: int) -> None:
        raise ValueError("the caller's")

    with connected(nodes.address):
        process = joined().process
        with pytest.raises(ValueError, match="the caller's"):
            one_by_one(log, RUNS, SHORT, tick=tick)
        assert process is not None
        assert process.poll() is not None


ALONE = """
import sys, time
from worldrex.dynamics import connected
from worldrex.dynamics.ray_cluster import joined
with connected(sys.argv[1]):
    print(joined().process.pid, flush=True)
    time.sleep(600)
"""


def test_a_driver_ends_with_the_process_that_started_it(nodes: Nodes):
    owner = subprocess.Popen(
        [sys.executable, "-c", ALONE, nodes.address], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    with owner:
        assert owner.stdout is not None
        driver = int(owner.stdout.readline())
        owner.kill()
    until = time.monotonic() + 60
    with suppress(ProcessLookupError):
        while time.monotonic() < until:
            os.kill(driver, 0)
            time.sleep(0.1)
        pytest.fail("the driver outlived its owner by a minute")


def test_a_port_that_is_no_cluster(monkeypatch: pytest.MonkeyPatch):
    """It is told as such, and the driver, which is still knocking there, is not left behind."""
    require_ray()
    monkeypatch.setattr("worldrex.dynamics.ray_cluster.JOIN_SECONDS", 8)
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *words, **more: started.append(popen(*words, **more)) or started[-1]
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        before = time.monotonic()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(
                TrainingError, match=r"listens at '.*Ray cannot join it \(nothing came of it in 8 s\).*token"
            ),
            connected(address),
        ):
            pass
    assert time.monotonic() - before < 8 + 15
    assert started[0].returncode == 0


@pytest.mark.parametrize("owner_stays", [True, False])
def test_the_first_job_is_not_taken_for_the_owners_end(owner_stays: bool, monkeypatch: pytest.MonkeyPatch):
    """The cluster is joined, and a job comes, between the watch's two looks."""
    joined, left = threading.Event(), []

    class Connection:
        def poll(self) -> bool:
            if owner_stays or left:
                joined.set()
            return True

    monkeypatch.setattr(os, "_exit", left.append)
    ray_driver._leave_with_the_owner(Connection(), joined)  # pyright: ignore[reportArgumentType]
    assert bool(left) != owner_stays


def test_outside_of_a_cluster_nothing_is_trained(log: Transitions):
    with pytest.raises(
        TrainingError, match=r"no Ray cluster is joined: train within `with worldrex.dynamics.connected"
    ):
        one_by_one(log, RUNS, SHORT)


SEAT = """
import sys
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
class Seat:
    def taken(self):
        return True
here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
seat = ray.remote(num_cpus=1, scheduling_strategy=here)(Seat).remote()
print(ray.get(seat.taken.remote()), flush=True)
sys.stdin.read()
"""


def test_a_chunk_that_no_worker_takes_is_given_to_another_node(
    nodes: Nodes, log: Transitions, expected: list[object], monkeypatch: pytest.MonkeyPatch
):
    """The first node is busy, so the second is asked for a worker. It never answers, and Ray waits for it."""
    monkeypatch.setattr(ray_runs, "PATIENCE_SECONDS", 2.0)
    said: list[str] = []
    ticks: list[int] = []
    with subprocess.Popen(
        [sys.executable, "-c", SEAT, nodes.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as seat:
        assert seat.stdin is not None
        assert seat.stdout is not None
        assert seat.stdout.readline() == "True\n"

        def tick(step: int, total: int) -> None:
            ticks.append(step)
            if len(ticks) == 5:
                assert seat.stdin is not None
                seat.stdin.close()

        os.kill(nodes.second, signal.SIGSTOP)
        try:
            with connected(nodes.address):
                found = train_on_ray(log, RUNS, SHORT, say=said.append, tick=tick)
        finally:
            os.kill(nodes.second, signal.SIGCONT)
    assert any(line.startswith("no worker took 1 chunk for 2 s though one is free") for line in said), said
    assert not any("lost" in line for line in said)
    assert ticks[-1] == 100
    assert same_bits(arrays(found), expected)
