"""Choices that some bytes make, so that the same bytes damage a log in the same way again."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Reads bytes as choices; behind their end every choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, count: int) -> int:
        """A number from 0 to count - 1."""
        size = 1 if count <= 2**8 else 2 if count <= 2**16 else 4
        return int.from_bytes(self.take(size), "little") % max(count, 1)

    def one_of(self, things: Sequence[T]) -> T:
        return things[self.below(len(things))]

    def chance(self, of: int) -> bool:
        """True once in so many times."""
        return self.below(of) == of - 1

    def take(self, count: int) -> bytes:
        """The next bytes; zeros behind the end."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken.ljust(count, b"\0")

    def rest(self) -> bytes:
        taken = self._data[self._at :]
        self._at = len(self._data)
        return taken
