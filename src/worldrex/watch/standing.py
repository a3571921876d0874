"""Where a job stands: its risks over the steps, how fast it goes, and the time that is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

# Reports whose pace counts; their median leaves out the pause before a resumed run went on.
_PACE_REPORTS = 6
# A job that has not reported for so many times its usual interval may have been killed.
_SILENT_INTERVALS, _SILENT_SECONDS = 10, 60.0
# After a single report, or several at the same step; most come more often.
_UNKNOWN_INTERVAL = 60.0
_MODELS = {"erm": "ERM", "plain": "plain penalty"}

Number = float | int


@dataclass
class Series:
    """What one model, or the models of one weight, reported; None where a report has no such number."""

    name: str
    risks: dict[str, list[Number | None]] = field(default_factory=dict)
    """Of each behavior, on held-out episodes."""
    penalty: list[Number | None] = field(default_factory=list)
    training: list[Number | None] = field(default_factory=list)
    """Mean risk of the batches."""
    promised: list[Number | None] = field(default_factory=list)
    """Of a policy: the return that its model promises."""
    uncertainty: list[Number | None] = field(default_factory=list)
    """Of a policy: of a step of its rollouts."""

    @property
    def totals(self) -> dict[str, list[Number | None]]:
        """What stands below the behaviors: of a policy its return, of a model what it was trained for."""
        if any(value is not None for value in self.promised):
            return {"return promised": self.promised, "uncertainty": self.uncertainty}
        return {"penalty": self.penalty, "training batches": self.training}


@dataclass(frozen=True)
class Standing:
    """The stage that reported last."""

    stage: str
    step: int
    total: int | None
    """Steps of the stage; None in a folder of before it was logged."""
    time: float | int | None
    """When the last report came, seconds since 1970; None in such a folder."""
    interval: float | int | None
    """Usual seconds between reports."""
    steps_per_second: float | int | None
    series: tuple[Series, ...]

    @property
    def behaviors(self) -> tuple[str, ...]:
        """Their names, as they were first seen."""
        return tuple(dict.fromkeys(name for series in self.series for name in series.risks))

    def seconds_left(self, now: float | int) -> float | None:
        """Until the stage ends, if it goes on at its pace; None where that is not known."""
        if self.total is None or self.time is None or not self.steps_per_second:
            return None
        return max((self.total - self.step) / self.steps_per_second - max(now - self.time, 0.0), 0.0)

    def silent(self, now: float | int) -> float | None:
        """Seconds since the last report, where they are many more than usual."""
        if self.time is None or self.step == self.total:
            return None
        since = now - self.time
        usual = _UNKNOWN_INTERVAL if self.interval is None else self.interval
        return since if since > max(_SILENT_SECONDS, _SILENT_INTERVALS * usual) else None


def standing(records: Sequence[Mapping[str, Any]]) -> Standing | None:
    """Where the stage of the last record stands; None without a record."""
    if not records:
        return None
    last = records[-1]
    of_stage = [record for record in records if record["stage"] == last["stage"]]
    series: dict[str, Series] = {}
    times: dict[int, Number] = {}
    for record in of_stage:
        name = series_name(record)
        _add(series.setdefault(name, Series(name)), record)
        if isinstance(record.get("time"), int | float):
            times[record["step"]] = record["time"]
    paces = [
        (after[0] - before[0], after[1] - before[1])
        for before, after in pairwise(list(times.items())[-_PACE_REPORTS:])
        if after[0] > before[0] and after[1] > before[1]
    ]
    return Standing(
        stage=last["stage"],
        step=last["step"],
        total=last.get("total"),
        time=times.get(last["step"]),
        interval=median(seconds for _, seconds in paces) if paces else None,
        steps_per_second=median(steps / seconds for steps, seconds in paces) if paces else None,
        series=tuple(series.values()),
    )


def series_name(record: Mapping[str, Any]) -> str:
    """What tells a record from the others of its step."""
    if "weight" in record:
        return f"{record.get('penalty', 'weight')} {record['weight']:g}"
    name = _MODELS.get(record.get("model", ""), str(record.get("model", "model")))
    return f"{name}, seed {record['seed']}" if "seed" in record else name


def _add(series: Series, record: Mapping[str, Any]) -> None:
    reports = len(series.penalty)
    risks = record.get("holdout_risk") or {}
    for name in {**series.risks, **risks}:
        curve = series.risks.setdefault(name, [None] * reports)
        curve.append(risks.get(name))
    series.penalty.append(record.get("holdout_penalty"))
    series.training.append(record.get("train_risk"))
    series.promised.append(record.get("model_return"))
    series.uncertainty.append(record.get("uncertainty"))
