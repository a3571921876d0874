"""Policies that are learned inside a world model, or by acting: soft actor-critic and MOPO, and behavior cloning beside."""

from worldrex.policy.cloning import CloneConfig, clone
from worldrex.policy.errors import PolicyError
from worldrex.policy.learning import Learned, Progress
from worldrex.policy.mopo import optimize, optimize_runs, setting_of
from worldrex.policy.online import OnlineConfig, OnlineProgress, learn_online
from worldrex.policy.policy import Policy, load_policy
from worldrex.policy.scales import Scales
from worldrex.policy.settings import MOPOConfig, PolicyRun, require_learnable
from worldrex.policy.world_env import WORLD_ID, WorldEnv, WorldVectorEnv
from worldrex.policy.worlds import Outcome, World, world_of

__all__ = [
    "WORLD_ID",
    "CloneConfig",
    "Learned",
    "MOPOConfig",
    "OnlineConfig",
    "OnlineProgress",
    "Outcome",
    "Policy",
    "PolicyError",
    "PolicyRun",
    "Progress",
    "Scales",
    "World",
    "WorldEnv",
    "WorldVectorEnv",
    "clone",
    "learn_online",
    "load_policy",
    "optimize",
    "optimize_runs",
    "require_learnable",
    "setting_of",
    "world_of",
]
