"""Damaged and hostile logs for every reader: each is a valid log, one clear error, or a finding to mend.

    .venv/bin/python benchmarks/fuzz_readers.py [--kinds csv npz] [--inputs 100000] [--engine random] [--seed 0]

An input is what `tests/data/readers/damage` makes of a seed: bytes that `random` or `hypothesis` draw, or that `atheris`
finds by the branches of worldrex.data that they reach (pip install atheris). Each is written to a folder in memory and read
by `worldrex.load` in a child process. Findings: any other exception than DataError, a warning, anything on stderr, a message
that is no plain text of bounded length, a log accepted that is none; and, seen from outside, a crash of the interpreter, an
input that takes longer than --seconds, more than 1 GB of memory. They are printed with their seeds, and the run goes on.
Prints Markdown. "Memory" is the most that a child held beyond what it held before its first input.
"""

import argparse
import json
import mmap
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the tests' own makers of logs

MEMORY = 10**9
LONGEST = 2**16  # bytes of a seed
FIELDS = struct.Struct("<6QI")  # inputs begun, ended, accepted, refused, findings, most memory; length of the seed
OFFERED = [
    "mapped",
    "parquet",
    "parquet-folder",
    "npz",
    "npy",
    "hdf5",
    "minari",
    "lerobot",
    "lerobot-episodes",
    "csv",
    "behaviors",
    "mapping",
    "pandas",
    "polars",
]
POLL = 0.25


class Counts(NamedTuple):
    """What a child has done so far."""

    begun: int = 0
    ended: int = 0
    accepted: int = 0
    refused: int = 0
    findings: int = 0
    memory: int = 0


