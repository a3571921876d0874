"""What a run ran on."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

VERSIONED = ("worldrex", "jax", "jaxlib", "optax", "numpy", "gymnasium", "pyarrow", "safetensors")


def environment() -> dict[str, Any]:
    """Versions, machine and source revision: what it takes to repeat a run."""
    versions = {}
    for name in VERSIONED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    machine = {"platform": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count()}
    machine |= {"memory_bytes": memory}
    return {"python": sys.version.split()[0], **versions, "machine": machine, "git": _revision()}


def _revision() -> str | None:
    """The commit of the sources that run, with "+" if they have changed since; None outside a checkout."""
    here = Path(__file__).parents[1]
    try:
        revision = subprocess.run(
            ["git", "-C", here, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()
        changes = subprocess.run(
            ["git", "-C", here, "status", "--porcelain", "."], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return revision + ("+" if changes else "")
