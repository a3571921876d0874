"""Risk penalties on Colored MNIST, with the published full-batch recipe and in mini-batches.

    .venv/bin/python benchmarks/colored_mnist.py --data mnist.npz --penalty variance [--restarts 10]
    .venv/bin/python benchmarks/colored_mnist.py --data mnist.npz --batch 256 --steps 3000 --switch 500 --decay \\
        --learning-rate 3e-4 --weights 1000 10000 --debiased no yes --tracking 0 0.97

MNIST (an npz with x_train, y_train) at 14 x 14; the label is "digit below 5", flipped in 25 % of the records; a color, which of 2
channels has the image, agrees with the label in 80 % and 90 % of the records of the two training environments of 25,000, and
in 10 % of the 10,000 test records: who follows the color is right in training and wrong in the test. A multilayer
perceptron of 2 x 256 ReLU units, Adam at 1e-3, and, as in the release of Krueger et al. 2021 (arXiv 2003.00688),

    sum of risks + weight * (R_1 - R_2)^2 + 0.001 |parameters|^2,   divided by the weight; weight 1 up to step 100, 1e4 after

on the full batch, 501 steps. `--penalty irm` has the mean squared derivative in the logits' scale instead of the square,
`worst` (MM-REx) has |R_1 - R_2|, `none` nothing, and no weight to divide by; `--gray` (an oracle) sees no color. (R_1 - R_2)^2
is 4 times `risk.variance`. `--tracking`: what each batch leaves of the earlier ones' weight in the risks that are compared.

The restarts (data's chance, start and batches from the seed and the restart's number alone) are one program along a `run`
axis, each trained by itself and spread over JAX's devices where their number divides that of the runs. Prints a Markdown
table, mean ± standard deviation over the restarts: accuracy in percent on all training records and on the test, the lowest of
the latter, the risks (mean losses) of both, and R_1 - R_2. An oracle has 75, 0.562 and 0.
"""

import argparse
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from worldrex import risk

PIXELS = 14 * 14
LABEL_NOISE = 0.25
DISAGREE = (0.2, 0.1, 0.9)
Layers = list[tuple[Array, Array]]


class Recipe(NamedTuple):
    """What all runs of a program share."""

    penalty: str
    debiased: bool
    tracking: float
    gray: bool
    hidden: int
    learning_rate: float
    l2: float
    steps: int
    switch: int
    decay: bool
    batch: int | None
    """Records of a batch, half of each environment; None for all."""


class Environment(NamedTuple):
    """Images without color `[record, 196]`, color and label `[record]`, 0 or 1."""

    images: Array
    color: Array
    label: Array


