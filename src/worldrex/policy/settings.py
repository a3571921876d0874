"""What the policies that are learned side by side share, what one of them is, and which settings none can have."""

from dataclasses import asdict, dataclass
from typing import get_args

from worldrex.policy.errors import PolicyError
from worldrex.policy.sac import SACConfig
from worldrex.policy.uncertainties import UncertaintyName


@dataclass(frozen=True)
class MOPOConfig(SACConfig):
    """How a policy is learned inside a world model."""

    steps: int = 50_000
    """Updates of the networks."""
    pessimism: float = 1.0
    """What a unit of uncertainty costs, in units of the reward."""
    uncertainty: UncertaintyName = "aleatoric"
    """What the model does not know: by its noise, its elites, the log's behaviors, or the critics (MOBILE)."""
    absorb_beyond: float | None = None
    """Quantile of the uncertainty on the log beyond which a rollout falls into an absorbing state (MOReL); none if not given."""
    absorb_reward: float | None = None
    """Reward of each step there; the least in the log if not given."""
    conservatism: float = 0.0
    """Weight of what the critics hold of the policy's actions in rollouts less what they hold of logged ones (COMBO)."""
    imitation: float = 0.0
    """Weight of the actor's distance from the logged actions, beside the size of what the critics promise it (TD3+BC)."""
    horizon: int = 5
    """Steps of a rollout in the model, from a logged observation on."""
    rollouts: int = 1000
    """Rollouts that begin together."""
    rollout_every: int = 250
    """Updates from one set of rollouts to the next."""
    retain: int = 20
    """Sets of rollouts that the replay buffer holds; the oldest one is forgotten first."""
    real_ratio: float = 0.05
    """Share of each batch that comes from the log."""
    margin: float = 0.1
    """How far the model's outputs may leave the range of the log's, as a share of that range; there they are held."""
    action_low: tuple[float, ...] | None = None
    """Least action of the action space, one number for all components or one for each; the least in the log if not given."""
    action_high: tuple[float, ...] | None = None
    """Greatest action of the same."""
    seed: int = 0
    """Seed of the first weights, the rollouts and the batches."""

    @property
    def logged(self) -> int:
        """Records of each batch that come from the log."""
        return round(self.real_ratio * self.batch)


@dataclass(frozen=True)
class PolicyRun:
    """What is particular to one of several policies that are learned side by side."""

    pessimism: float = 1.0
    seed: int = 0
    model: int = 0
    """Which of the models it learns in."""


BAD_SHARE = 0.5  # of the updates between two reports; learning with more that are not finite is given up
_LEAST = {
    "critics": 1, "batch": 1, "steps": 1, "horizon": 1, "rollouts": 1, "rollout_every": 1, "retain": 1, "seed": 0,
    "learning_starts": 0, "buffer": 1, "updates_per_step": 1,
}  # fmt: skip
_SHARES = {"real_ratio": (0.0, 1.0), "tau": (0.0, 1.0), "discount": (0.0, 1.0)}


def require_learnable(config: SACConfig) -> None:
    """Raise `PolicyError` for settings that no policy can be learned with, of those that this configuration has."""
    given = asdict(config)
    for name, least in _LEAST.items():
        if given.get(name, least) < least:
            raise PolicyError(f"{name} is {given[name]}; learning needs {least} or more.")
    for name, (low, high) in _SHARES.items():
        if not low <= given.get(name, low) <= high:
            raise PolicyError(f"{name} is {given[name]}; it is a share from {low:g} to {high:g}.")
    for name in ("learning_rate", "temperature"):
        if not 0 < given[name] < float("inf"):
            raise PolicyError(f"{name} is {given[name]}; learning needs a positive, finite one.")
    for name in ("pessimism", "margin", "conservatism", "imitation"):
        if not 0 <= given.get(name, 0) < float("inf"):
            raise PolicyError(f"{name} is {given[name]}; give a finite number of 0 (none) or more.")
    if not config.hidden or any(width < 1 for width in config.hidden):
        raise PolicyError(
            f"hidden is {config.hidden}; actor and critics need a layer or more, each of a width of 1 or more."
        )
    if given.get("uncertainty", "aleatoric") not in get_args(UncertaintyName):
        raise PolicyError(
            f"uncertainty is {given['uncertainty']!r}; choose one of {', '.join(get_args(UncertaintyName))}."
        )
    if isinstance(config, MOPOConfig):
        _require_of_family(config)
    if config.target_entropy is not None and not abs(config.target_entropy) < float("inf"):
        raise PolicyError(f"target_entropy is {config.target_entropy}; give a finite number, or none.")


def _require_of_family(config: MOPOConfig) -> None:
    if config.conservatism and not 0 < config.logged < config.batch:
        raise PolicyError(
            f"conservatism compares rollouts with the log, and of a batch of {config.batch} {config.logged} records come from "
            f"the log at real_ratio {config.real_ratio:g}: give a real_ratio that leaves some of both."
        )
    if config.imitation and not config.logged:
        raise PolicyError(
            f"imitation compares the actor with the log, and of a batch of {config.batch} no record comes from the log at "
            f"real_ratio {config.real_ratio:g}: give a larger real_ratio."
        )
    if config.absorb_beyond is None:
        if config.absorb_reward is not None:
            raise PolicyError(
                f"absorb_reward is {config.absorb_reward}, and no step leads to an absorbing state: give absorb_beyond."
            )
        return
    if not 0 <= config.absorb_beyond <= 1:
        raise PolicyError(f"absorb_beyond is {config.absorb_beyond}; it is a quantile from 0 to 1.")
    if config.uncertainty == "bellman":
        raise PolicyError(
            "absorb_beyond is a quantile of the uncertainty on the log, and bellman changes with the critics: choose "
            "another uncertainty."
        )
    if config.discount == 1:
        raise PolicyError("discount is 1; an absorbing state needs one below 1, or being there has no finite worth.")
    if config.absorb_reward is not None and not abs(config.absorb_reward) < float("inf"):
        raise PolicyError(f"absorb_reward is {config.absorb_reward}; give a finite number, or none.")
