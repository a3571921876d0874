import gymnasium
import numpy as np
import pytest

from worldrex import tasks


def test_the_tasks_and_their_columns():
    assert tasks.names() == ("gusty-pendulum", "plain-pendulum")
    for name in tasks.names():
        task = tasks.task(name)
        assert task.name == name
        assert task.output_names == ("cos θ", "sin θ", "ω", "reward")
        assert task.action_names == ("torque",)
        assert (task.steps_per_behavior, task.episode_steps) == (10_240, 40)
        assert len(task.logged) == 4
        assert not {b.name for b in task.logged} & {b.name for b in task.unlogged}


def test_the_plain_task_differs_in_the_gust_alone():
    gusty, plain = map(tasks.task, tasks.names())
    assert (gusty.strength, plain.strength) == (2.0, 0.0)
    assert (gusty.logged, gusty.unlogged, gusty.env_id) == (plain.logged, plain.unlogged, plain.env_id)


@pytest.mark.parametrize(("wrong", "closest"), [("gusty-pendulm", "gusty-pendulum"), ("plain", "plain-pendulum")])
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
        *_, terminated, truncated, info = env.step(np.zeros((3, 1), np.float32))
        gusts.append(info["gust"])
        assert truncated.all() == (step == task.episode_steps - 1)
        assert not terminated.any()
    assert np.std(gusts) == pytest.approx(task.strength, rel=0.15)
    assert env.get_attr("correlation") == (0.0, 0.0, 0.0)
