"""Logged transitions: the table type, its files, checks, description and splits."""

from worldrex.data.collect import CollectConfig, collect, collect_from
from worldrex.data.columns import from_columns
from worldrex.data.describe import BehaviorSummary, ColumnSummary, Description, describe
from worldrex.data.findings import Finding
from worldrex.data.readers import load, load_unchecked
from worldrex.data.split import Labels, holdout, leave_one_out
from worldrex.data.tables import render
from worldrex.data.transitions import DataError, Transitions, aligned, concatenate
from worldrex.data.validate import require_valid, validate

__all__ = [
    "BehaviorSummary",
    "CollectConfig",
    "ColumnSummary",
    "DataError",
    "Description",
    "Finding",
    "Labels",
    "Transitions",
    "aligned",
    "collect",
    "collect_from",
    "concatenate",
    "describe",
    "from_columns",
    "holdout",
    "leave_one_out",
    "load",
    "load_unchecked",
    "render",
    "require_valid",
    "validate",
]
