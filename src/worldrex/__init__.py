"""World models from the logs of several policies that still hold under a policy that nobody logged.

`worldrex.load` reads logs, `worldrex.crossval` chooses the penalty by leaving behaviors out, `worldrex.fit` fits the
model, `worldrex.optimize` learns a policy inside it, and `worldrex.risk` has the risks and penalties by themselves, for
four array frameworks.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worldrex import risk, tasks
    from worldrex.data import (
        CollectConfig,
        DataError,
        LabelConfig,
        Labeling,
        LoadOptions,
        Transitions,
        collect,
        describe,
        label,
        load,
    )
    from worldrex.dynamics import FitConfig, Prediction, WorldModel, fit, load_model
    from worldrex.evaluation import CrossvalConfig, CrossvalTable, crossval
    from worldrex.policy import MOPOConfig, OnlineConfig, Policy, learn_online, load_policy, optimize

    __version__: str

__all__ = [
    "CollectConfig",
    "CrossvalConfig",
    "CrossvalTable",
    "DataError",
    "FitConfig",
    "LabelConfig",
    "Labeling",
    "LoadOptions",
    "MOPOConfig",
    "OnlineConfig",
    "Policy",
    "Prediction",
    "Transitions",
    "WorldModel",
    "collect",
    "crossval",
    "describe",
    "fit",
    "label",
    "learn_online",
    "load",
    "load_model",
    "load_policy",
    "optimize",
    "risk",
    "tasks",
]

_ROOMS = {
    "worldrex.data": (
        "CollectConfig",
        "DataError",
        "LabelConfig",
        "Labeling",
        "LoadOptions",
        "Transitions",
        "collect",
        "describe",
        "label",
        "load",
    ),
    "worldrex.dynamics": ("FitConfig", "Prediction", "WorldModel", "fit", "load_model"),
    "worldrex.evaluation": ("CrossvalConfig", "CrossvalTable", "crossval"),
    "worldrex.policy": ("MOPOConfig", "OnlineConfig", "Policy", "learn_online", "load_policy", "optimize"),
}


def __getattr__(name: str) -> Any:
    """Import a room when it is first asked for, so that `import worldrex.risk` brings no framework along."""
    if name == "__version__":
        from importlib import metadata  # takes longer to import than all of `worldrex.risk`

        return metadata.version("worldrex")
    if name in ("risk", "tasks"):
        return import_module(f"worldrex.{name}")
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(room), name)
    raise AttributeError(f"module 'worldrex' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
