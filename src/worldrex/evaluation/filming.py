"""A GIF of an episode in reality and, beside it, of the model's rollout from the same start."""

import os
import sys
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from jaxtyping import Float, UInt8

from worldrex.data import Transitions
from worldrex.dynamics import WorldModel
from worldrex.evaluation.environments import EvaluationError, Reality
from worldrex.evaluation.episodes import seed_of_first
from worldrex.evaluation.policy_evaluation import MARGIN
from worldrex.policy import Policy
from worldrex.policy.rollouts import follow
from worldrex.policy.worlds import world_of
from worldrex.runs import atomic_file
from worldrex.tasks import Gusty

Frames = list[UInt8[np.ndarray, "height width 3"]]
Rewards = list[float]

HEIGHT, BAND = 300, 40
FASTEST = 50  # frames per second that a GIF can tell
INSTALL = "pip install 'worldrex[render]'"


def _show_pendulum(env: PendulumEnv, obs: np.ndarray, action: np.ndarray | None) -> None:
    env.state = np.array([np.arctan2(obs[1], obs[0]), obs[2]])
    env.last_u = None if action is None else float(action[0])  # pyright: ignore[reportAttributeAccessIssue]


def _shown_by(env: gymnasium.Env) -> Callable[[np.ndarray, np.ndarray | None], None] | None:
    """How to set the state that an observation and the action before it tell, so that the renderer draws what the model
    predicts; None where an observation does not tell it.
    """
    if isinstance(env.unwrapped, PendulumEnv):
        return partial(_show_pendulum, env.unwrapped)
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, Gusty) and type(env).recall is not Gusty.recall:
            gusty = env
            return lambda obs, _: gusty.recall(obs)
        env = env.env
    return None


def require_filmable(reality: Reality, path: Path, *, with_model: bool) -> None:
    """Raise `EvaluationError` where no film can be made: no renderer, or a model whose states it cannot draw."""
    if path.suffix.lower() != ".gif":
        raise EvaluationError(f"{path} is not called .gif, which is the one kind of film that is written.")
    try:
        import PIL.Image  # noqa: F401  # pyright: ignore
    except ImportError as error:
        raise EvaluationError(f"a film needs pillow, which is not installed: {INSTALL}") from error
    env = reality.make()
    modes = env.metadata.get("render_modes") or ()
    if "rgb_array" not in modes:
        raise EvaluationError(
            f"{reality.name} cannot be filmed: it renders {', '.join(modes) or 'nothing'}, no images."
        )
    if with_model and _shown_by(env) is None:
        raise EvaluationError(
            f"the model's rollout cannot be drawn: an observation of {reality.name} does not tell its renderer's state (it does "
            "for Pendulum-v1 and the built-in tasks). Leave --model away to film reality alone."
        )
    env.close()
    # No window is opened, so that none need be possible.
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    if sys.platform == "linux":
        os.environ.setdefault("MUJOCO_GL", "egl")
    env = reality.make(render_mode="rgb_array")
    try:
        env.reset(seed=0)
        env.render()
    except (gymnasium.error.DependencyNotInstalled, ImportError, AttributeError, RuntimeError) as error:
        # The last three are MuJoCo's, where it finds no OpenGL.
        raise EvaluationError(f"{reality.name} cannot be drawn: {error}. {INSTALL}") from error
    finally:
        env.close()


def film(
    path: Path, policy: Policy, reality: Reality, *, model: WorldModel | None = None, data: Transitions | None = None,
    seed: int = 0,
) -> None:  # fmt: skip
    """Write a GIF of the first episode that is judged under this seed, by the deterministic actions.

    **Arguments:** `model`, whose rollout from the same start is shown beside it, each step drawn from an elite at random;
    `data`, which bounds it. **Raises:** `RunError` where the file cannot be written.
    """
    env = reality.make(render_mode="rgb_array")
    start, real = _reality(env, policy, seed_of_first(seed))
    panels = [("reality", *real)]
    if model is not None:
        panels.append(("model", *_rollout(env, policy, model, data, start, reality.episode_steps, seed)))
    rate = min(env.metadata.get("render_fps") or 30, FASTEST)
    env.close()
    content = BytesIO()
    first, *rest = _composed(panels)
    first.save(content, "GIF", save_all=True, append_images=rest, duration=round(1000 / rate), loop=0)
    with atomic_file(path) as file:
        file.write(content.getvalue())


def _reality(env: gymnasium.Env, policy: Policy, seed: int) -> tuple[np.ndarray, tuple[Frames, Rewards]]:
    obs, _ = env.reset(seed=seed)
    start, frames, rewards, ended = obs, [_image(env)], [], False
    while not ended:
        obs, reward, terminated, truncated, _ = env.step(np.asarray(policy.act(obs)))
        ended = terminated or truncated
        frames.append(_image(env))
        rewards.append(float(reward))
    return start, (frames, rewards)


def _rollout(
    env: gymnasium.Env, policy: Policy, model: WorldModel, data: Transitions | None, start: Float[np.ndarray, " obs"],
    steps: int, seed: int,
) -> tuple[Frames, Rewards]:  # fmt: skip
    world = world_of(model, data, uncertainty="aleatoric", margin=MARGIN)
    roll = jax.jit(lambda start, key: follow(world, lambda obs, _: policy.act(obs), start, steps + 1, key=key))
    path = roll(jnp.asarray(start, jnp.float32)[None], jax.random.key(seed))
    obs, action, reward, valid = (np.asarray(x)[:, 0] for x in path[:4])
    show, happened = _shown_by(env), int(valid[:steps].sum())
    assert show is not None
    frames = []
    for number in range(happened + 1):
        show(obs[number], action[number - 1] if number else None)
        frames.append(_image(env))
    return frames, reward[:happened].tolist()


def _image(env: gymnasium.Env) -> UInt8[np.ndarray, "height width 3"]:
    image = env.render()
    assert isinstance(image, np.ndarray)
    return image.copy()


def _composed(panels: list[tuple[str, Frames, Rewards]]) -> list[Any]:
    """The panels side by side, each below its name and the return so far; one that ends earlier stays at its end."""
    from PIL import Image, ImageDraw, ImageFont  # pyright: ignore

    font = ImageFont.load_default(18)
    composed = []
    for number in range(max(len(frames) for _, frames, _ in panels)):
        images = []
        for name, frames, rewards in panels:
            image = Image.fromarray(frames[min(number, len(frames) - 1)])
            image = image.resize((round(image.width * HEIGHT / image.height), HEIGHT))
            panel = Image.new("RGB", (image.width, HEIGHT + BAND), "white")
            panel.paste(image, (0, BAND))
            write = ImageDraw.Draw(panel)
            write.text((10, BAND // 2), name, "black", font, "lm")
            total = f"return {sum(rewards[:number]):,.1f}"
            write.text((image.width - 10, BAND // 2), total, "black", font, "rm")
            images.append(panel)
        frame = Image.new("RGB", (sum(image.width for image in images) + 4 * (len(images) - 1), HEIGHT + BAND), "gray")
        left = 0
        for image in images:
            frame.paste(image, (left, 0))
            left += image.width + 4
        composed.append(frame.quantize(64))
    return composed
