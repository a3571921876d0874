"""The stages of the main job that go on from the models: learn policies in them, and find out what these are worth.

Each leaves what a resumed run needs in the run folder.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from worldrex.data import Transitions
from worldrex.data.findings import plural
from worldrex.dynamics import TrainingError, WorldModel, forget
from worldrex.evaluation import Contender, Reality, contest
from worldrex.policy import (
    CloneConfig,
    OnlineConfig,
    PolicyError,
    PolicyRun,
    Progress,
    clone,
    learn_online,
    load_policy,
    optimize_runs,
)
from worldrex.policy.sac import SACConfig
from worldrex.policy.scales import scales_of
from worldrex.stages import Job, checkpoints

# Of a log that is longer, whole episodes: the policies' log and replay buffer lie in memory.
MOST_RECORDS = 1_000_000
NUM_ENVS = 8
# Who learned where; "penalized" is the model that was chosen wherever a penalty pays.
PLACES = {"erm": "erm", "penalized": "penalized", "simulator": None}
CLONING = "cloning"


def learn_and_judge(
    job: Job, logged: Transitions, models: Mapping[str, WorldModel], *, penalty_chosen: bool
) -> dict[str, Any]:
    """Policies out of ERM's model and the penalized one, and, where there is a real environment, as a reference out of that.

    **Returns:** what they promised and what they are worth, as summary.json has it; where no policy can be learned, the reason: a
    model is worth a report without one.
    """
    nothing = {"policy": {}, "returns": None, "policy_note": ""}
    if not job.policies:
        return nothing
    data = _some_episodes(logged, job.optimize.seed)
    note = _learn(job, data, models)
    return nothing | ({"policy_note": note} if note else _judge(job, data, models, penalty_chosen=penalty_chosen))


def _learn(job: Job, data: Transitions, models: Mapping[str, WorldModel]) -> str:
    kept = job.folder.kept("optimize")
    if kept is None:
        job.folder.begin("optimize")
        note = ""
        try:
            _learn_in_models(job, data, models)
        except (PolicyError, TrainingError) as error:
            note = str(error)
        else:
            _imitate(job, data)
        if job.reality is not None and not note:
            try:
                _learn_in_reality(job, data, job.reality)
            except (PolicyError, TrainingError) as error:
                # What was learned in the models stands without it.
                job.terminal.say(f"no reference: {error}", label="simulate")
        stages = [stage for stage in ("optimize", "clone", "simulate") if stage in job.terminal.seconds]
        kept = {"note": note, "seconds": {stage: job.terminal.seconds[stage] for stage in stages}}
        job.folder.keep("optimize", kept)
        forget(job.folder.path / "checkpoint" / "optimize")
    job.terminal.seconds |= kept["seconds"]
    if kept["note"]:
        job.terminal.say(f"no policy: {kept['note']}", label="optimize")
    return kept["note"]


def _judge(job: Job, data: Transitions, models: Mapping[str, WorldModel], *, penalty_chosen: bool) -> dict[str, Any]:
    job.folder.begin("evaluate")
    contenders = {
        ("chosen" if place == "penalized" and penalty_chosen else place): Contender(
            [load_policy(_folder(job, place, seed)) for seed in _seeds(job)], model
        )
        for place, model in PLACES.items()
        if all((_folder(job, place, seed) / "policy.json").exists() for seed in _seeds(job))
    }
    imitator = _folder(job, CLONING, job.optimize.seed)
    if (imitator / "policy.json").exists():
        contenders[CLONING] = Contender([load_policy(imitator)], None)
    where = f"in {job.reality.name}, {job.returns.episodes} episodes each" if job.reality else "as the models see them"
    with job.terminal.stage("evaluate", f"the policies {where}") as tick:
        told = contest(contenders, models, "penalized", data, job.reality, job.returns, tick=tick)
    rows = told.pop("policy")
    if not penalty_chosen:
        rows["chosen"] = rows["erm"]
    contenders["chosen" if penalty_chosen else "erm"].policies[0].save(job.folder.path / "policy")
    return {"policy": rows, "returns": told}


def _learn_in_models(job: Job, data: Transitions, models: Mapping[str, WorldModel]) -> None:
    places = [place for place, model in PLACES.items() if model is not None]
    runs = [PolicyRun(job.optimize.pessimism, seed, number) for number in range(len(places)) for seed in _seeds(job)]
    of_run = [(places[run.model], run.seed) for run in runs]

    def report(progress: Progress) -> None:
        told = progress._asdict()
        job.folder.log(
            {
                "stage": "optimize",
                "model": place,
                "seed": seed,
                **{name: value if np.ndim(value) == 0 else value[number] for name, value in told.items()},
            }
            for number, (place, seed) in enumerate(of_run)
        )

    what = f"{plural(job.policies, 'seed')} in each model ({', '.join(places)}), {job.optimize.steps:,} updates"
    with job.terminal.stage("optimize", what) as tick:
        learned = optimize_runs(
            [models[place] for place in places], data, runs, job.optimize, report=report, tick=tick,
            **checkpoints(job.folder, job.terminal, "optimize"),
        )  # fmt: skip
        for (place, seed), policy in zip(of_run, learned.policies, strict=True):
            policy.save(_folder(job, place, seed))


def _imitate(job: Job, data: Transitions) -> None:
    """By as many updates as a policy in a model, at most those that cloning takes."""
    of, folder = job.optimize, _folder(job, CLONING, job.optimize.seed)
    if (folder / "policy.json").exists():
        return  # from before an interruption
    config = CloneConfig(
        of.hidden, min(of.steps, CloneConfig.steps), seed=of.seed, action_low=of.action_low, action_high=of.action_high
    )
    with job.terminal.stage("clone", f"imitates the log, {config.steps:,} updates: a baseline") as tick:
        clone(data, config, tick=tick).save(folder)


def _learn_in_reality(job: Job, data: Transitions, reality: Reality) -> None:
    """As many updates as in a model."""
    shared = {field.name: getattr(job.optimize, field.name) for field in fields(SACConfig)}
    scales = scales_of(data, job.optimize.action_low, job.optimize.action_high)
    what = f"{plural(job.policies, 'seed')} in {reality.name} itself, {job.optimize.steps:,} updates: the reference"
    with job.terminal.stage("simulate", what) as tick:
        for number, seed in enumerate(_seeds(job)):
            folder = _folder(job, "simulator", seed)
            if (folder / "policy.json").exists():
                continue  # from before an interruption

            def tick_on(done: int, total: int, before: int = number) -> None:
                tick(before * total + done, job.policies * total)

            config = OnlineConfig(**shared, steps=NUM_ENVS * job.optimize.steps, seed=seed)
            learn_online(reality.make_many(NUM_ENVS), config, scales=scales, tick=tick_on).save(folder)


def _folder(job: Job, place: str, seed: int) -> Path:
    return job.folder.path / "policies" / f"{place}-{seed}"


def _seeds(job: Job) -> range:
    return range(job.optimize.seed, job.optimize.seed + job.policies)


def _some_episodes(logged: Transitions, seed: int) -> Transitions:
    """The log; of one that is too long, so many of its episodes, drawn at random, as have about the most records."""
    if len(logged) <= MOST_RECORDS:
        return logged
    episodes, records = np.unique(logged.episode, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(episodes))
    before = np.cumsum(records[order]) - records[order]
    taken = order[before < MOST_RECORDS]
    return logged.rows(np.isin(logged.episode, episodes[taken]))
