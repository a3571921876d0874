"""What a sweep's programs are given and answer, seen from outside; and steps that fail on demand."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from worldrex.dynamics import sweep
from worldrex.dynamics.programs import Networks, Programs


class Advance(NamedTuple):
    """One stretch."""

    first: int
    before: Networks
    after: Networks
    active: int
    """Networks that the program was told to work on."""


class Evaluation(NamedTuple):
    """One evaluation."""

    step: int
    before: Networks
    objective: np.ndarray


class Record:
    """Of one training, on one device: network number = run * members + member."""

    def __init__(self) -> None:
        self.advances: list[Advance] = []
        self.evaluations: list[Evaluation] = []
        self.failures: Mapping[int, Mapping[int, int]] = {}
        """By the first step of a stretch: how many steps of which networks fail, and leave rubbish."""

    def wrap(self, compile_programs: Callable[..., Programs], *arguments: Any) -> Programs:
        programs = compile_programs(*arguments)

        def advance(networks: Networks, *rest: Any) -> Any:
            after, info = programs.advance(networks, *rest)
            *_, active, first, _ = rest
            for network, failed in self.failures.get(int(first), {}).items():
                info = info._replace(bad=info.bad.at[network].add(failed))
                state = jax.tree.map(lambda x, n=network: x.at[n].set(7), after.state)
                after = after._replace(state=state)
            self.advances.append(Advance(int(first), *map(kept, (networks, after)), int(np.sum(active))))
            return after, info

        def evaluate(networks: Networks, *rest: Any) -> Any:
            after, judged = programs.evaluate(networks, *rest)
            self.evaluations.append(Evaluation(int(rest[-1]), kept(networks), np.asarray(judged.objective)))
            return after, judged

        return programs._replace(advance=advance, evaluate=evaluate)


def kept(tree: Any) -> Any:
    """As NumPy arrays."""
    return jax.tree.map(np.asarray, tree)


def record_of(patch: pytest.MonkeyPatch) -> Record:
    """Of the next training."""
    record = Record()
    patch.setattr(sweep, "compile_programs", partial(record.wrap, sweep.compile_programs))
    return record


def one(tree: Any, network: int) -> Any:
    """What belongs to one network."""
    return jax.tree.map(lambda x: x[network], tree)
