"""docs/mathematics.md: its Python runs from top to bottom and prints what the page says; its claims hold in general."""

import contextlib
import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests import pages
from worldrex import risk

BLOCKS = pages.blocks(pages.read("mathematics.md"))


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the page's Python defines; what each block prints is what the page has below it."""
    found: dict[str, Any] = {}
    for block, below in pairwise([*BLOCKS, pages.Block("", "")]):
        if block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(block.content, "docs/mathematics.md", "exec"), found)
            assert (printed.getvalue(), below.language) == (below.content, "text")
    return found


def test_the_page_runs_and_its_claims_hold(names: dict[str, Any]):
    risks, slopes, kappa = names["risks"], names["slopes"], names["KAPPA"]
    # The closed form of a risk is that of simulated records.
    rng = np.random.default_rng(0)
    u, noise = rng.standard_normal((2, 400_000))
    for behavior, share in enumerate(kappa):
        action = -share * u + 0.4 * noise
        simulated = np.square(0.5 * action + u - 0.1 * action).mean()
        np.testing.assert_allclose(risks(0.1)[behavior], simulated, rtol=0.02)
    # ERM's slope, of three behaviors on the risks are equal at the truth only, and of two at one place more.
    erm = 0.5 - kappa.sum() / (kappa**2 + 0.4**2).sum()
    np.testing.assert_allclose(names["erm"], erm, atol=1e-3)
    even = np.ptp(risks(slopes, np.array([0.3, 0.9, 1.4])), axis=-1) < 1e-3
    np.testing.assert_allclose(slopes[even], 0.5, atol=2e-3)
    np.testing.assert_allclose(np.ptp(risks(0.5 - 2 / 1.2, np.array([0.3, 0.9]))), 0, atol=1e-12)
    # Between 0 and twice its best, delta beats the truth.
    bound = 2 * 1.5 / (1.5**2 + 0.4**2)
    assert risks(0.5 - 0.99 * bound)[-1] < 1 < risks(0.5 - 1.01 * bound)[-1]


def test_the_mm_rex_identity_of_the_page():
    rng, least = np.random.default_rng(1), -0.3
    risks = np.array([0.7, 0.4, 1.9, 1.1])
    closed = (1 - 4 * least) * risks.max() + least * risks.sum()
    mixtures = least + (1 - 4 * least) * rng.dirichlet(np.ones(4), 100_000)
    assert (mixtures @ risks).max() <= closed
    np.testing.assert_allclose((least + (1 - 4 * least) * np.eye(4)[risks.argmax()]) @ risks, closed)


def test_the_noise_term_is_that_of_unequal_groups():
    rng = np.random.default_rng(2)
    sizes, std, true = np.array([3, 8, 30]), np.array([0.5, 2.0, 1.0]), np.array([1.0, 1.3, 0.4])
    groups = np.repeat(np.arange(3), sizes)
    moments = risk.group_moments(true[groups] + std[groups] * rng.standard_normal((50_000, 41)), groups, 3)
    formula = true.var() + 2 / 9 * (std**2 / sizes).sum()
    np.testing.assert_allclose(np.mean(risk.variance(moments, debiased=False)), formula, rtol=0.01)
    np.testing.assert_allclose(np.mean(risk.variance(moments)), true.var(), rtol=0.03)