def main() -> None:
    arguments = parsed()
    images, digits = read(arguments.data)
    heads = ("penalty", "batch", "weight", "restarts", "train", "test", "lowest", "risks", "R_1 - R_2", "seconds a run")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)
    for word, tracking in product(arguments.debiased, arguments.tracking):
        debiased = word == "yes"
        each = {"debiased": debiased, "tracking": tracking}
        recipe = Recipe(**each, **{name: getattr(arguments, name) for name in Recipe._fields if name not in each})
        number = len(arguments.weights)
        weights = jnp.repeat(jnp.array(arguments.weights), arguments.restarts)
        restarts = jnp.tile(arguments.first + jnp.arange(arguments.restarts), number)
        began = time.perf_counter()
        found = run(recipe, images, digits, weights, restarts, arguments.seed)
        seconds = (time.perf_counter() - began) / len(weights)
        of_weights = zip(*(one.reshape(number, -1) for one in found), strict=True)
        for weight, (accuracies, test, first, second, test_risk) in zip(arguments.weights, of_weights, strict=True):
            of_tracking = f", tracked {tracking:g}" if tracking else ""
            cells = (
                f"{'gray, ' * arguments.gray}{recipe.penalty}{', debiased' * debiased}{of_tracking}",
                f"{recipe.batch or 'full'}",
                f"{weight:g}",
                f"{arguments.restarts}",
                f"{100 * accuracies.mean():.1f} ± {100 * accuracies.std():.1f}",
                f"{100 * test.mean():.1f} ± {100 * test.std():.1f}",
                f"{100 * test.min():.1f}",
                f"{(first + second).mean() / 2:.3f} / {test_risk.mean():.3f}",
                f"{(first - second).mean():+.3f} ± {(first - second).std():.3f}",
                f"{seconds:.1f}",
            )
            print(f"| {' | '.join(cells)} |", flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--penalty", choices=("none", "variance", "worst", "irm"), default="variance")
    parser.add_argument("--debiased", nargs="+", choices=("no", "yes"), default=["no"])
    parser.add_argument("--tracking", type=float, nargs="+", default=[0.0])
    parser.add_argument("--gray", action="store_true")
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument(
        "--first", type=int, default=0, help="the number of the first restart, to go on from an earlier run"
    )
    parser.add_argument("--weights", type=float, nargs="+", default=[1e4])
    parser.add_argument("--batch", type=lambda word: None if word == "full" else int(word), default=None)
    parser.add_argument("--steps", type=int, default=501)
    parser.add_argument("--switch", type=int, default=100)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument(
        "--decay", action="store_true", help="the learning rate falls to 0 along a cosine after the switch"
    )
    parser.add_argument("--l2", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.penalty == "none":
        # Divided by a weight that weighs nothing, the loss would only starve Adam.
        arguments.weights = [0.0]
    return arguments


def read(path: Path) -> tuple[Array, Array]:
    """All of MNIST's training images at 14 x 14, `[record, 196]` from 0 to 1, and their digits."""
    if not path.is_file():
        sys.exit(
            f"{path} is not there: an npz with MNIST's x_train [60000, 28, 28] and y_train, as Keras distributes it."
        )
    with np.load(path) as arrays:
        images, digits = arrays["x_train"][:, ::2, ::2], arrays["y_train"]
    return jnp.array(images.reshape(-1, PIXELS) / np.float32(255)), jnp.array(digits, jnp.int32)


def run(recipe: Recipe, images: Array, digits: Array, weights: Array, restarts: Array, seed: int) -> list[np.ndarray]:
    """What `train` returns, each `[run]`."""

    def of_runs(images: Array, digits: Array, weights: Array, restarts: Array) -> list[Array]:
        def one(its: tuple[Array, Array]) -> list[Array]:
            weight, restart = its
            return train(recipe, images, digits, weight, key=jax.random.fold_in(jax.random.key(seed), restart))

        return jax.lax.map(one, (weights, restarts))

    if len(weights) % jax.device_count() == 0:
        mesh = Mesh(np.array(jax.devices()), ("run",))
        of_runs = jax.shard_map(
            of_runs, mesh=mesh, in_specs=(P(), P(), P("run"), P("run")), out_specs=P("run"), check_vma=False
        )
    return [np.asarray(one) for one in jax.jit(of_runs)(images, digits, weights, restarts)]


def train(recipe: Recipe, images: Array, digits: Array, weight: Array, *, key: Array) -> list[Array]:
    """One restart: its environments, start, training; accuracy in training and test, risks of the two and of the test."""
    for_data, for_start, for_batches = jax.random.split(key, 3)
    *training, test = environments(images, digits, key=for_data)
    together = Environment(*(jnp.concatenate(parts) for parts in zip(*training, strict=True)))
    size = len(together.label) // 2
    layers = start(PIXELS if recipe.gray else 2 * PIXELS, recipe.hidden, key=for_start)
    rate = recipe.learning_rate
    if recipe.decay:
        falling = optax.cosine_decay_schedule(rate, recipe.steps - recipe.switch)
        rate = optax.join_schedules([optax.constant_schedule(rate), falling], [recipe.switch])
    optimizer = optax.adam(rate)
    everything = None if recipe.batch else inputs(together, recipe.gray)

    def step(carry: tuple[Layers, Any, Any], its: tuple[Array, Array]) -> tuple[tuple[Layers, Any, Any], None]:
        layers, state, seen = carry
        number, key = its
        if recipe.batch:
            half = recipe.batch // 2
            rows = jax.random.randint(key, (2, half), 0, size) + jnp.array([[0], [size]])
            batch = Environment(*(part[rows.reshape(-1)] for part in together))
            x, label = inputs(batch, recipe.gray), batch.label
        else:
            x, label = everything, together.label
        now = jnp.where(number < recipe.switch, jnp.minimum(1.0, weight), weight)
        gradient, seen = jax.grad(objective, has_aux=True)(layers, seen, x, label, now, recipe)
        updates, state = optimizer.update(gradient, state)
        return (jax.tree.map(jnp.add, layers, updates), state, seen), None

    steps = jnp.arange(recipe.steps), jax.random.split(for_batches, recipe.steps)
    seen = risk.tracking.init(risk.GroupMoments(*(jnp.zeros(2) for _ in range(3))))
    (layers, *_), _ = jax.lax.scan(step, (layers, optimizer.init(layers), seen), steps)
    judged = [judge(layers, one, recipe.gray) for one in (*training, test)]
    (right, first), (right_too, second), (right_in_test, last) = judged
    return [(right + right_too) / 2, right_in_test, first, second, last]


def environments(images: Array, digits: Array, *, key: Array) -> list[Environment]:
    """Two training environments of every other one of all but a sixth of the images, shuffled, and the test of the rest."""
    for_order, *keys = jax.random.split(key, 4)
    count = len(digits) * 5 // 6
    order = jax.random.permutation(for_order, count)
    parts = (order[: count // 2], order[count // 2 :], jnp.arange(count, len(digits)))
    found = []
    for rows, disagree, of_part in zip(parts, DISAGREE, keys, strict=True):
        for_label, for_color = jax.random.split(of_part)
        label = (digits[rows] < 5) ^ jax.random.bernoulli(for_label, LABEL_NOISE, rows.shape)
        color = label ^ jax.random.bernoulli(for_color, disagree, rows.shape)
        found.append(Environment(images[rows], color.astype(images.dtype), label.astype(images.dtype)))
    return found


def inputs(environment: Environment, gray: bool) -> Array:
    """What the network sees: the image in the channel of its color, the other one dark, `[record, 392]`; or the image."""
    images, color = environment.images, environment.color[:, None]
    return images if gray else jnp.concatenate([images * (1 - color), images * color], 1)


def start(width: int, hidden: int, *, key: Array) -> Layers:
    """Weights uniform in +-sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010), biases 0."""
    layers = []
    for rows, columns, of_layer in zip(
        (width, hidden, hidden), (hidden, hidden, 1), jax.random.split(key, 3), strict=True
    ):
        limit = (6 / (rows + columns)) ** 0.5
        layers.append((jax.random.uniform(of_layer, (rows, columns), minval=-limit, maxval=limit), jnp.zeros(columns)))
    return layers


def logits(layers: Layers, x: Array) -> Array:
    for weights, bias in layers[:-1]:
        x = jax.nn.relu(x @ weights + bias)
    weights, bias = layers[-1]
    return (x @ weights + bias)[:, 0]


def objective(
    layers: Layers, seen: risk.WeightedMoments, x: Array, label: Array, weight: Array, recipe: Recipe
) -> tuple[Array, risk.WeightedMoments]:
    """Sum of the risks, the penalty with its weight, and |parameters|^2; divided by the weight where that is above 1.

    Returns what is known after this batch, too: of the risks, or with `irm` of their derivatives.
    """
    found = logits(layers, x)
    groups = jnp.repeat(jnp.arange(2), len(label) // 2)
    moments = risk.group_moments(optax.sigmoid_binary_cross_entropy(found, label), groups, 2)
    # dl/dw of the loss of w times the logit, at w = 1
    scales = risk.group_moments((jax.nn.sigmoid(found) - label) * found, groups, 2)
    compared = scales if recipe.penalty == "irm" else moments
    if recipe.tracking:
        seen, compared = risk.tracking.step(seen, compared, decay=recipe.tracking)
    factor = {"variance": 4.0, "worst": 2.0}.get(recipe.penalty, 1.0)  # to (R_1 - R_2)^2 and |R_1 - R_2|
    value = risk.objective(
        moments,
        penalty=recipe.penalty,  # pyright: ignore[reportArgumentType]
        weight=factor * weight,
        debiased=recipe.debiased,
        reduce="sum",
        scales=compared if recipe.penalty == "irm" else None,
        tracked=None if recipe.penalty == "irm" else compared,
    )
    return (value + recipe.l2 * optax.tree.norm(layers, squared=True)) / jnp.maximum(1.0, weight), seen


def judge(layers: Layers, environment: Environment, gray: bool) -> tuple[Array, Array]:
    """Accuracy and risk."""
    found = logits(layers, inputs(environment, gray))
    losses = optax.sigmoid_binary_cross_entropy(found, environment.label)
    return jnp.mean((found > 0) == (environment.label > 0.5)), losses.mean()


if __name__ == "__main__":
    main()
