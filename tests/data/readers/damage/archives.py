"""NPY and NPZ files whose headers lie, packed soundly enough that the lies are read."""

import io
import struct
import warnings
import zipfile

import numpy as np

from tests.data.readers.damage.arrays import TYPES, hostile_columns, hostile_name
from tests.data.readers.damage.choices import Choices
from tests.data.readers.damage.spans import damage_bytes

DESCRIPTIONS = (
    *tuple(f"'{name}'" for name in TYPES),
    *("'<f4'", "'|S1000000000'", "'<U536870911'", "'|V2147483647'", "'|V0'", "'S0'", "'O'", "'|O8'", "'a4'", "'<f3'"),
    *(
        "('<f4', (3,))",
        "[('a', '<f4')]",
        "[('a', '<f4', (2,))]",
        "[('a',)]",
        "[]",
        "''",
        "None",
        "3",
        "'f4,f4'",
        "'\\d'",
    ),
    *(
        "{}",
        "'<f4' 'x'",
        "'datetime64[ns]'",
        "'<m8'",
        "'object'",
        "'int'",
        "'T'",
        "'>f16'",
        "[('', '|V4'), ('b', '<i4')]",
    ),
    *(
        "{'names': ['a'], 'formats': ['<f4']}",
        "((('<f4')))",
        "'f' * 3",
        "b'<f4'",
        "('a', 'b')",
        "[[['a']]]",
        "True",
        "1j",
    ),
)
SHAPES = (
    "(6,)",
    "(6, 3)",
    "()",
    "(0,)",
    "(-1,)",
    "(-6, -3)",
    "(6L,)",
    "(6L, 3L)",
    "(1099511627776,)",
    "(4294967296, 4294967296)",
)
SHAPES += (
    "(9223372036854775807,)",
    "(18446744073709551616,)",
    "(2305843009213693952, 8)",
    "(0, 9223372036854775807)",
    "6",
)
SHAPES += (
    "(6.0,)",
    "('6',)",
    "(True,)",
    "(None,)",
    "[6]",
    "(1,) * 9",
    f"({'1, ' * 70})",
    "(6, 3",
    "(3000000, 3)",
    "(6, 0)",
)
SHAPES += (
    f"({'(' * 150}6{')' * 150},)",
    "(0o6,)",
    "(0x6,)",
    "(06,)",
    "(6, 3, 1)",
    "(-9223372036854775808,)",
    "(2147483648, 0)",
)


def npy_bytes(values: np.ndarray, choices: Choices) -> bytes:
    """An NPY file of an array, pickled where it is of objects; now and then its header says something else."""
    made = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.lib.format.write_array(made, values, allow_pickle=True)
    except (ValueError, TypeError, AttributeError, UnicodeEncodeError):
        np.lib.format.write_array(made, np.zeros(3))
    content = made.getvalue()
    if choices.chance(3):
        return _other_header(content, choices)
    return damage_bytes(content, choices) if choices.chance(4) else content


def _other_header(content: bytes, choices: Choices) -> bytes:
    length = 10 + struct.unpack("<H", content[8:10])[0]
    parts = {
        "descr": choices.one_of(DESCRIPTIONS) if choices.chance(2) else "'<f4'",
        "fortran_order": choices.one_of(["False", "True", "0", "None", "'False'"]),
        "shape": choices.one_of(SHAPES),
    }
    if choices.chance(10):
        parts.pop(choices.one_of(list(parts)))
    if choices.chance(10):
        parts["extra"] = "1"
    text = (
        "{"
        + ", ".join(f"'{name}': {value}" for name, value in parts.items())
        + choices.one_of(["}", "}", "}", ",}\n", ""])
    )
    if choices.chance(20):
        text = choices.one_of(
            ["(" * 3000, "-" * 5000, "[" * 90 + "]" * 90, "{'a': " * 80, "\0", "é", "1" * 5000, text * 2]
        )
    version = choices.one_of([1, 1, 1, 2, 3, 0, 4, 255])
    encoded = text.encode("latin1" if version == 1 else "utf-8")
    said = len(encoded) + (choices.one_of([0, 0, 0, 1, -1, 2**15]) if choices.chance(4) else 0)
    size = struct.pack("<H", said % 2**16) if version == 1 else struct.pack("<I", said % 2**32)
    return b"\x93NUMPY" + bytes([version, choices.one_of([0, 0, 1])]) + size + encoded + content[length:]


def npz_bytes(columns: dict[str, np.ndarray], choices: Choices) -> bytes:
    """An NPZ file of hostile columns."""
    columns = hostile_columns(columns, choices)
    made = io.BytesIO()
    methods = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    changed = choices.below(max(len(columns), 1))
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w", choices.one_of(methods)) as archive:
        warnings.simplefilter("ignore")  # of names that come twice
        for place, (name, values) in enumerate(columns.items()):
            content = npy_bytes(values, choices if place == changed else Choices(b""))
            member = name.encode("utf-8", "replace").decode() + ("" if choices.chance(30) else ".npy")
            archive.writestr(member or "x", content)
        if choices.chance(10):
            archive.writestr(hostile_name(choices).encode("utf-8", "replace").decode() or "x", choices.take(20))
    content = made.getvalue()
    return _other_entries(content, choices) if choices.chance(3) else content


def _other_entries(content: bytes, choices: Choices) -> bytes:
    """Other numbers in the zip archive's own headers: sizes, methods, flags, offsets, counts."""
    signature = choices.one_of([b"PK\x01\x02", b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"])
    places = [i for i in range(len(content)) if content.startswith(signature, i)]
    if not places:
        return content
    place = choices.one_of(places) + 4 + 2 * choices.below(21)
    number = choices.one_of([0, 1, 8, 9, 12, 14, 98, 99, 2**15, 2**16 - 1, 2**8, 2**11, 2**13])
    return content[:place] + struct.pack("<H", number) + content[place + 2 :]
