"""docs/risk.md: its drop-in examples run, V-REx beats ERM in each, and its table of betas holds in every row."""

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from worldrex import risk

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "risk.md").read_text()

Formula = Callable[[np.ndarray, float], float]
# Each author's own objective of the risks r and beta b, written out.
OBJECTIVES: dict[str, Formula] = {
    "V-REx paper, eq. 8": lambda r, b: r.sum() + b * r.var(),
    "its released code, K = 2": lambda r, b: r[0] + r[1] + b * (r[0] - r[1]) ** 2,
    "the same, as rescaled for β > 1": lambda r, b: (r[0] + r[1] + b * (r[0] - r[1]) ** 2) / b,
    "DomainBed": lambda r, b: r.mean() + b * ((r - r.mean()) ** 2).mean(),
    "with the sample variance": lambda r, b: r.mean() + b * r.var(ddof=1),
    "notebook": lambda r, b: r.sum() + r.var(),
    "notebook, β multiplied": lambda r, b: r.sum() + b * r.var(),
    "notebook, β divided": lambda r, b: r.sum() / b + r.var(),
}


def table_rows() -> dict[str, list[str]]:
    """The code of each row of the table of betas: weight, times, weight of the sum, times."""
    table = PAGE.split("## Whose beta?")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")][2:]
    return {row[0].strip(): [cell.strip().strip("`") for cell in row[2:]] for row in rows}


def run(name: str, capsys: pytest.CaptureFixture[str], *needs: str) -> list[str]:
    for module in needs:
        pytest.importorskip(module, reason=f"the example uses {module}, which is not installed")
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    return capsys.readouterr().out.splitlines()


def errors(lines: list[str]) -> dict[str, float]:
    return {line.split(":")[0]: float(line.split()[-1]) for line in lines}


def moments_of(risks: np.ndarray) -> risk.GroupMoments:
    """Of three records in each group, whose losses differ; and of a group that is absent."""
    losses = (risks[:, None] + np.array([-0.1, 0.0, 0.1])).ravel()
    moments = risk.group_moments(losses, np.repeat(np.arange(len(risks)), 3), len(risks) + 1)
    assert isinstance(moments, risk.GroupMoments)
    return moments


def test_the_table_of_betas_has_a_check_for_each_row():
    assert list(table_rows()) == list(OBJECTIVES)


@pytest.mark.parametrize("whose", OBJECTIVES)
@pytest.mark.parametrize("beta", [0.1, 3.0, 10_000.0])
def test_the_table_of_betas(whose: str, beta: float):
    risks = np.array([0.7, 0.4] if "R₁" in PAGE.split(f"| {whose} |")[1].split("|")[0] else [0.7, 0.4, 1.9, 1.1])
    weight, times, sum_weight, sum_times = (eval(code, {"beta": beta, "K": len(risks)}) for code in table_rows()[whose])
    expected = OBJECTIVES[whose](risks, beta)
    m = moments_of(risks)
    np.testing.assert_allclose(times * risk.objective(m, weight=weight, debiased=False), expected, rtol=1e-12)
    np.testing.assert_allclose(
        sum_times * risk.objective(m, weight=sum_weight, debiased=False, reduce="sum"), expected, rtol=1e-12
    )


@pytest.mark.parametrize("least", [-1.0, 0.0, 0.25])
def test_mm_rex_in_the_words_of_the_page(least: float):
    assert '`penalty="worst"` at weight `1 - K * lambda_min`' in PAGE
    risks = np.array([0.7, 0.4, 1.9, 1.1])
    expected = (1 - 4 * least) * risks.max() + least * risks.sum()
    np.testing.assert_allclose(risk.objective(moments_of(risks), penalty="worst", weight=1 - 4 * least), expected)


def test_the_papers_weight_as_the_page_says_it():
    risks = np.array([0.7, 0.4])
    expected = risks.sum() + 10_000 * (risks[0] - risks[1]) ** 2
    assert "10,000 for two groups is a `weight` of 20,000" in PAGE
    np.testing.assert_allclose(2 * risk.objective(moments_of(risks), weight=20_000.0, debiased=False), expected)


def test_the_page_names_every_penalty():
    table = PAGE.split("## The penalties")[1].split("|---|---|---|\n")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(risk.PENALTIES)


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        pytest.param("vrex_torch", ("torch",), marks=pytest.mark.torch),
        pytest.param("vrex_keras", ("tensorflow", "keras"), marks=pytest.mark.tensorflow),
        ("vrex_equinox", ("equinox",)),
    ],
)
def test_vrex_beats_erm_under_an_unseen_operator(name: str, needs: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    assert f'--8<-- "examples/{name}.py"' in PAGE
    # A reader has JAX's own promotion of dtypes and ranks.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        error = errors(run(name, capsys, *needs))
    assert set(error) == {"ERM", "V-REx"}
    assert error["ERM"] > 2.0
    assert 0.95 < error["V-REx"] < 1.25


@pytest.mark.torch
def test_gradient_accumulation_is_exact(capsys: pytest.CaptureFixture[str]):
    (line,) = run("exact_vrex_torch", capsys, "torch")
    assert float(line.split()[-1]) < 1e-4
    import torch

    accumulate = runpy.run_path(str(ROOT / "examples" / "exact_vrex_torch.py"))["accumulate"]
    torch.manual_seed(1)
    model = torch.nn.Linear(3, 2, dtype=torch.float64)
    x, y = torch.randn(500, 3, dtype=torch.float64), torch.randn(500, 2, dtype=torch.float64)
    groups = torch.arange(500) // 150  # the first micro-batches lack the later groups
    parts = list(zip(x.split(64), y.split(64), groups.split(64), strict=True))
    accumulate(model, parts, 6, 100.0)
    whole = risk.group_moments((model(x) - y).square().mean(dim=-1), groups, 6)
    expected = torch.autograd.grad(risk.objective(whole, weight=100.0), list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-12)
