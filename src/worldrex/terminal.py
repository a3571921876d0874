"""What a person sees while worldrex works: stages, progress bars on a terminal, plain lines elsewhere."""

import os
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

LABEL = 9
PLAIN_SECONDS = 15.0


def printable(text: str) -> str:
    """`text` with what cannot be printed escaped: control characters, line ends, halves of surrogate pairs."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


class Terminal:
    """Writes for people to stdout, or to stderr where stdout carries JSON or the message is an error."""

    def __init__(self, *, stderr: bool = False) -> None:
        self.console = Console(stderr=stderr, highlight=False)
        if not self.console.is_terminal and "COLUMNS" not in os.environ:
            self.console = Console(stderr=stderr, highlight=False, width=120)
        self.seconds: dict[str, float] = {}

    def say(self, text: str, *, label: str = "", indent: int = LABEL) -> None:
        """Print a text behind its label, wrapped on a terminal, line by line elsewhere. Markup stays text."""
        first, rest = f"{label:<{indent}}", " " * indent
        lines = [printable(line) for line in text.splitlines()]
        if self.console.is_terminal:
            # A long path or command stays in one piece, to be copied.
            width = max(self.console.width, 2 * indent + 20)
            lines = [
                part
                for line in lines
                for part in textwrap.wrap(
                    line, width - indent, subsequent_indent="  " * line.startswith("- "), break_long_words=False,
                    break_on_hyphens=False,
                )
            ]  # fmt: skip
        body = f"\n{rest}".join(lines)
        self.console.print(Text.assemble((first, "bold cyan"), body), soft_wrap=True)
        self.console.file.flush()

    def show(self, content: RenderableType, *, caption: str = "") -> None:
        """Print a table between empty lines, its caption above it."""
        self.console.print()
        if caption:
            self.say(caption, indent=0)
        self.console.print(content)
        self.console.print()
        self.console.file.flush()

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[Callable[[int, int], None]]:
        """A stage of a longer job: says that it begins, shows its progress, keeps its seconds in `seconds`."""
        started = time.perf_counter()
        self.say(what, label=name)
        if self.console.is_terminal:
            columns = (
                TextColumn(" " * (LABEL - 1)),
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
                self.say(f"{100 * done // total} %")

        return tick
