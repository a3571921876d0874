"""What an NPY header declares, looked at before anything is allocated for it."""

import math
import struct
import tokenize
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

# What NumPy raises on headers and arrays that are not as they should be: it reads a header as Python's own text.
DAMAGE = (struct.error, tokenize.TokenError, EOFError, OSError, KeyError, ValueError, RuntimeError, OverflowError)
DAMAGE += (MemoryError, SyntaxError, TypeError)


def declared_bytes(file: Any, version: int) -> int:
    """Bytes of an NPY array by its header, which `file` stands at; of Python objects, 0. Raises one of `DAMAGE`."""
    if version not in (1, 2, 3):
        raise ValueError(f"NPY version {version} is not known")
    read_header = np.lib.format.read_array_header_1_0 if version == 1 else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if min(shape, default=0) < 0:
        raise ValueError(f"it declares the shape {shape}")
    # An entry of an empty type still is one, and NumPy makes it a byte.
    return 0 if dtype.hasobject else math.prod(shape) * max(dtype.itemsize, 1)


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings: NumPy's and Python's about odd headers (old types, Python 2's numbers) help nobody who loads a log."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
