"""Moments over two processes of PyTorch: `python -m tests.risk.distributed_torch FILE PROCESS`.

Prints OK where value and gradient of each penalty are those of one process.
"""

import sys
from datetime import timedelta

import numpy as np
import torch
import torch.distributed

from tests.risk.conftest import objective_of
from tests.risk.distributed_jax import CASES, data
from worldrex import risk


def objectives(slope, x, y, groups, mask, together):
    m = risk.group_moments((slope * x - y) ** 2, groups, 6, mask)
    m = risk.all_reduce(m) if together else m
    return torch.stack([objective_of(m, case, weight=2.0) for case in CASES])


def check(process: int) -> None:
    columns = [torch.as_tensor(column) for column in data(100)]
    own = [column[process * 50 :][:50] for column in columns]
    slope = torch.tensor(0.7, requires_grad=True)

    def gradients(values):
        return torch.stack([torch.autograd.grad(v, slope, retain_graph=True)[0] for v in values])

    whole = objectives(slope, *columns, together=False)
    found = objectives(slope, *own, together=True)
    np.testing.assert_allclose(found.detach(), whole.detach(), rtol=2e-5, atol=2e-5)
    # Each process has its share of the gradient.
    share = gradients(found)
    torch.distributed.all_reduce(share)
    np.testing.assert_allclose(share, gradients(whole), rtol=1e-4, atol=1e-4)

    wrong = objectives(slope, *own, together=False).detach()
    torch.distributed.all_reduce(wrong)
    gaps = dict(zip(CASES, (wrong / 2 / whole.detach() - 1).abs().tolist(), strict=True))
    assert min(gaps.values()) > 1e-3, gaps  # sorted records: no device has the whole's groups


if __name__ == "__main__":
    file, process = sys.argv[1], int(sys.argv[2])
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{file}", rank=process, world_size=2, timeout=timedelta(seconds=60)
    )
    try:
        check(process)
    finally:
        torch.distributed.destroy_process_group()
    print("OK")
