"""How often the intervals of off-policy evaluation hold the true return, on gusty-pendulum.

    .venv/bin/python benchmarks/policy_evaluation.py [--seeds 10] [--steps 10000] [--weight 300] [--keep runs/fits]
    .venv/bin/python benchmarks/policy_evaluation.py --models erm=DIR penalized=DIR --data LOG

For each seed a log of the task's behaviors is collected and two models are fitted on it, both with the same settings: ERM's, and
that of the debiased variance penalty. Then each tells what policies return from the starts of the logged episodes, with its
interval over members and starts. The policies are the feedback laws of the logged behaviors as one who does not see the gust
can follow them: their torque without the share that reacts to the gust, with their noise. Beside them doing nothing, torques at
random, a firmer law than any that was logged (near the best), and one of the wrong sign. The truth is the mean over real
episodes of the same laws. With `--models` given models are judged instead, once.

Prints a Markdown table: for each policy the true return and, for each model, its mean estimate and how many of the seeds'
intervals held the truth; then the mean absolute error, the mean width of the intervals and their coverage over all. 95 % is what
the intervals promise; what all members have wrong together they cannot know.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.spaces import Box

from worldrex import tasks
from worldrex.data import CollectConfig, Transitions, collect, load
from worldrex.dynamics import FitConfig, WorldModel, first_of_episode, fit, load_model
from worldrex.evaluation import evaluate_in_model, reality_of_task
from worldrex.evaluation.episodes import run_episodes
from worldrex.tasks import Behavior, Feedback

TASK = tasks.task("gusty-pendulum")


def law(name: str, kp: float, kd: float, noise: float) -> Behavior:
    return Behavior(name, "Feedback that does not see the gust.", Feedback(kp=kp, kd=kd), compensation=0.0, noise=noise)


LAWS = (
    law("do nothing", 0.0, 0.0, 0.0),
    law("random torques", 0.0, 0.0, 1.0),
    *(law(f"kp {kp:g}, as logged", kp, 0.3 * kp, 0.4) for kp in (0.5, 1.0, 1.5, 2.0)),
    law("kp 5, firmer", 5.0, 2.0, 0.0),
    law("kp -1, the wrong sign", -1.0, -0.3, 0.4),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=FitConfig().steps)
    parser.add_argument("--warmup-steps", type=int, default=FitConfig().warmup_steps)
    parser.add_argument("--members", type=int, default=FitConfig().members)
    parser.add_argument("--elites", type=int, default=FitConfig().elites)
    parser.add_argument("--weight", type=float, default=300.0)
    parser.add_argument("--records", type=int, default=None, help="of each behavior")
    parser.add_argument("--episodes", type=int, default=2000, help="real ones, for the truth")
    parser.add_argument("--starts", type=int, default=500)
    parser.add_argument("--keep", type=Path, help="keep the fitted models here, and do not fit them again")
    parser.add_argument("--models", nargs="+", default=[], metavar="NAME=DIR")
    parser.add_argument("--data", type=Path, default=None, help="the log of --models")
    arguments = parser.parse_args()
    truth = {law.name: true_return(law, arguments.episodes) for law in LAWS}
    told: dict[str, dict[str, list[tuple[float, bool, float]]]] = {}
    for models, data in given(arguments) if arguments.models else fitted(arguments):
        for model_name, model in models.items():
            for law in LAWS:
                estimate = estimated(model, law, data, arguments.starts)
                held = estimate.low <= truth[law.name][0] <= estimate.high
                told.setdefault(model_name, {}).setdefault(law.name, []).append(
                    (estimate.value, held, estimate.high - estimate.low)
                )
                print(
                    f"{model_name}, {law.name}: {estimate.value:.1f} [{estimate.low:.1f}, {estimate.high:.1f}]",
                    flush=True,
                )
    print(
        f"\n| policy | true return | {' | '.join(f'{name} | held' for name in told)} |\n|{'---|' * (2 + 2 * len(told))}"
    )
    for name, (value, error) in truth.items():
        cells = []
        for of_model in told.values():
            values, held, _ = zip(*of_model[name], strict=True)
            cells.append(f"{np.mean(values):.1f} ± {np.std(values):.1f} | {sum(held)} of {len(held)}")
        print(f"| {name} | {value:.1f} ± {error:.1f} | {' | '.join(cells)} |")
    cells = []
    for of_model in told.values():
        errors = [abs(value - truth[name][0]) for name, values in of_model.items() for value, *_ in values]
        held, widths = np.array([told[1:] for values in of_model.values() for told in values]).T
        cells.append(f"off by {np.mean(errors):.1f}, width {widths.mean():.0f} | {100 * held.mean():.0f} %")
    print(f"| all | | {' | '.join(cells)} |")


def true_return(law: Behavior, episodes: int) -> tuple[float, float]:
    """Mean of the law's real returns, and its standard error."""
    rng = np.random.default_rng(0)
    env = reality_of_task(TASK).make_many(16)
    space = env.single_action_space
    assert isinstance(space, Box)
    ran = run_episodes(env, lambda obs, info: law.act(obs, info["gust"], space=space, rng=rng), episodes, seed=10**6)
    return float(ran.returns.mean()), float(ran.returns.std() / np.sqrt(episodes))


def estimated(model: WorldModel, law: Behavior, data: Transitions, starts: int):
    """The law's return in the model, from starts of logged episodes."""
    feedback = law.controller
    assert isinstance(feedback, Feedback)

    def choose(obs: jax.Array, key: jax.Array) -> jax.Array:
        wanted = -feedback.kp * obs[:, 1] - feedback.kd * obs[:, 2]
        wanted = wanted + law.noise * jax.random.normal(key, wanted.shape)
        return jnp.clip(wanted, -3.0, 3.0)[:, None]

    first = data.obs[np.unique(first_of_episode(data.episode))]
    chosen = np.random.default_rng(0).permutation(len(first))[:starts]
    return evaluate_in_model(model, choose, first[chosen], TASK.episode_steps, data=data).estimate


def given(arguments: argparse.Namespace):
    models = dict(pair.split("=", 1) for pair in arguments.models)
    yield {name: load_model(folder) for name, folder in models.items()}, load(arguments.data)


def fitted(arguments: argparse.Namespace):
    for seed in range(arguments.seeds):
        data = collect(CollectConfig(TASK.name, steps_per_behavior=arguments.records, seed=seed))
        config = FitConfig(
            hidden=(64, 64), batch=1024, seed=seed, steps=arguments.steps, warmup_steps=arguments.warmup_steps,
            members=arguments.members, elites=arguments.elites,
        )  # fmt: skip
        weights = {"ERM": 0.0, "penalized": arguments.weight}
        yield (
            {name: kept(data, replace(config, weight=weight), arguments.keep) for name, weight in weights.items()},
            data,
        )


def kept(data: Transitions, config: FitConfig, folder: Path | None) -> WorldModel:
    """Fitted, unless the folder has it from before."""
    path = folder and folder / f"seed-{config.seed}-weight-{config.weight:g}"
    if path and (path / "model.json").exists():
        return load_model(path)
    model = fit(data, config)
    if path:
        model.save(path)
    return model


if __name__ == "__main__":
    main()
