"""Damage to bytes, whatever they mean: as disks, networks and fuzzers make it."""

import struct

from tests.data.readers.damage.choices import Choices

# Lengths, offsets and counts at which readers go wrong.
INTERESTING = (0, 1, -1, 7, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**16, 2**24, 2**31 - 1, -(2**31), 2**32 - 1, 2**32)
INTERESTING += (2**40, 2**53, 2**62, 2**63 - 1, -(2**63), 2**64 - 1)
TOKENS = (
    b"\0",
    b"\n",
    b"\r",
    b'"',
    b",",
    b";",
    b"\xff",
    b"\x1b[31m",
    b"nan",
    b"inf",
    b"1e999",
    b"null",
    b"[" * 40,
    b"{}",
)
TOKENS += (b"-1", b"18446744073709551616", b"PAR1", b"PK\x03\x04", b"\x93NUMPY", b"'", b"None", b"\xed\xa0\x80", b"<b>")


def damage_bytes(content: bytes, choices: Choices) -> bytes:
    """One to four kinds of damage, one after the other."""
    for _ in range(1 + choices.below(4)):
        content = _damage(content, choices)
    return content


def _damage(content: bytes, choices: Choices) -> bytes:
    kind, start = choices.below(12), choices.below(len(content) + 1)
    stop = min(start + 1 + choices.below(64), len(content))
    before, span, after = content[:start], content[start:stop], content[stop:]
    match kind:
        case 0:
            return before
        case 1 | 2:
            return before + bytes([span[0] ^ (1 << choices.below(8))]) + span[1:] + after if span else content
        case 3:
            return before + choices.take(1) + content[start + 1 :]
        case 4:
            return before + choices.take(len(span)) + after
        case 5:
            return before + choices.take(1 + choices.below(16)) + content[start:]
        case 6:
            return before + after
        case 7:
            return before + span * (2 + choices.below(40)) + after
        case 8 | 9:
            number = _interesting(choices)
            return before + number + content[start + len(number) :]
        case 10:
            return before + choices.one_of(TOKENS) + (after if choices.chance(2) else content[start:])
        case _:
            other = choices.below(len(content) + 1)
            return before + content[other : other + len(span)] + after


def _interesting(choices: Choices) -> bytes:
    size = choices.one_of([1, 2, 4, 8])
    number = (choices.one_of(INTERESTING) & (2**64 - 1)) % 2 ** (8 * size)
    little = struct.pack("<Q", number)[:size]
    return little if choices.below(4) else little[::-1]
