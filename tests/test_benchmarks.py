"""The benchmarks of the classics run from end to end, far too shortly to show anything."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(name: str, *words: object) -> list[list[str]]:
    """The table that a benchmark prints, without its head."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / f"{name}.py", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()[2:]]


def test_policy_shift_tells_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    module = load("policy_shift_tables")

    def fit(name: str, weight: float, seed: int, leans: float) -> dict[str, Any]:
        unlogged = {"random": 2.0 + seed, module.LEANS: leans}
        return {"name": name, "weight": weight, "seed": seed, "logged": {"a": 1.0, "b": 3.0 + seed}, "unlogged": unlogged,
                "slope": 0.5}  # fmt: skip

    row = {"penalty": "std", "weight": 10.0, "worst": {"value": 0.3, "low": 0.2, "high": 0.4}, "mean": {"value": 0.25}}
    found = {
        "records": 1000, "moved": "speed", "true_slope": 0.25,
        "fits": [fit("ERM", 0.0, 0, 4.0), fit("ERM", 0.0, 1, 5.0), fit("std", 10.0, 0, 2.5), fit("std", 10.0, 1, 1.0),
                 fit("mad", 1.0, 0, 0.1)],
        # Of seed 0 behavior a is the worse one, over all seeds b.
        "selection": {"rows": [row], "errors": {"std": {"10": {"a": [3.0, 1.0], "b": [2.0, 5.0]}}}},
    }  # fmt: skip
    module.print_table("gusty-hopper", found, [("ERM", 0.0), ("std", 10.0)], [0, 1])
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[-2]
        == "| ERM | 0 | 2.25 [2, 2.5] | 3.5 [3, 4] |  |  | 3.5 [3, 4] | 4.5 [4, 5] | 4.5 [4, 5] | 0.5 [0.5, 0.5] |"
    )
    assert lines[-1].split(" | ")[4:8] == ["2.75 [2.5, 3]", "3.5 [2, 5]", "2.12 [2, 2.25]", "2.75 [2.5, 3]"]
    module.print_picked(found, ("std", 10.0), [0, 1])
    lines = capsys.readouterr().out.splitlines()
    assert "Leaving behaviors out picks std at 10." in lines[1]
    # MAD has one seed only, and is not compared.
    assert lines[-2] == "| leans with the gust | 1.75 [1, 2.5] | 4.5 [4, 5] | 1.75 [1, 2.5] (std at 10) |"
    assert lines[-1] == "| worst | 2.75 [2.5, 3] | 4.5 [4, 5] | 2.75 [2.5, 3] (std at 10) |"


def test_linear_sem_finds_the_cause_where_v_rex_can() -> None:
    table = {(row[0], row[1]): row for row in rows(
        "linear_sem", "--settings", "FOS", "FEU", "--repetitions", 3, "--optimizer", "lbfgs", "--steps", 200,
        "--methods", "V-REx", "V-REx, excess over the noise",
    )}  # fmt: skip
    found = {key: float(row[2].split()[0]) for key, row in table.items()}
    assert found["FEU", "ERM"] == pytest.approx(0.82, abs=0.03)
    assert found["FOS", "ERM"] == pytest.approx(0.009, abs=0.002)
    assert found["FOS", "V-REx"] < 0.05
    assert found["FEU", "V-REx"] > 0.5
    # With the noise taken off, the strongest penalties find the cause; the environment that chooses does not choose them.
    strong = float(table["FEU", "V-REx, excess over the noise"][5].split()[0])
    assert strong < 0.05


def test_linear_sem_true_coefficients_have_the_risk_of_the_noise() -> None:
    module = load("linear_sem")
    for setting in module.SETTINGS:
        drawn = [module.draw(setting, np.random.default_rng([0, n])) for n in range(20)]
        true = [one.turn.T @ np.repeat([1.0, 0.0], module.HALF) for one in drawn]
        assert module.errors(np.stack(true), drawn) == pytest.approx(0, abs=1e-20)
        risks = [((one.inputs @ w - one.target) ** 2).mean(1) / one.noise for one, w in zip(drawn, true, strict=True)]
        if setting[0] == "F" or setting[1] == "E":
            assert np.mean(risks, 0) == pytest.approx(np.ones(3), abs=0.05)


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    """Of MNIST's shape, and as easy: the digit is where the image is bright."""
    rng = np.random.default_rng(0)
    digits = rng.integers(0, 10, 1200).astype(np.uint8)
    images = rng.integers(0, 60, (1200, 28, 28)).astype(np.uint8)
    images[np.arange(1200), 2 * digits] += 190
    np.savez(tmp_path / "mnist.npz", x_train=images, y_train=digits)
    return tmp_path / "mnist.npz"


def test_colored_mnist_runs_as_a_whole(made_up: Path) -> None:
    flags = ("--data", made_up, "--hidden", 16, "--steps", 40, "--switch", 20, "--restarts", 2)
    (full,) = rows("colored_mnist", *flags, "--penalty", "irm")
    assert full[:4] == ["irm", "full", "10000", "2"]
    batches = rows("colored_mnist", *flags, "--batch", 32, "--weights", 0, 100, "--debiased", "no", "yes", "--decay")
    assert [row[:3] for row in batches] == [
        ["variance", "32", "0"], ["variance", "32", "100"],
        ["variance, debiased", "32", "0"], ["variance, debiased", "32", "100"],
    ]  # fmt: skip
    (plain,) = rows("colored_mnist", *flags, "--penalty", "none", "--batch", 32, "--decay")
    assert plain[4:8] == batches[0][4:8]
    # Without a weight there is no penalty to be debiased.
    assert batches[0][4:8] == batches[2][4:8]
    assert batches[1][4:8] != batches[3][4:8]
    tracked = rows("colored_mnist", *flags, "--batch", 32, "--weights", 100, "--tracking", 0, 0.9, "--decay")
    assert [row[0] for row in tracked] == ["variance", "variance, tracked 0.9"]
    assert tracked[0][4:8] == batches[1][4:8]
    assert tracked[0][4:8] != tracked[1][4:8]


def test_colored_mnist_colors_and_labels_agree_as_often_as_said(made_up: Path) -> None:
    module = load("colored_mnist")
    images, digits = module.read(made_up)
    digits, images = jnp.tile(digits, 20), jnp.tile(images, (20, 1))
    parts = module.environments(images, digits, key=jax.random.key(0))
    assert [len(part.label) for part in parts] == [10_000, 10_000, 4_000]
    for part, agree in zip(parts, (0.8, 0.9, 0.1), strict=True):
        assert jnp.mean(part.label == part.color) == pytest.approx(agree, abs=0.03)
    colored = module.inputs(parts[0], gray=False).reshape(-1, 2, 196)
    dark = colored[jnp.arange(10_000), 1 - parts[0].color.astype(int)]
    assert float(jnp.abs(dark).max()) == 0
    assert (colored.sum(1) == module.inputs(parts[0], gray=True)).all()


def test_colored_mnist_restart_is_the_same_alone(made_up: Path) -> None:
    module = load("colored_mnist")
    images, digits = module.read(made_up)
    recipe = module.Recipe("variance", True, 0.5, False, 8, 1e-3, 1e-3, 20, 10, False, 32)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        together = module.run(recipe, images, digits, jnp.array([1e2, 1e3, 1e3]), jnp.array([0, 1, 2]), 0)
        alone = module.run(recipe, images, digits, jnp.array([1e3]), jnp.array([1]), 0)
    for among, single in zip(together, alone, strict=True):
        assert among[1] == single[0]
