"""The scripts in examples/ and the Python of the README, run as they stand, with trainings so small that they end soon."""

import dataclasses
import re
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import worldrex

ROOT = Path(__file__).parents[1]
SMALL = {"members": 2, "elites": 1, "hidden": (8,), "batch": 32, "warmup_steps": 20, "steps": 20}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever the script asks for, it gets few records and few steps; what it writes goes to a folder of its own."""
    for name, less in (
        ("CollectConfig", {"steps_per_behavior": 200}),
        ("CrossvalConfig", {**SMALL, "seeds": 1}),
        ("FitConfig", SMALL),
    ):
        config = getattr(worldrex, name)
        monkeypatch.setattr(
            worldrex, name, lambda c=config, less=less, **given: dataclasses.replace(c(**given), **less)
        )
    crossval = worldrex.crossval
    monkeypatch.setattr(
        worldrex, "crossval", lambda data, config=None: crossval(data, config or worldrex.CrossvalConfig())
    )
    monkeypatch.chdir(tmp_path)


def test_first_model(capsys: pytest.CaptureFixture[str]):
    runpy.run_path(str(ROOT / "examples" / "first_model.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("chosen weight: ")
    assert [line.split(":")[0] for line in lines[1:]] == ["ERM", "chosen"]
    assert worldrex.load_model("model").obs_dims == 3


def test_the_readmes_python(capsys: pytest.CaptureFixture[str]):
    data = worldrex.collect(worldrex.CollectConfig())
    for behavior, name in enumerate("abc"):
        data.rows(data.behavior == behavior).save(f"operator_{name}.parquet")
    model_code, risk_code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = {"obs": data.obs[:5], "action": data.action[:5]}
    exec(model_code, names)
    assert names["prediction"].next_obs.shape == (5, 3)
    np.testing.assert_array_equal(
        worldrex.load_model("model").predict(data.obs[:5], data.action[:5]).reward, names["prediction"].reward
    )
    names = {"losses": np.arange(8.0), "groups": np.arange(8) % 3}
    exec(risk_code, names)
    assert np.isfinite(names["loss"])


@pytest.mark.parametrize("loss", ["squared", "nll"])
def test_a_model_in_pytorch_tells_the_same(
    loss: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    logs = worldrex.collect(worldrex.CollectConfig(task="gusty-pendulum"))
    model = worldrex.fit(logs, worldrex.FitConfig(loss=loss))
    model.save("model")
    script = str(ROOT / "examples" / "model_in_torch.py")
    mean, std = runpy.run_path(script)["load"]("model")(torch.tensor(logs.obs), torch.tensor(logs.action))
    told = model.predict(logs.obs, logs.action)
    np.testing.assert_allclose(mean, np.column_stack([told.next_obs, told.reward]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(std, np.column_stack([told.next_obs_std, told.reward_std]), rtol=1e-4, atol=1e-5)
    monkeypatch.setattr("sys.argv", [script, "model"])
    runpy.run_path(script, run_name="__main__")
    assert capsys.readouterr().out.startswith("at zero: [")


def test_behaviors_first(capsys: pytest.CaptureFixture[str]):
    """Absent behaviors have no part in the penalty; the drawn are all different, and the rows are theirs."""
    space = runpy.run_path(str(ROOT / "examples" / "behaviors_first.py"), run_name="example")
    space["main"]()
    drawn, of_all = (float(line.rpartition(" ")[2]) for line in capsys.readouterr().out.splitlines())
    assert drawn == pytest.approx(of_all, rel=1e-5)
    size = jnp.array([1, 2, 3, 4, 5, 6, 7])
    first = jnp.cumsum(size) - size
    seen = set()
    for seed in range(50):
        rows, behavior, number = space["draw"](first, size, 3, 4, key=jax.random.key(seed))
        own = np.asarray(behavior)[np.asarray(number)]
        assert len(set(np.asarray(behavior).tolist())) == 3
        np.testing.assert_array_equal(np.asarray(jnp.searchsorted(first, rows, side="right") - 1), own)
        seen |= set(np.asarray(rows).tolist())
    assert seen == set(range(21))  # all rows of the six behaviors in three parts of two
