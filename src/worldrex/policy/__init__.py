"""Policies that are learned inside a world model: soft actor-critic and MOPO."""

from worldrex.policy.learning import Learned, Progress
from worldrex.policy.mopo import optimize, optimize_runs, setting_of
from worldrex.policy.policy import Policy, PolicyError, Scales, load_policy
from worldrex.policy.settings import MOPOConfig, PolicyRun, require_learnable
from worldrex.policy.world_env import WORLD_ID, WorldEnv, WorldVectorEnv
from worldrex.policy.worlds import Outcome, World, world_of

__all__ = [
    "WORLD_ID",
    "Learned",
    "MOPOConfig",
    "Outcome",
    "Policy",
    "PolicyError",
    "PolicyRun",
    "Progress",
    "Scales",
    "World",
    "WorldEnv",
    "WorldVectorEnv",
    "load_policy",
    "optimize",
    "optimize_runs",
    "require_learnable",
    "setting_of",
    "world_of",
]
