"""What a person sees while worldrex works: stages, progress bars on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

PLAIN_SECONDS = 15.0


class Terminal:
    """Writes for people to stdout, or to stderr where stdout carries JSON."""

    def __init__(self, *, json: bool = False) -> None:
        self.console = Console(stderr=json, highlight=False, soft_wrap=False)
        if not self.console.is_terminal:
            # A log file has no width: do not break its lines.
            self.console = Console(stderr=json, highlight=False, width=120)
        self.seconds: dict[str, float] = {}

    def say(self, content: RenderableType = "") -> None:
        """Print a line or a table. Strings are printed as they are: no markup in names that users give."""
        self.console.print(Text(content) if isinstance(content, str) else content)
        sys.stdout.flush()

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[Callable[[int, int], None]]:
        """A stage of a longer job: says that it begins, shows its progress, keeps its seconds in `seconds`."""
        started = time.perf_counter()
        self.console.print(Text.assemble((f"{name:<9}", "bold cyan"), what))
        if self.console.is_terminal:
            columns = (
                TextColumn(" " * 8),
                BarColumn(40),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=self.console, transient=True) as progress:
                bar = progress.add_task(name, total=None, visible=False)
                yield lambda done, total: progress.update(bar, completed=done, total=total, visible=True)
        else:
            yield self._plain_ticks()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def _plain_ticks(self) -> Callable[[int, int], None]:
        last = time.perf_counter()

        def tick(done: int, total: int) -> None:
            nonlocal last
            if time.perf_counter() - last > PLAIN_SECONDS and done < total:
                last = time.perf_counter()
                self.say(f"{'':<9}{100 * done // total} %")

        return tick
