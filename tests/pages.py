"""The fenced blocks of a page of docs/, for the tests that run them."""

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[1] / "docs"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, and what is in it."""

    language: str
    content: str


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a text, in order."""
    return [Block(*found) for found in FENCE.findall(text)]


def read(page: str) -> str:
    """A page of docs/ as it stands."""
    return (DOCS / page).read_text(encoding="utf-8")
