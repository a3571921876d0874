"""V-REx in a plain PyTorch training loop, against empirical risk minimization (a few seconds).

A hidden gust pushes the system, and each operator who logged it steers against the gust more or less. Pooled, the logs
make the action look useless; the risk is even over operators only at the true effect, 0.5.
"""

import torch

from worldrex import risk

AGAINST = torch.tensor([0.0, 0.5, 1.0, 1.5])  # how much of the gust each logged operator compensates


def records(against: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    gust = torch.randn(len(against), 1)
    action = 0.7 * torch.randn(len(against), 1) - against[:, None] * gust
    return action, 0.5 * action + gust


def train(weight: float) -> torch.nn.Module:
    torch.manual_seed(0)
    groups = torch.arange(8192) % 4
    x, y = records(AGAINST[groups])
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = risk.schedules.Step(weight, at=300, reset=False)  # first without the penalty: far off, it can mislead
    for step in range(800):
        batch = torch.randint(len(x), (256,))
        losses = (model(x[batch]) - y[batch]).square().mean(dim=-1)  # one loss for each record: no mean over the batch
        moments = risk.group_moments(losses, groups[batch], num_groups=4)
        optimizer.zero_grad()
        risk.objective(moments, penalty="variance", weight=schedule(step), rescale=True).backward()
        optimizer.step()
    return model


x, y = records(torch.full((100_000,), -1.0))  # one whom nobody logged leans with the gust; the truth's error is 1
for name, weight in {"ERM": 0.0, "V-REx": 30.0}.items():
    print(f"{name}: error under the unseen operator {(train(weight)(x) - y).square().mean():.2f}")
