"""Logged transitions: the table type, its files, checks, description and splits."""

from typing import TYPE_CHECKING, Any

from worldrex.data.collect import CollectConfig, collect, collect_from
from worldrex.data.columns import from_columns
from worldrex.data.describe import BehaviorSummary, ColumnSummary, Description, describe
from worldrex.data.findings import Finding
from worldrex.data.label import LabelConfig, Labeling, agreement, label
from worldrex.data.label_search import Candidate
from worldrex.data.label_tables import render_labeling, write_labels
from worldrex.data.mapped import maps_of, read_mapped, release, resident, write_mapped
from worldrex.data.options import ActionBounds, LoadOptions
from worldrex.data.page import render_page
from worldrex.data.readers import load, load_each, load_unchecked
from worldrex.data.split import Labels, Spans, holdout, holdout_spans, leave_one_out
from worldrex.data.tables import render
from worldrex.data.transitions import DataError, Transitions, aligned, aligned_room, concatenate
from worldrex.data.validate import require_valid, validate

if TYPE_CHECKING:
    from worldrex.data.minari_writer import write_minari

__all__ = [
    "ActionBounds",
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
    "Spans",
    "Transitions",
    "agreement",
    "aligned",
    "aligned_room",
    "collect",
    "collect_from",
    "concatenate",
    "describe",
    "from_columns",
    "holdout",
    "holdout_spans",
    "label",
    "leave_one_out",
    "load",
    "load_each",
    "load_unchecked",
    "maps_of",
    "read_mapped",
    "release",
    "render",
    "render_labeling",
    "render_page",
    "require_valid",
    "resident",
    "validate",
    "write_labels",
    "write_mapped",
    "write_minari",
]


def __getattr__(name: str) -> Any:
    """Import the writer that needs h5py when it is first asked for."""
    if name == "write_minari":
        from worldrex.data.minari_writer import write_minari

        return write_minari
    raise AttributeError(f"module 'worldrex.data' has no attribute {name!r}")
