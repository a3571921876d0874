"""The scripts in examples/ and the Python of the README, run as they stand, with trainings so small that they end soon."""

import dataclasses
import re
import runpy
from pathlib import Path

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