class Board:
    """What the child writes and the parent reads, also after the child has crashed: its counts, and the seed at hand."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(FIELDS.size + LONGEST))
        with open(path, "r+b") as file:
            self._room = mmap.mmap(file.fileno(), 0)

    def read(self) -> tuple[Counts, bytes]:
        *numbers, length = FIELDS.unpack_from(self._room)
        return Counts(*numbers), self._room[FIELDS.size : FIELDS.size + length]

    def write(self, counts: Counts, seed: bytes) -> None:
        self._room[FIELDS.size : FIELDS.size + len(seed)] = seed
        FIELDS.pack_into(self._room, 0, *counts, len(seed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=OFFERED, default=OFFERED)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--engine", choices=("random", "hypothesis", "atheris"), default="random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10, help="that one input may take")
    parser.add_argument(
        "--budget", type=float, default=float("inf"), help="seconds for one kind, its inputs done or not"
    )
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        run_inputs(arguments.kinds[0], arguments.engine, arguments.inputs, arguments.seed, arguments.child)
        return
    print(
        "| kind | engine | inputs | accepted | refused | findings | inputs/s | memory |\n|---|---|---|---|---|---|---|---|"
    )
    found: list[tuple[str, Counter[str], dict[str, str]]] = []
    for kind in arguments.kinds:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
            started = time.perf_counter()
            counts = watch(kind, arguments, Path(folder))
            seconds = time.perf_counter() - started
            found.append((kind, *findings_in(Path(folder) / "findings")))
        print(
            f"| {kind} | {arguments.engine} | {counts.ended:,} | {counts.accepted:,} | {counts.refused:,} | {counts.findings:,} "
            f"| {counts.ended / seconds:,.0f} | {counts.memory / 1e6:,.0f} MB |",
            flush=True,
        )
    for kind, times, seeds in found:
        for detail, count in times.most_common():
            print(f"\n{kind}, {count} times: {detail}\n    {seeds[detail]}")


def watch(kind: str, arguments: argparse.Namespace, folder: Path) -> Counts:
    """Start children until all inputs are done; what a child cannot note itself is noted here."""
    board = Board(folder / "board")
    command = [sys.executable, __file__, "--kinds", kind, "--engine", arguments.engine, "--seed", str(arguments.seed)]
    command += ["--inputs", str(arguments.inputs), "--child", str(folder)]
    end = time.monotonic() + arguments.budget
    while (counts := board.read()[0]).ended < arguments.inputs and time.monotonic() < end:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
        last, since, why = -1, time.monotonic(), ""
        while child.poll() is None:
            time.sleep(POLL)
            counts, _ = board.read()
            if counts.begun != last or counts.begun == counts.ended:
                last, since = counts.begun, time.monotonic()
            elif time.monotonic() - since > arguments.seconds:
                why = f"hang: more than {arguments.seconds:g} s"
            if resident(child.pid) > 4 * MEMORY:
                why = f"memory: {resident(child.pid) / 1e6:,.0f} MB"
            if why or time.monotonic() > end:
                child.kill()
                child.wait()
        before, counts, seed = counts.ended, *board.read()
        if counts.begun > counts.ended and not why and time.monotonic() > end:
            break  # its time was over, not the input's
        if counts.begun > counts.ended:
            said = (folder / "stderr").read_bytes()[-300:]
            note(folder, why or f"crash: exit status {child.returncode}, {said!r}", seed)
            board.write(counts._replace(ended=counts.begun, findings=counts.findings + 1), b"")
        elif counts.ended == before and time.monotonic() < end and child.returncode and counts.ended < arguments.inputs:
            raise SystemExit(f"the child for {kind} ends with {child.returncode} before its next input")
    return counts


def run_inputs(kind: str, engine: str, inputs: int, seed: int, folder: Path) -> None:
    """The child: read inputs until their number is reached, or one took too much memory."""
    resource.setrlimit(resource.RLIMIT_DATA, (8 * MEMORY, 8 * MEMORY))  # for the machine's sake; the parent is earlier
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    errors = os.open(folder / "stderr", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.dup2(errors, 2)
    atheris: Any = None
    if engine == "atheris":
        try:
            atheris = import_module("atheris")  # which no extra of this project has
        except ImportError as error:
            raise SystemExit("this engine needs atheris: pip install atheris") from error
        with atheris.instrument_imports(include=["worldrex.data"]):
            import worldrex.data.readers.hdf5
            import worldrex.data.readers.lerobot
            import worldrex.data.readers.minari  # noqa: F401
    import pyarrow
    from tests.data.readers.damage import IN_MEMORY, sound
    from tests.data.readers.damage.judge import judge

    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    board = Board(folder / "board")
    place = folder / "log"
    judge(kind, bytes(16), empty(place))  # imports and first calls
    held = peak()

    def one(drawn: bytes) -> None:
        drawn = drawn[:LONGEST]
        counts, _ = board.read()
        if counts.ended >= inputs:
            os._exit(0)
        board.write(counts := counts._replace(begun=counts.ended + 1), drawn)
        printed = os.fstat(errors).st_size
        outcome = judge(kind, drawn, empty(place))
        word, detail, memory = outcome.word, outcome.detail, max(peak() - held, 0)
        if (more := os.fstat(errors).st_size) > printed:
            word, detail = "finding", f"printed: {os.pread(errors, min(more - printed, 300), printed)!r}"
        if memory > MEMORY:
            word, detail = "finding", f"memory: {memory / 1e6:,.0f} MB, then {outcome.word}"
        counts = counts._replace(ended=counts.begun, memory=max(counts.memory, memory))
        if word == "finding":
            note(folder, detail, drawn)
            counts = counts._replace(findings=counts.findings + 1)
        else:
            counts = counts._replace(**{word: getattr(counts, word) + 1})
        board.write(counts, b"")
        if memory > MEMORY // 2:
            os._exit(0)  # the next child begins with little again

    begun = board.read()[0].ended
    if engine == "random":
        for number in range(begun, inputs):
            source = random.Random((seed << 40) + number)
            one(source.randbytes(source.choice((24, 48, 96))))
    elif engine == "hypothesis":
        draw(one, inputs - begun, seed + begun)
    else:
        corpus = folder / "corpus"
        if not corpus.exists():
            corpus.mkdir()
            for number, content in enumerate(first_seeds(() if kind in IN_MEMORY else sound(kind))):
                (corpus / str(number)).write_bytes(content)
        flags = [
            f"-runs={inputs * 2}",
            f"-seed={seed + begun + 1}",
            "-max_len=8192",
            "-len_control=0",
            "-rss_limit_mb=0",
        ]
        # The parent watches the time. 0 would not be without end: atheris (3.1) then exits at inputs of a second or two.
        flags += ["-timeout=1000000", f"-artifact_prefix={folder}/"]
        atheris.Setup([sys.argv[0], *flags, str(corpus)], one)
        atheris.Fuzz()


def draw(one: Callable[[bytes], None], inputs: int, seed: int) -> None:
    """Hypothesis' own bytes."""
    hypothesis: Any = import_module("hypothesis")
    strategies: Any = import_module("hypothesis.strategies")

    quick = hypothesis.settings(
        max_examples=inputs, database=None, deadline=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    while True:  # until `one` ends the process: the examples of one seed may all be drawn before
        hypothesis.seed(seed)(quick(hypothesis.given(strategies.binary(min_size=8, max_size=96))(one)))()
        seed += 1


def first_seeds(logs: tuple[dict[str, bytes], ...]) -> list[bytes]:
    """Each file of each sound log outright, and some damage to it."""
    whole = [bytes([0, i, j]) + content for i, files in enumerate(logs) for j, content in enumerate(files.values())]
    return whole + [random.Random(number).randbytes(48) for number in range(64)]


def empty(folder: Path) -> Path:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    return folder


def peak() -> int:
    """The most bytes that this process held."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def resident(pid: int) -> int:
    """Bytes that a process holds; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * mmap.PAGESIZE
    except (OSError, IndexError):
        return 0


def note(folder: Path, detail: str, seed: bytes) -> None:
    with open(folder / "findings", "a", encoding="utf-8") as file:
        file.write(json.dumps([detail.replace(str(folder), "FOLDER"), seed.hex()]) + "\n")


def findings_in(path: Path) -> tuple[Counter[str], dict[str, str]]:
    """How often each finding came, and its shortest seed."""
    times: Counter[str] = Counter()
    seeds: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        detail, seed = json.loads(line)
        times[detail] += 1
        if detail not in seeds or len(seed) < len(seeds[detail]):
            seeds[detail] = seed
    return times, seeds


if __name__ == "__main__":
    main()
