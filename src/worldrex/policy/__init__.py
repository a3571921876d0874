"""Policies that are learned inside a world model: soft actor-critic, MOPO, and behavior cloning beside them."""

from worldrex.policy.policy import Policy, PolicyError, Scales, load_policy

__all__ = ["Policy", "PolicyError", "Scales", "load_policy"]
