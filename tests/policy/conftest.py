"""Programs are compiled quickly, and once for all of the same shapes and settings: that takes far longer than to run them."""

from collections.abc import Iterator
from typing import Any

import jax
import pytest

from tests.dynamics.conftest import compile_once as compile_once
from worldrex.policy import learning
from worldrex.policy.programs import Programs, compile_programs


@pytest.fixture(scope="session", autouse=True)
def keep_programs(compile_once: None) -> Iterator[None]:
    kept: dict[Any, Programs] = {}

    def compiled(mesh: Any, setting: Any, assignments: Any, *settings: Any, **more: Any) -> Programs:
        """The programs are functions of their arguments' shapes and of the settings."""
        trees = setting, assignments
        shapes = tuple((x.shape, str(x.dtype)) for x in jax.tree.leaves(trees))
        key = mesh, jax.tree.structure(trees), shapes, settings, tuple(more.items())
        key += (jax.config.read("jax_disable_most_optimizations"),)
        if key not in kept:
            kept[key] = compile_programs(mesh, setting, assignments, *settings, **more)
        return kept[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "compile_programs", compiled)
        yield
