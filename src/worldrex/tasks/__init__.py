"""Tasks with a known truth: environments that a hidden gust disturbs, and the behaviors that log them."""

from worldrex.tasks.behaviors import Behavior
from worldrex.tasks.controllers import Feedback
from worldrex.tasks.gusty import Gusty, GustyPendulum
from worldrex.tasks.registry import Task, TaskError, names, task
from worldrex.tasks.truth import gust_effect, noise_floor, true_slope, true_step

__all__ = [
    "Behavior",
    "Feedback",
    "Gusty",
    "GustyPendulum",
    "Task",
    "TaskError",
    "gust_effect",
    "names",
    "noise_floor",
    "task",
    "true_slope",
    "true_step",
]
