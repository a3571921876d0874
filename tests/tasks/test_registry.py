import dataclasses

import gymnasium
import numpy as np
import pytest

from worldrex import tasks

KINDS = ("pendulum", "reacher", "hopper", "halfcheetah")


def test_the_tasks_and_their_columns():
    assert tasks.names() == tuple(f"{gust}-{kind}" for kind in KINDS for gust in ("gusty", "plain"))
    for name in tasks.names():
        task = tasks.task(name)
        env = task.make_gusty()
        assert task.name == name
        assert task.description.endswith(".")
        assert env.observation_space.shape == (len(task.output_names) - 1,)
        assert env.action_space.shape == (len(task.action_names),)
        assert len(set(task.output_names)) == len(task.output_names)
        assert len(task.logged) == 4
        assert not {b.name for b in task.logged} & {b.name for b in task.unlogged}


def test_the_pendulums_columns_and_sizes():
    for name in ("gusty-pendulum", "plain-pendulum"):
        task = tasks.task(name)
        assert task.output_names == ("cos θ", "sin θ", "ω", "reward")
        assert task.action_names == ("torque",)
        assert (task.steps_per_behavior, task.episode_steps, task.draws) == (10_240, 40, 64)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("pendulum", "torque"),
        ("reacher", "shoulder + elbow"),
        ("hopper", "thigh + leg"),
        ("halfcheetah", "back thigh + front thigh"),
    ],
)
def test_all_behaviors_of_a_task_answer_the_gust_in_one_direction(kind, named):
    task = tasks.task(f"gusty-{kind}")
    assert {b.direction for b in (*task.logged, *task.unlogged)} == {task.direction}
    assert np.linalg.norm(task.direction) == pytest.approx(1)
    assert task.direction_name == named
    assert [b.compensation for b in task.logged] == [0.0, 0.25, 0.5, 0.75]
    assert [b.compensation for b in task.unlogged] == [-0.5, 0.0, 1.25]


@pytest.mark.parametrize("kind", KINDS)
def test_the_plain_task_differs_in_the_gust_alone(kind):
    gusty, plain = tasks.task(f"gusty-{kind}"), tasks.task(f"plain-{kind}")
    assert gusty.strength > 0
    assert dataclasses.replace(gusty, name=plain.name, description=plain.description, strength=0.0) == plain


@pytest.mark.parametrize(("wrong", "closest"), [("gusty-pendulm", "gusty-pendulum"), ("gusty-hoper", "gusty-hopper")])
def test_an_unknown_name_is_answered_with_the_known_ones_and_the_closest(wrong, closest):
    with pytest.raises(tasks.TaskError, match="gusty-pendulum, plain-pendulum") as caught:
        tasks.task(wrong)
    assert repr(wrong) in str(caught.value)
    assert f"did you mean {closest!r}?" in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", tasks.names())
def test_environments_have_the_tasks_gust_and_length(name):
    task = tasks.task(name)
    env = task.make_env(3)
    assert isinstance(env, gymnasium.vector.SyncVectorEnv)
    assert env.num_envs == 3
    assert env.metadata["autoreset_mode"] == gymnasium.vector.AutoresetMode.NEXT_STEP
    _, info = env.reset(seed=0)
    gusts = [info["gust"]]
    for step in range(task.episode_steps):
        *_, terminated, truncated, info = env.step(np.zeros((3, len(task.action_names)), np.float32))
        gusts.append(info["gust"])
        if "hopper" not in name:
            assert truncated.all() == (step == task.episode_steps - 1)
            assert not terminated.any()
    assert np.std(gusts) == pytest.approx(task.strength, rel=0.15)
    assert env.get_attr("correlation") == (0.0, 0.0, 0.0)
