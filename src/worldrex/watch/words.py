"""What is said of a job in words and numbers."""

from worldrex.watch.records import Status
from worldrex.watch.standing import Series, Standing

# On a pipe each behavior is named up to so many; of more, only the worst and the mean.
_MOST_NAMED = 8
_GOES_ON = "The command that began it goes on from its last checkpoint, of which one is made each minute."


def clock(seconds: float | int) -> str:
    """0:44, 12:05, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def number(value: float | int | None) -> str:
    """Three digits; a hyphen for what is not known."""
    return "-" if value is None else f"{value:.3g}"


def steps(standing: Standing) -> str:
    """Where it stands among all steps."""
    if standing.total is None:
        return f"step {standing.step:,}"
    return f"step {standing.step:,} of {standing.total:,} ({100 * standing.step // max(standing.total, 1)} %)"


def pace(standing: Standing, now: float | int | None) -> str:
    """Throughput and time left; no time where `now` is None: the job does not run."""
    if standing.time is None:
        return "speed not known: these metrics have no times"
    if standing.steps_per_second is None:
        return "speed known after the next report"
    left = None if now is None else standing.seconds_left(now)
    rest = "" if left is None or standing.step == standing.total else f", {clock(left)} left of {standing.stage}"
    return f"{number(standing.steps_per_second)} steps/s{rest}"


def silence(seconds: float | int, standing: Standing) -> str:
    """What to think of a job that does not report."""
    usual = "" if standing.interval is None else f", and they came every {clock(standing.interval)}"
    return f"no report for {clock(seconds)}{usual}: the job may have been killed. {_GOES_ON}"


def end(status: Status, verdict: str | None) -> str:
    """How the job ended."""
    if status.state == "finished":
        return f"finished{'' if verdict is None else f'. {verdict}'}"
    if status.state == "interrupted":
        return f"interrupted at the stage {status.stage}. {_GOES_ON}"
    if status.state == "killed":
        return f"killed at the stage {status.stage}: it says that it runs, and its process is gone. {_GOES_ON}"
    return f"{status.state} at the stage {status.stage}. Its own last lines say why."


def line(standing: Standing, now: float | int | None) -> str:
    """One report in one line."""
    return " | ".join([f"{steps(standing)}, {pace(standing, now)}", *map(_series, standing.series)])


def _series(series: Series) -> str:
    latest = {name: curve[-1] for name, curve in series.risks.items()}
    known = {name: risk for name, risk in latest.items() if risk is not None}
    if len(latest) > _MOST_NAMED and known:
        worst = max(known, key=known.__getitem__)
        risks = [f"worst {number(known[worst])} ({worst})", f"mean {number(sum(known.values()) / len(known))}"]
    else:
        risks = [f"{name} {number(risk)}" for name, risk in latest.items()]
    what, total = next(iter(series.totals.items()))
    return f"{series.name}: {', '.join([*risks, f'{what} {number(total[-1])}'])}"
