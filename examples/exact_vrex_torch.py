"""Exact V-REx under gradient accumulation: micro-batches add up to the whole batch's gradient, for every penalty.

The mean over micro-batches of their objectives is not the objective of the whole: a variance of risks is no mean over
records. Pass 1 collects the moments, without derivatives. Pass 2 back-propagates each loss with its weight in them.
"""

from functools import reduce

import torch

from worldrex import risk


# --8<-- [start:accumulate]
def accumulate(model: torch.nn.Module, batch: list[tuple[torch.Tensor, ...]], num_groups: int, weight: float) -> None:
    """Add to the parameters' `grad` the gradient of the objective on all micro-batches at once."""

    def losses(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (model(x) - y).square().mean(dim=-1)

    with torch.no_grad():
        parts = [risk.group_moments(losses(x, y), groups, num_groups) for x, y, groups in batch]
    moments = reduce(risk.merge, parts)
    for x, y, groups in batch:
        micro = losses(x, y)
        weights = risk.record_weights(micro, groups, moments, penalty="variance", weight=weight)
        (weights * micro).sum().backward()


# --8<-- [end:accumulate]


if __name__ == "__main__":
    torch.manual_seed(0)
    model, x, y, groups = torch.nn.Linear(3, 1), torch.randn(1000, 3), torch.randn(1000, 1), torch.randint(4, (1000,))
    accumulate(model, list(zip(x.split(64), y.split(64), groups.split(64), strict=True)), num_groups=4, weight=10.0)
    whole = risk.objective(risk.group_moments((model(x) - y).square().mean(dim=-1), groups, 4), weight=10.0)
    (expected,) = torch.autograd.grad(whole, [model.weight])
    assert model.weight.grad is not None
    print(f"largest difference from the whole batch's gradient: {(model.weight.grad - expected).abs().max():.1e}")
