"""Every test runs with JAX strict about rank and dtype promotion; pyproject.toml turns warnings into errors."""

import gc
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import pytest

if TYPE_CHECKING:
    from tests.program import Program, Words
    from tests.ray_nodes import Nodes

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


# Each compiled program holds some of the maps of memory that a process may have (65,530 on Linux): beyond them it is killed.
MOST_MAPS = 10_000
MAPS = Path("/proc/self/maps")


@pytest.fixture(scope="module", autouse=True)
def room_for_programs() -> Iterator[None]:
    """Forgets compiled programs after a file of tests, where they have become many."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of small logs: `logged`, `unlogged` and `two`."""
    from tests.program import write_logs

    return write_logs(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> "Program":
    """worldrex in processes of its own."""
    from tests.program import Program

    return Program(tmp_path_factory.mktemp("jax-cache"))


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Nodes]":
    """A Ray cluster of two nodes."""
    from tests.ray_nodes import Nodes, require_ray

    require_ray()
    found = Nodes(str(tmp_path_factory.mktemp("workers")))
    yield found
    found.close()


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a file system of so many KiB."""
    place = tmp_path / "disk"

    def mount(kib: int) -> Path:
        place.mkdir()
        try:
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", place], capture_output=True, check=False
            )
        except OSError:
            done = None
        if done is None or done.returncode:
            pytest.skip("no file system can be mounted here: that needs root")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> "Callable[..., Words]":
    """Call the command line in this process: exit code, stdout, stderr."""
    from worldrex.cli import main

    def run(*words: str | Path) -> "Words":
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run
