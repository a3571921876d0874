"""Updates per second of soft actor-critic: this library's compiled loop against eager PyTorch, as Stable-Baselines3 has it.

    JAX_NUM_CPU_DEVICES=2 .venv/bin/python benchmarks/sac_updates.py [--hidden 256 256] [--obs 17] [--act 6] [--updates 500]

The same update (twin critics, automatic temperature, batch 256, drawn from a buffer of 100,000 records), written in PyTorch
after Stable-Baselines3's SAC.train. Both take turns in one process, each on one core (JAX takes one for each simulated
device). Prints microseconds per update, of the clock and of the processor (all threads): median [least, most] over the
turns. Needs PyTorch.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from worldrex.policy import replay, sac
from worldrex.policy.replay import Batch

CAPACITY = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, nargs="+", default=[256, 256])
    parser.add_argument("--obs", type=int, default=17)
    parser.add_argument("--act", type=int, default=6)
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    obs, after = rng.normal(size=(2, CAPACITY, arguments.obs)).astype(np.float32)
    action = rng.uniform(-1, 1, (CAPACITY, arguments.act)).astype(np.float32)
    reward, ends = rng.normal(size=CAPACITY).astype(np.float32), np.zeros(CAPACITY, np.float32)
    records = obs, action, reward, after, ends
    config = sac.SACConfig(hidden=tuple(arguments.hidden))
    timed: dict[str, Callable[[], None]] = {
        "worldrex (JAX)": ours(records, config, arguments.updates),
        "PyTorch, eager": InTorch(records, config, arguments.updates),
    }
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in timed}
    for run in timed.values():
        run()  # compile
    for _ in range(arguments.turns):
        for name, run in timed.items():
            started = time.perf_counter(), time.process_time()
            run()
            used = time.perf_counter() - started[0], time.process_time() - started[1]
            spent[name].append((1e6 * used[0] / arguments.updates, 1e6 * used[1] / arguments.updates))
    print(f"hidden {arguments.hidden}, obs {arguments.obs}, act {arguments.act}\n")
    print("| | us per update | processor us |\n|---|---|---|")
    for name, turns in spent.items():
        print(f"| {name} | {spread([wall for wall, _ in turns])} | {spread([cpu for _, cpu in turns])} |")
    ratios = [[other[k] / own[k] for own, other in zip(*spent.values(), strict=True)] for k in range(2)]
    print(f"| PyTorch / worldrex | {spread(ratios[0], 2)} | {spread(ratios[1], 2)} |")


def ours(records: Sequence[np.ndarray], config: sac.SACConfig, updates: int) -> Callable[[], None]:
    key = jax.random.key(0)
    obs_dims, action_dims = records[0].shape[1], records[1].shape[1]
    buffer = replay.init(CAPACITY, obs_dims, action_dims)
    buffer = buffer._replace(records=Batch(*map(jnp.asarray, records)), size=jnp.int32(CAPACITY))
    log = jax.tree.map(lambda x: x[:1], buffer.records)

    @partial(jax.jit, donate_argnums=0)
    def run(state: sac.SACState, buffer: replay.Replay, first: jax.Array) -> sac.SACState:
        def update(number: jax.Array, state: sac.SACState) -> sac.SACState:
            for_batch, for_update = jax.random.split(jax.random.fold_in(key, number))
            batch = replay.draw(buffer, log, config.batch, 0, key=for_batch)
            return sac.step(state, batch, config, key=for_update)[0]

        return jax.lax.fori_loop(first, first + updates, update, state)

    state = [sac.init(obs_dims, action_dims, config, key=key)]

    def turn() -> None:
        state[0] = jax.block_until_ready(run(state[0], buffer, jnp.int32(0)))

    return turn


class InTorch:
    """SAC.train of Stable-Baselines3, without its logging."""

    def __init__(self, records: Sequence[np.ndarray], config: sac.SACConfig, updates: int) -> None:
        self.records, self.config, self.updates = records, config, updates
        obs_dims, self.act = records[0].shape[1], records[1].shape[1]
        self.rng = np.random.default_rng(0)
        self.trunk = mlp((obs_dims, *config.hidden))
        self.mean, self.log_std = nn.Linear(config.hidden[-1], self.act), nn.Linear(config.hidden[-1], self.act)
        self.critics = nn.ModuleList(
            nn.Sequential(mlp((obs_dims + self.act, *config.hidden)), nn.Linear(config.hidden[-1], 1))
            for _ in range(config.critics)
        )
        self.target = copy.deepcopy(self.critics).requires_grad_(False)
        self.log_alpha = torch.zeros(1, requires_grad=True)
        own = [*self.trunk.parameters(), *self.mean.parameters(), *self.log_std.parameters()]
        self.optimizers = [
            torch.optim.Adam(x, lr=config.learning_rate) for x in (own, self.critics.parameters(), [self.log_alpha])
        ]

    def sample(self, obs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.trunk(obs)
        mean, log_std = self.mean(hidden), self.log_std(hidden).clamp(-20, 2)
        normal = torch.distributions.Normal(mean, log_std.exp())
        before = normal.rsample()
        action = torch.tanh(before)
        log_prob = normal.log_prob(before).sum(-1) - torch.log(1 - action**2 + 1e-6).sum(-1)
        return action, log_prob

    def __call__(self) -> None:
        for _ in range(self.updates):
            rows = self.rng.integers(0, CAPACITY, self.config.batch)
            obs, action, reward, after, ends = (torch.as_tensor(x[rows]) for x in self.records)
            own_action, log_prob = self.sample(obs)
            alpha = self.log_alpha.detach().exp()
            self.descend(2, -(self.log_alpha * (log_prob - self.act).detach()).mean())
            with torch.no_grad():
                next_action, next_log_prob = self.sample(after)
                future = self.least(self.target, after, next_action) - alpha * next_log_prob
                target = reward + self.config.discount * (1 - ends) * future
            both = torch.cat([obs, action], -1)
            self.descend(1, 0.5 * sum(((critic(both)[:, 0] - target) ** 2).mean() for critic in self.critics))
            self.descend(0, (alpha * log_prob - self.least(self.critics, obs, own_action)).mean())
            with torch.no_grad():
                for slow, fast in zip(self.target.parameters(), self.critics.parameters(), strict=True):
                    slow.mul_(1 - self.config.tau)
                    torch.add(slow, fast, alpha=self.config.tau, out=slow)

    def least(self, critics: nn.ModuleList, obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        both = torch.cat([obs, action], -1)
        return torch.stack([critic(both)[:, 0] for critic in critics]).min(0).values

    def descend(self, number: int, loss: torch.Tensor) -> None:
        self.optimizers[number].zero_grad()
        loss.backward()
        self.optimizers[number].step()


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    return nn.Sequential(*(layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())))


def spread(values: Sequence[float], digits: int = 0) -> str:
    return f"{statistics.median(values):,.{digits}f} [{min(values):,.{digits}f}, {max(values):,.{digits}f}]"


if __name__ == "__main__":
    main()
