"""Inputs that are copies of what the model shall predict."""

import numpy as np
from jaxtyping import Float32, Int

from worldrex.data.findings import Finding, plural, some_of
from worldrex.data.transitions import Transitions

SAMPLED_ROWS = 256


def find_copies(data: Transitions) -> list[Finding]:
    """Warnings for components of next_obs, and for a reward, that equal an obs or action component in every record.

    A component that stays the same over every step (a set point, say) is none: it does not tell the future.
    """
    inputs = np.concatenate([data.obs, data.action], axis=1)
    names = [f"obs[:, {i}]" for i in range(data.obs.shape[1])]
    names += [f"action[:, {i}]" for i in range(data.action.shape[1])]
    findings = []
    pairs = [(source, target) for source, target in equal_columns(inputs, data.next_obs) if source != target]
    targets = {target for _, target in pairs}
    if targets:
        told = some_of([f"next_obs[:, {target}] = {names[source]}" for source, target in pairs], 3)
        findings.append(
            Finding(
                "warning",
                "next_obs",
                len(targets),
                None,
                f"next_obs has {plural(len(targets), 'component')} of {data.next_obs.shape[1]} copied from an input: "
                f"{told}. Where obs holds past measurements or actions that is right, and these components are trivial "
                "to predict; otherwise the input tells the future: remove it.",
            )
        )
    copies = [names[source] for source, _ in equal_columns(inputs, data.reward[:, None])]
    if copies:
        findings.append(
            Finding(
                "warning",
                "reward",
                len(copies),
                None,
                f"reward is a copy of {some_of(copies, 3)}. If that was written after the step, the input tells the "
                "reward before it is earned: remove it.",
            )
        )
    return findings


def equal_columns(
    inputs: Float32[np.ndarray, "record input"], targets: Float32[np.ndarray, "record target"]
) -> list[tuple[int, int]]:
    """Pairs (input, target) of columns that agree in every record and are not constant."""
    sample = np.linspace(0, len(inputs) - 1, min(SAMPLED_ROWS, len(inputs))).astype(int)
    agree = (inputs[sample][:, :, None] == targets[sample][:, None, :]).all(0)
    candidates: Int[np.ndarray, "pair 2"] = np.argwhere(agree)
    return [
        (int(source), int(target))
        for source, target in candidates
        if np.array_equal(inputs[:, source], targets[:, target]) and (targets[:, target] != targets[0, target]).any()
    ]
