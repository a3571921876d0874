"""The penalty's weight over the steps of a training, and when its optimizer is to start afresh.

A schedule is called with the step's number, a Python integer or an array, and gives the weight of that step. Its
`resets` are the steps before which the optimizer's state is to be made anew: where the objective changes at once,
momentum of the old one misleads. A trainer honors them.
"""

from dataclasses import dataclass
from typing import Any

from worldrex.risk.arrays import Array, RiskError, framework_of


@dataclass(frozen=True)
class Constant:
    """The same weight at every step."""

    weight: float | Array

    def __call__(self, step: int | Array) -> Any:
        """The weight."""
        del step
        return self.weight

    @property
    def resets(self) -> tuple[int, ...]:
        """None."""
        return ()


@dataclass(frozen=True)
class Step:
    """`before` up to step `at`, `weight` from then on: the annealing of the IRM and REx releases (there before = 1)."""

    weight: float | Array
    at: int
    before: float | Array = 0.0
    reset: bool = True
    """Whether the optimizer starts afresh at the switch, as in DomainBed."""

    def __call__(self, step: int | Array) -> Any:
        """The weight at a step."""
        step = _number(step)
        return _choose(step >= self.at, self.weight, self.before, step)

    @property
    def resets(self) -> tuple[int, ...]:
        """The switch, if it resets."""
        return (self.at,) if self.reset else ()


@dataclass(frozen=True)
class Ramp:
    """`before` up to step `start`, then along a line to `weight`, reached at step `stop`."""

    weight: float | Array
    start: int
    stop: int
    before: float | Array = 0.0

    def __post_init__(self) -> None:
        """Refuse a ramp that ends before it starts."""
        if self.stop <= self.start:
            raise RiskError(f"a ramp from step {self.start} to step {self.stop}; expected a stop after the start")

    def __call__(self, step: int | Array) -> Any:
        """The weight at a step."""
        step = _number(step)
        share = (step - self.start) / (self.stop - self.start)
        inside = self.before + share * (self.weight - self.before)
        up_to = _choose(step >= self.stop, self.weight, inside, step)
        return _choose(step <= self.start, self.before, up_to, step)

    @property
    def resets(self) -> tuple[int, ...]:
        """None: the objective never changes at once."""
        return ()


Schedule = Constant | Step | Ramp


def _number(step: int | Array) -> Any:
    """A Python number as it is; an array of integers as floats."""
    return step if isinstance(step, int | float) else framework_of(step, "step").floating(step)


def _choose(condition: Any, this: Any, other: Any, step: int | Array) -> Any:
    if isinstance(condition, bool):
        return this if condition else other
    xp = framework_of(step)
    return xp.where(condition, xp.cast(this, step), xp.cast(other, step))
