"""Risk penalties on the linear structural equation models of Invariant Risk Minimization, beside what was published.

    .venv/bin/python benchmarks/linear_sem.py [--repetitions 20] [--settings FOU FEU ...]

The models (Arjovsky et al. 2019, arXiv 1907.02893, section 5.1; as its released code makes the data), s an environment's scale:

    h = s N,   x = W_hx h + s N,   y = x + W_hy h + noise_y,   z = y + W_hz h + noise_z,   each of 5 components

The inputs are (x, z), 10 in all, the target the sum of y's components: right is 1 for each x, 0 for each z. A setting's letters:
Fully observed (W_hx = 1, W_hy = W_hz = 0) or Partially (Gaussian, of deviation 0.1: h confounds); hOmoskedastic (noise_y = N,
noise_z = s N) or hEteroskedastic (noise_y = s N, noise_z = N); Unscrambled or Scrambled (inputs times an orthogonal matrix;
errors are those of the coefficients turned back). 1,000 records each of s = 0.2 and 2 to train on; s = 5 chooses among the
weights and, as in the released code, ERM trains on it, too.

Every method minimizes share * mean risk + (1 - share) * penalty on the full batch and takes the share (IRM's grid: 0, 1e-5
... 0.1) of the least risk at s = 5. The risks of a linear model are quadratic in its coefficients, so `risk` is given their exact
moments from sums over the records; all repetitions and shares are one program, in float64. The released codes' recipe is
the default (Adam at 1e-3, 50,000 steps, IRM's features from the identity, V-REx's coefficients from 1); `--optimizer lbfgs`
goes on to a stationary point. "Excess" takes off each environment's risk what is known of it: the noise of y, or the
risk of the environment's own least squares.
Prints a Markdown table: mean squared error of the causal / of the other coefficients, mean and standard error.
"""

import argparse
import functools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from worldrex import risk

SCALES = (0.2, 2.0, 5.0)
RECORDS, HALF = 1_000, 5
SHARES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
SETTINGS = ("FOU", "FOS", "FEU", "FES", "POU", "POS", "PEU", "PES")
METHODS = ("IRM", "V-REx", "V-REx, excess over the noise", "V-REx, excess over own best")


class Environments(NamedTuple):
    """One repetition's data: three environments that share their weights."""

    inputs: np.ndarray
    """`[environment, record, 10]`"""
    target: np.ndarray
    """`[environment, record]`"""
    turn: np.ndarray
    """The orthogonal matrix that the inputs were multiplied by, `[10, 10]`."""
    noise: np.ndarray
    """What the true coefficients' risk is in expectation, `[environment]`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=SETTINGS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--optimizer", choices=("adam", "lbfgs"), default="adam")
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    heads = ("setting", "method", "causal", "noncausal", "share (median)", "at share 1e-5", "gradient left", "seconds")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for setting in arguments.settings:
        drawn = [draw(setting, np.random.default_rng([arguments.seed, n])) for n in range(arguments.repetitions)]
        erm = np.stack([least_squares(one.inputs.reshape(-1, 2 * HALF), one.target.reshape(-1)) for one in drawn])
        print(f"| {setting} | ERM | {across(errors(erm, drawn))} | | | | |", flush=True)
        for method in arguments.methods:
            began = time.perf_counter()
            found, left = trained(method, drawn, arguments.optimizer, arguments.steps)
            held_out = np.stack([last_risks(one, of) for one, of in zip(drawn, found, strict=True)])
            best = held_out.argmin(1)
            cells = (
                across(errors(found[np.arange(len(drawn)), best], drawn)),
                f"{np.median(np.array(SHARES)[best]):g}",
                " / ".join(f"{error:.4f}" for error in errors(found[:, 1], drawn).mean(0)),
                f"{np.median(left):.0e}, worst {left.max():.0e}",
                f"{time.perf_counter() - began:.0f}",
            )
            print(f"| {setting} | {method} | {' | '.join(cells)} |", flush=True)


def last_risks(one: Environments, found: np.ndarray) -> np.ndarray:
    """The risk of each row of coefficients in the environment that chooses among them."""
    return ((one.inputs[2] @ found.T - one.target[2][:, None]) ** 2).mean(0)


def draw(setting: str, rng: np.random.Generator) -> Environments:
    """One repetition of a setting."""
    observed, noise_of, turned = setting
    eye, zero = np.eye(HALF), np.zeros((HALF, HALF))
    hidden = [rng.normal(size=(HALF, HALF)) / (2 * HALF) for _ in range(3)]
    to_x, to_y, to_z = (eye, zero, zero) if observed == "F" else hidden
    square = np.linalg.qr(rng.normal(size=(2 * HALF, 2 * HALF)))[0]
    turn = square if turned == "S" else np.eye(2 * HALF)
    inputs, target = [], []
    for scale in SCALES:
        h, of_x, of_y, of_z = rng.normal(size=(4, RECORDS, HALF))
        of_y, of_z = (of_y, scale * of_z) if noise_of == "O" else (scale * of_y, of_z)
        x = scale * (h @ to_x + of_x)
        y = x + scale * h @ to_y + of_y
        z = y + scale * h @ to_z + of_z
        inputs.append(np.concatenate([x, z], 1) @ turn)
        target.append(y.sum(1))
    scales = np.array(SCALES)
    noise = scales**2 * np.sum(to_y.sum(1) ** 2) + HALF * (1.0 if noise_of == "O" else scales**2)
    return Environments(np.stack(inputs), np.stack(target), turn, noise)


def errors(found: np.ndarray, drawn: list[Environments]) -> np.ndarray:
    """Mean squared error of the causal and of the other coefficients of each repetition, `[repetition, 2]`."""
    true = np.repeat([1.0, 0.0], HALF)
    back = np.stack([one.turn @ w for one, w in zip(drawn, found, strict=True)])
    return ((back - true) ** 2).reshape(-1, 2, HALF).mean(2)


def across(values: np.ndarray) -> str:
    mean, error = values.mean(0), values.std(0, ddof=1) / len(values) ** 0.5
    return f"{mean[0]:.4f} ± {error[0]:.4f} | {mean[1]:.4f} ± {error[1]:.4f}"


def least_squares(inputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(inputs, target, rcond=None)[0]


def baselines(method: str, one: Environments) -> np.ndarray:
    """What is taken off the risks of the two training environments."""
    if method.endswith("the noise"):
        return one.noise[:2]
    if method.endswith("own best"):
        pairs = list(zip(one.inputs[:2], one.target[:2], strict=True))
        return np.array([np.mean((x @ least_squares(x, y) - y) ** 2) for x, y in pairs])
    return np.zeros(2)


def trained(method: str, drawn: list[Environments], optimizer: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The coefficients `[repetition, share, 10]`, and the largest derivative that is left, `[repetition, share]`."""
    start = jnp.eye(2 * HALF) if method == "IRM" else jnp.ones(2 * HALF)
    data = [
        jnp.array(np.stack(arrays))
        for arrays in zip(*(sums(one, baselines(method, one)) for one in drawn), strict=True)
    ]
    found, left = minimized(optimizer, steps, start, jnp.array(SHARES), Sums(*data))
    return np.asarray(found), np.asarray(left)


