"""A comparison on a local Ray cluster of two nodes, which loses a worker and then a node, against the same on one machine."""

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.dynamics.conftest import arrays, same_bits
from tests.ray_nodes import Nodes
from worldrex.data import DataError, Transitions, read_mapped, write_mapped
from worldrex.dynamics import Progress, Run, TrainConfig, TrainingError, connected, train, train_on_ray
from worldrex.evaluation import CrossvalConfig, CrossvalTable, crossval

if TYPE_CHECKING:
    from tests.program import Program, Words

TINY = CrossvalConfig(weights=(10.0,), seeds=1, hidden=(16,), batch=32, warmup_steps=200, steps=1800, seed=5)
RUNS = 8  # four folds, two weights


class Done(NamedTuple):
    """What a comparison leaves."""

    table: CrossvalTable
    reports: list[tuple[Progress, list[Run]]]
    ticks: list[tuple[int, int]]
    said: list[str]


class Kept(NamedTuple):
    """A comparison that lost a worker and a node, and where it kept its chunks."""

    done: Done
    folder: Path


@pytest.fixture(scope="module")
def alone(log: Transitions) -> Done:
    """The comparison on one machine, as one program."""
    reports, ticks = [], []
    table = crossval(log, TINY, report=lambda *told: reports.append(told), tick=lambda *done: ticks.append(done))
    return Done(table, reports, ticks, [])


@pytest.fixture(scope="module")
def scattered(nodes: Nodes, log: Transitions, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """The same on two nodes, of which one loses its worker and one dies, each in the middle of a chunk."""
    folder = tmp_path_factory.mktemp("scattered") / "chunks"
    reports, ticks, said = [], [], []
    dead: list[str] = []

    def tick(step: int, total: int) -> None:
        ticks.append((step, total))
        if not dead and step and nodes.kill_worker():
            dead.append("worker")
        elif dead == ["worker"] and any("its worker died" in line for line in said):
            dead.append("node")
            nodes.kill_node()

    with connected(nodes.address):
        table = crossval(
            log, TINY, report=lambda *told: reports.append(told), tick=tick, say=said.append, checkpoint=folder,
            trainer=partial(train_on_ray, runs_per_chunk=1),
        )  # fmt: skip
    assert dead == ["worker", "node"]
    return Kept(Done(table, reports, ticks, said), folder)


def same_table(one: CrossvalTable, other: CrossvalTable) -> bool:
    return replace(one, compile_seconds=0.0) == replace(other, compile_seconds=0.0)


def test_the_table_is_that_of_one_machine_whoever_dies(alone: Done, scattered: Kept):
    assert same_table(alone.table, scattered.done.table)


def test_a_person_is_told_who_died(scattered: Kept):
    said = scattered.done.said
    assert said[0] == f"{RUNS} chunks of up to 1 run for 2 nodes of the Ray cluster"
    assert any(line.endswith("was lost (its worker died) and is trained again") for line in said)
    assert "1 node now, before 2" in said


def test_metrics_and_progress_are_told_as_on_one_machine(alone: Done, scattered: Kept):
    assert same_bits([progress for progress, _ in alone.reports], [progress for progress, _ in scattered.done.reports])
    assert [runs for _, runs in alone.reports] == [runs for _, runs in scattered.done.reports]
    assert scattered.done.ticks[-1] == alone.ticks[-1] == (2000, 2000)


def test_a_second_try_trains_nothing_again(scattered: Kept, log: Transitions):
    """No cluster is joined: asking for a worker would fail."""
    said: list[str] = []
    table = crossval(log, TINY, say=said.append, checkpoint=scattered.folder, trainer=train_on_ray)
    assert said == [f"{RUNS} of {RUNS} runs were trained by an earlier try and are taken from there"]
    assert same_table(table, scattered.done.table)


def test_an_error_on_a_worker_is_the_users_own(nodes: Nodes, log: Transitions):
    with (
        connected(nodes.address),
        pytest.raises(TrainingError, match=r"^no records are left when 'operator 0', 'operator"),
    ):
        train_on_ray(log, [Run(left_out=(0, 1, 2, 3))], TrainConfig())


class Odd(Exception):
    """One that cannot be sent: made again, it would lack an argument."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(what)


def _raise_odd() -> Transitions:
    raise Odd("away", 1)


def test_a_log_on_disk_is_opened_on_each_node(nodes: Nodes, log: Transitions, tmp_path: Path):
    write_mapped([log], tmp_path / "log")
    write_mapped([log.rows(log.episode > 0)], tmp_path / "other")
    data = read_mapped(tmp_path / "log")
    config = TrainConfig(members=1, elites=1, hidden=(16,), batch=32, warmup_steps=20, steps=80)
    runs = [Run("variance", 10.0, True, (1,), 3)]
    with pytest.raises(TrainingError, match="the log lies on disk: give `source`"):
        train_on_ray(data, runs, config)
    with connected(nodes.address):
        for name, message in (
            ("nowhere", "on node .*nowhere.* Each node needs the log under the same path"),
            ("other", "on node .* the log is another one"),
        ):
            with pytest.raises(DataError, match=message):
                train_on_ray(data, runs, config, source=partial(read_mapped, tmp_path / name))
        with pytest.raises(TrainingError, match=r"on node .* `source` raised Odd: away"):
            train_on_ray(data, runs, config, source=_raise_odd)
        # A function that has no name to be found by, too.
        found = train_on_ray(data, runs, config, source=lambda: read_mapped(tmp_path / "log"))
    assert same_bits(arrays(found), arrays(train(data, runs, config)))


_TRAINING = ("--members 1", "--elites 1", "--hidden 8", "--batch 32", "--warmup-steps 20", "--steps 200")
FLAGS = " ".join((*_TRAINING, "--weights 10", "--seeds 1")).split()


def test_ctrl_c_keeps_the_finished_chunks(nodes: Nodes, program: "Program", logs: dict[str, Path], tmp_path: Path):
    words = [
        "crossval",
        logs["logged"],
        *FLAGS,
        "--ray",
        nodes.address,
        "--runs-per-chunk",
        "1",
        "--out",
        tmp_path / "out",
    ]
    process = program.start(*words)
    while not list(tmp_path.rglob("chunk.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (130, False), err
    assert "takes the chunks that are finished from there, and trains the others" in err
    code, out, err = program(*words)
    assert (code, err) == (0, ""), err
    assert "of 8 runs were trained by an earlier try" in out
    assert not list(tmp_path.rglob("chunk.json"))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at '127.0.0.1:1' (*refused). Start one with `ray start --head`"),
        ("ray://127.0.0.1:1", "--ray 'ray://127.0.0.1:1' is no address; give HOST:PORT"),
        ("auto", "no Ray cluster answers at '127.0.0.1:2' (*refused)"),
        ("nowhere", "--ray 'nowhere' is no address; give HOST:PORT"),
    ],
)
def test_an_address_that_does_not_answer(
    call: "Callable[..., Words]",
    logs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    message: str,
):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'worldrex[ray]'")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:2")  # "auto": whatever else runs on this machine
    code, out, err = call("crossval", logs["logged"], *FLAGS, "--ray", address, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    before, _, after = message.partition("*")
    assert before in err
    assert after in err
    assert not (tmp_path / "out").exists()


def test_ray_that_is_not_installed(
    call: "Callable[..., Words]", logs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, out, err = call("crossval", logs["logged"], *FLAGS, "--ray", "auto", "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert "--ray needs Ray" in err
    assert "pip install 'worldrex[ray]'" in err
    assert not (tmp_path / "out").exists()
