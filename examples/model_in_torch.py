"""A worldrex model of the default features in PyTorch: `python examples/model_in_torch.py RUN_FOLDER/model`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn.functional import silu, softplus


# --8<-- [start:predict]
def load(folder: str) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Mean and standard deviation of next_obs and the reward, `[batch, obs + 1]`, of obs and action."""
    about = json.loads((Path(folder) / "model.json").read_text())
    if about["features"] != {"history": 1, "absolute": None, "angles": None, "masked": None} or not about["gaussian"]:
        raise ValueError(f"{folder}: write down here what its features do: {about['features']}")
    arrays = load_file(Path(folder) / "model.safetensors")
    elites = {name: x[about["elites"]] for name, x in arrays.items() if name.startswith("networks.")}
    norm = {name: arrays[f"normalizer.{name}"] for name in ("input_mean", "input_std", "output_mean", "output_std")}

    def layer(name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ elites[f"networks.{name}.0"] + elites[f"networks.{name}.1"][:, None]

    def predict(obs: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = (torch.cat([obs, action], -1) - norm["input_mean"]) / norm["input_std"]
        for depth in range(about["hidden_layers"]):
            h = silu(layer(f"trunk.{depth}", h))
        low, high = (elites[f"networks.{bound}_log_var"][:, None] for bound in ("min", "max"))
        log_var = low + softplus(high - softplus(high - layer("log_var", h)) - low)
        mean = layer("mean", h) * norm["output_std"] + norm["output_mean"]
        std = torch.exp(0.5 * log_var) * norm["output_std"]
        mean = mean + torch.nn.functional.pad(obs, (0, 1))  # the network tells the change of obs, and the reward
        return mean.mean(0), (std.square().mean(0) + mean.var(0, correction=0)).sqrt()

    return predict


# --8<-- [end:predict]
if __name__ == "__main__":
    about = json.loads((Path(sys.argv[1]) / "model.json").read_text())
    arrays = load_file(Path(sys.argv[1]) / "model.safetensors")
    obs = torch.zeros(1, about["obs_dims"])
    mean, std = load(sys.argv[1])(obs, torch.zeros(1, len(arrays["normalizer.input_mean"]) - about["obs_dims"]))
    print("at zero:", mean[0].tolist(), "+-", std[0].tolist())
