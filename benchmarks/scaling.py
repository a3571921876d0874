"""What many devices and many nodes cost and bring: measured on this machine, and what a step reduces over the devices.

    .venv/bin/python benchmarks/scaling.py [--parts devices nodes traffic] [--steps 1000]

"devices": 8 networks of 2 x 64, trained on 1, 2 and 8 simulated devices: dealt out to the devices, and each batch shared
by all of them. Seconds of the clock and of the processor after the first 100 steps, without compiling, as ratios to
one device.
"nodes": `crossval` on gusty-pendulum in this process, and on a local Ray cluster of 1 and 2 nodes of one core each: the
same table, which is checked. Seconds from start to table; the processor's are those of this process and of all of Ray's.
"traffic": the bytes that the compiled step of one network reduces over 2 devices, by what they are, beside the formula
of docs/scaling.md.
Each number is of one run; the data and the seeds are always the same. Needs `pip install 'worldrex[ray]'` for "nodes".
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

PARTS = ("devices", "nodes", "traffic")
BATCH = 1024
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
small = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args=small | {"include_dashboard": False})
for _ in range(int(sys.argv[1]) - 1):
    cluster.add_node(**small)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        part, number = arguments.alone
        print(json.dumps({"devices": devices_alone, "nodes": nodes_alone}[part](int(number), arguments.steps)))
        return
    shown: dict[str, Callable[[int], None]] = {"devices": devices, "nodes": nodes, "traffic": traffic}
    for part in arguments.parts:
        print(f"\n## {part}\n", flush=True)
        shown[part](arguments.steps)


def measure(part: str, number: int, steps: int, *, count: int) -> dict[str, Any]:
    """One part in a process of its own that simulates so many devices."""
    command = [sys.executable, __file__, "--steps", str(steps), "--alone", part, str(number)]
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(count)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def devices(steps: int) -> None:
    print("| devices | networks | seconds | ratio | processor seconds | ratio |\n|---|---|---|---|---|---|")
    for shared, name in ((False, "dealt out"), (True, "each batch shared by all")):
        first = None
        for count in (1, 2, 8):
            found = measure("devices", count if shared else 1, steps, count=count)
            first = first or found
            cells = [f"{found[kind]:.1f} | {found[kind] / first[kind]:.2f}" for kind in ("clock", "processor")]
            print(f"| {count} | {name} | {' | '.join(cells)} |", flush=True)


def devices_alone(per_batch: int, steps: int) -> dict[str, float]:
    from worldrex.data import CollectConfig, collect
    from worldrex.dynamics import Run, TrainConfig, train

    data = collect(CollectConfig())
    config = TrainConfig(
        members=8, elites=8, hidden=(64, 64), batch=BATCH, warmup_steps=steps // 4, steps=steps - steps // 4
    )
    seen: list[tuple[float, float]] = []

    def tick(*_: int) -> None:
        seen.append((time.perf_counter(), time.process_time()))

    train(data, [Run("variance", 100.0)], config, tick=tick, devices_per_batch=per_batch)
    (clock, processor), (ended, spent) = seen[0], seen[-1]
    return {"clock": ended - clock, "processor": spent - processor}


def nodes(steps: int) -> None:
    print("| trained by | seconds | ratio | processor seconds | ratio |\n|---|---|---|---|---|")
    first: dict[str, Any] | None = None
    for count, name in ((0, "this process, 2 simulated devices"), (1, "1 node of 1 core"), (2, "2 nodes of 1 core")):
        found = measure("nodes", count, steps, count=2)
        first = first or found
        assert found["rows"] == first["rows"], "the tables differ"
        cells = [f"{found[kind]:.0f} | {found[kind] / first[kind]:.2f}" for kind in ("clock", "processor")]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print("\nThe three tables are the same to the bit.")


def nodes_alone(count: int, steps: int) -> dict[str, Any]:
    from worldrex.data import CollectConfig, collect
    from worldrex.dynamics import connected, train, train_on_ray
    from worldrex.evaluation import CrossvalConfig, crossval

    data = collect(CollectConfig())
    config = CrossvalConfig(weights=(10.0, 100.0), seeds=2, batch=BATCH, warmup_steps=steps // 4)
    config = replace(config, steps=steps - steps // 4)
    if not count:
        started = time.perf_counter()
        table = crossval(data, config, trainer=train)
        return {"clock": time.perf_counter() - started, "processor": time.process_time(), "rows": table.rows}
    command = [sys.executable, "-c", CLUSTER, str(count)]
    # What this process simulates is no matter of the workers, who are told.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as cluster:
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        with connected(cluster.stdout.readline().strip()):
            started = time.perf_counter()
            table = crossval(data, config, trainer=partial(train_on_ray, runs_per_chunk=4))
            clock = time.perf_counter() - started
            processor = processor_seconds(os.getpid())
        cluster.stdin.close()
    return {"clock": clock, "processor": processor, "rows": table.rows}


def processor_seconds(root: int) -> float:
    """Of a process and all that came of it and still lives."""
    told: dict[int, tuple[int, float]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        told[int(place.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ours(pid: int) -> bool:
        return pid == root or (pid in told and ours(told[pid][0]))

    return sum(seconds for pid, (_, seconds) in told.items() if ours(pid))


def traffic(steps: int) -> None:
    del steps
    import jax

    jax.config.update("jax_num_cpu_devices", 2)
    from worldrex.data import CollectConfig, collect
    from worldrex.dynamics import Run, TrainConfig, sweep, train

    data = collect(CollectConfig(steps_per_behavior=200))
    config = TrainConfig(members=1, elites=1, hidden=(64, 64), batch=256, warmup_steps=1, steps=1, termination="none")
    texts: list[str] = []
    compiling = sweep.compile_programs

    def compiled(*arguments: Any, **more: Any) -> Any:
        programs = compiling(*arguments, **more)
        texts.append(str(programs.advance.as_text()))
        return programs

    sweep.compile_programs = compiled
    trained = train(data, [Run("variance", 10.0)], config, devices_per_batch=2)
    reduced = re.findall(r"= (\(.*?\)|\S+) all-reduce(?:-start)?\(", texts[0])
    shapes = [shape for one in reduced for shape in re.findall(r"[fs]32\[([\d,]*)\]", one)]
    sizes = [tuple(int(n) for n in shape.split(",") if n) for shape in shapes]
    groups, obs, act = data.num_behaviors, data.obs.shape[1], data.action.shape[1]
    parameters = sum(x[0, 0].size for x in jax.tree.leaves(trained.networks))
    found = {"moments": 0, "batch": 0, "gradient": 0}
    for shape in sizes:
        size = 4 * math.prod(shape)
        kind = "moments" if shape == (1, groups) else "batch" if shape[:1] == (config.batch,) else "gradient"
        found[kind] += size
    formula = {
        "moments": 24 * groups,
        "batch": 4 * config.batch * (2 * obs + act + 2),
        "gradient": 4 * (parameters + 2),  # and two scalars of the loss beside
    }
    print(f"{groups} behaviors, batch {config.batch}, obs {obs}, action {act}, {parameters:,} parameters\n")
    print("| of a step of one network | bytes reduced | formula |\n|---|---|---|")
    for kind, size in found.items():
        print(f"| {kind} | {size:,} | {formula[kind]:,} |")


if __name__ == "__main__":
    main()
