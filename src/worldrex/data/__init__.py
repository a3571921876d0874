"""Logged transitions: the table type, its files, checks, description and splits."""

from typing import TYPE_CHECKING, Any

from worldrex.data.collect import CollectConfig, collect, collect_from
from worldrex.data.columns import from_columns
from worldrex.data.describe import BehaviorSummary, ColumnSummary, Description, describe
from worldrex.data.findings import Finding
from worldrex.data.label import LabelConfig, Labeling, agreement, label
from worldrex.data.label_search import Candidate
from worldrex.data.label_tables import render_labeling, write_labels
from worldrex.data.options import LoadOptions
from worldrex.data.readers import load, load_unchecked
from worldrex.data.split import Labels, holdout, leave_one_out
from worldrex.data.tables import render
from worldrex.data.transitions import DataError, Transitions, aligned, concatenate
from worldrex.data.validate import require_valid, validate

if TYPE_CHECKING:
    from worldrex.data.minari_writer import write_minari

__all__ = [
    "BehaviorSummary",
    "Candidate",
    "CollectConfig",
    "ColumnSummary",
    "DataError",
    "Description",
    "Finding",
    "LabelConfig",
    "Labeling",
    "Labels",
    "LoadOptions",
    "Transitions",
    "agreement",
    "aligned",
    "collect",
    "collect_from",
    "concatenate",
    "describe",
    "from_columns",
    "holdout",
    "label",
    "leave_one_out",
    "load",
    "load_unchecked",
    "render",
    "render_labeling",
    "require_valid",
    "validate",
    "write_labels",
    "write_minari",
]


def __getattr__(name: str) -> Any:
    """Import the writer that needs h5py when it is first asked for."""
    if name == "write_minari":
        from worldrex.data.minari_writer import write_minari

        return write_minari
    raise AttributeError(f"module 'worldrex.data' has no attribute {name!r}")
