"""A local Ray cluster of two nodes, to be mistreated."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import jax
import pytest

# In a process of its own: Ray's threads and JAX's do not go together with the forks that start nodes.
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
small = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
# That a node has died is found out within seconds; that it does not answer, as late as ever.
health = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300}
cluster = Cluster(
    initialize_head=True, head_node_args=small | {"include_dashboard": False, "_system_config": health}
)
other = cluster.add_node(**small)
print(cluster.address, flush=True)
print(other.all_processes["raylet"][0].process.pid, flush=True)
for line in sys.stdin:
    cluster.remove_node(other, allow_graceful=False)
    print("removed", flush=True)
cluster.shutdown()
"""


class Nodes:
    """Two nodes of one core each; the driver is at the first, `second` is the process of the other."""

    def __init__(self, cache: str) -> None:
        environment = {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            # As the tests in this process compile.
            "JAX_DISABLE_MOST_OPTIMIZATIONS": str(int(jax.config.read("jax_disable_most_optimizations"))),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER], env=os.environ | environment, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.address, self.second = self._line(), int(self._line())

    def kill_worker(self) -> bool:
        """Kill a process that trains a chunk; False where none does."""
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (place / "cmdline").read_bytes().startswith(b"ray::train_task") and self._is_ours(int(place.name)):
                    os.kill(int(place.name), signal.SIGKILL)
                    return True
        return False

    def kill_node(self) -> None:
        assert self.process.stdin is not None
        print("kill", file=self.process.stdin, flush=True)
        assert self._line() == "removed"

    def close(self) -> None:
        with self.process:  # closes the pipes: the end of its stdin ends the cluster
            pass

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def _is_ours(self, pid: int) -> bool:
        while pid > 1 and pid != self.process.pid:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        return pid == self.process.pid


def require_ray() -> None:
    """Skip where there is no Ray, or no way to find its workers."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'worldrex[ray]'")
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc here to find Ray's workers in")
