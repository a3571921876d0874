"""A run folder: configuration, metrics, summary, environment and status, each file written whole or not at all."""

from worldrex.runs.files import RunError, atomic_file, check_file, plain, write_json
from worldrex.runs.folder import FROM_CHECKPOINT, FROM_CHUNKS, Mirror, RunFolder, State, open_run, was_killed
from worldrex.runs.provenance import VERSIONED, environment

__all__ = [
    "FROM_CHECKPOINT",
    "FROM_CHUNKS",
    "VERSIONED",
    "Mirror",
    "RunError",
    "RunFolder",
    "State",
    "atomic_file",
    "check_file",
    "environment",
    "open_run",
    "plain",
    "was_killed",
    "write_json",
]
