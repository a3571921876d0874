"""docs/commands.md: each verb of the command line and its flags, out of what `worldrex VERB --help` prints."""

import contextlib
import io
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

PAGE = "commands.md"
WIDTH = "120"
TITLE = re.compile(r"╭─ (.+?) ─+╮")
PROSE = 2  # spaces at least between a flag and what it does


class Group(NamedTuple):
    """One box of a help: its title, what it says of itself, and each flag with what it does."""

    title: str
    about: list[str]
    flags: list[tuple[str, str]]


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with a section for each verb below what it says itself."""
    return f"{markdown}\n{sections()}" if page.file.src_uri == PAGE else markdown


def sections() -> str:
    """A section for each verb: what it does, how it is called, and its flags as tables."""
    from worldrex.cli import VERBS

    return "\n".join(_section(verb, help_of(verb)) for verb in VERBS)


def help_of(verb: str) -> str:
    """What `worldrex VERB --help` prints."""
    from worldrex.cli import main

    os.environ["COLUMNS"] = WIDTH
    told = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # of another encoding, boxes would be drawn in ASCII
    with contextlib.redirect_stdout(told):
        main([verb, "--help"])
    told.seek(0)
    return re.sub(r"\x1b\[[0-9;]*m", "", told.read())


def groups(text: str) -> list[Group]:
    """The boxes of a help. Raises ValueError where a line of one is neither a flag nor goes on with what one does."""
    found: list[Group] = []
    for line in text.splitlines():
        if title := TITLE.match(line):
            found.append(Group(title[1], [], []))
        elif line.startswith("│"):
            inner = line.strip("│").rstrip()[1:]
            if set(inner) == {"─"}:  # below what the box says of itself
                found[-1].about.extend(f"{first} {more}".strip() for first, more in found[-1].flags)
                found[-1].flags.clear()
            elif not inner.startswith(" "):
                flag, _, what = inner.partition(" " * PROSE)
                found[-1].flags.append((flag, what.strip()))
            elif found[-1].flags:
                flag, what = found[-1].flags[-1]
                found[-1].flags[-1] = (flag, f"{what} {inner.strip()}".strip())
            else:
                raise ValueError(f"a line of the help that belongs to no flag: {line!r}")
    return found


def _section(verb: str, text: str) -> str:
    usage, description, *_ = (part.strip() for part in text.split("\n\n"))
    parts = [f"## {verb}", _escape(" ".join(description.split())), f"    {usage[len('usage: ') :]}"]
    for group in groups(text):
        rows = [f"| `{flag}` | {_escape(does)} |" for flag, does in group.flags if flag != "-h, --help"]
        about = _escape(" ".join(group.about))
        parts += [about, "\n".join([f"| {group.title} | |", "|---|---|", *rows])] if rows else []
    return "\n\n".join(parts) + "\n"


def _escape(text: str) -> str:
    return re.sub(r"([|*_<>$\[\]\\])", r"\\\1", text)