class Sums(NamedTuple):
    """What the risks of linear models are made of: means over the records of each training environment."""

    inputs: Any
    """Of x x^T, `[environment, 10, 10]`."""
    cross: Any
    """Of x y, `[environment, 10]`."""
    target: Any
    """Of y^2, `[environment]`."""
    baseline: Any
    """What is taken off the risk, `[environment]`."""


def sums(one: Environments, baseline: np.ndarray) -> Sums:
    x, y = one.inputs[:2], one.target[:2]
    return Sums(
        np.einsum("enj,enk->ejk", x, x) / RECORDS, np.einsum("enj,en->ej", x, y) / RECORDS, (y**2).mean(1), baseline
    )


@functools.partial(jax.jit, static_argnums=(0, 1))
def minimized(name: str, steps: int, start: Array, shares: Array, data: Sums) -> tuple[Array, Array]:
    optimizer = optax.lbfgs(memory_size=20) if name == "lbfgs" else optax.adam(1e-3)

    def of_one(share: Array, data: Sums) -> tuple[Array, Array]:
        objective = functools.partial(objective_of, share=share, data=data)

        def step(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], None]:
            params, state = carry
            if name == "lbfgs":
                value, gradient = optax.value_and_grad_from_state(objective)(params, state=state)
                updates, state = optimizer.update(
                    gradient, state, params, value=value, grad=gradient, value_fn=objective
                )
            else:
                updates, state = optimizer.update(jax.grad(objective)(params), state)
            return (jnp.asarray(optax.apply_updates(params, updates)), state), None

        (params, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), None, steps)
        return coefficients(params), jnp.max(jnp.abs(jax.grad(objective)(params)))

    of_shares = jax.vmap(of_one, (0, None))
    return jax.vmap(of_shares, (None, 0))(shares, data)


def coefficients(params: Array) -> Array:
    """The linear model's; IRM's parameters are a square matrix of features with a classifier of ones upon it."""
    return params.sum(1) if params.ndim == 2 else params


def objective_of(params: Array, *, share: Array, data: Sums) -> Array:
    """share * mean risk + (1 - share) * penalty: IRM's of a matrix of features, V-REx's of coefficients."""
    w = coefficients(params)
    fitted = data.inputs @ w
    risks = moments_of(fitted @ w - 2 * data.cross @ w + data.target)
    if params.ndim == 2:
        # The derivative in each feature's weight of the classifier, at weights of one.
        penalty = risk.irm(moments_of(2 * ((fitted - data.cross) @ params).T), debiased=False).mean()
    else:
        penalty = risk.variance(risk.excess(risks, data.baseline), debiased=False)
    return share * risk.mean_risk(risks) + (1 - share) * penalty


def moments_of(mean: Array) -> risk.GroupMoments:
    """Of full batches whose mean is known; what plain penalties do not ask for is left at 0."""
    return risk.GroupMoments(jnp.full_like(mean, RECORDS), mean, jnp.zeros_like(mean))


if __name__ == "__main__":
    main()
