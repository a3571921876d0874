"""The same compile cache and logs as the tests of the dynamics."""

from tests.dynamics.conftest import compile_once, log

__all__ = ["compile_once", "log"]
