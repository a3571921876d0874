"""V-REx in a Keras/TensorFlow training loop, against empirical risk minimization (seconds; `vrex_torch.py` tells the task)."""

import keras
import tensorflow as tf

from worldrex import risk

AGAINST = tf.constant([0.0, 0.5, 1.0, 1.5])  # how much of the gust each logged operator compensates


def records(against: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    gust, noise = tf.random.normal((2, len(against), 1))
    action = 0.7 * noise - against[:, None] * gust
    return action, 0.5 * action + gust


def train(weight: float) -> keras.Model:
    keras.utils.set_random_seed(0)
    groups = tf.range(8192) % 4
    data = tf.data.Dataset.from_tensor_slices((*records(tf.gather(AGAINST, groups)), groups))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam(1e-2)

    @tf.function
    def step(x: tf.Tensor, y: tf.Tensor, groups: tf.Tensor, weight: float) -> None:
        with tf.GradientTape() as tape:
            losses = tf.reduce_mean((model(x) - y) ** 2, axis=-1)  # one loss for each record: no mean over the batch
            objective = risk.objective(risk.group_moments(losses, groups, num_groups=4), weight=weight, rescale=True)
        optimizer.apply_gradients(zip(tape.gradient(objective, model.weights), model.weights, strict=True))

    schedule = risk.schedules.Step(weight, at=300, reset=False)  # first without the penalty: far off, it can mislead
    for number, (x, y, ids) in enumerate(data.shuffle(8192).repeat().batch(256).take(800)):
        step(x, y, ids, schedule(number))
    return model


x, y = records(-tf.ones(100_000))  # one whom nobody logged leans with the gust; the truth's error is 1
for name, weight in {"ERM": 0.0, "V-REx": 30.0}.items():
    error = tf.reduce_mean((train(weight)(x) - y) ** 2)
    print(f"{name}: error under the unseen operator {error:.2f}")
