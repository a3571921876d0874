"""The pages' templates: strict about names, and escaping what they are given."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2


def environment(folder: Path, filters: Mapping[str, Callable[..., Any]], *, html: bool = True) -> jinja2.Environment:
    """An environment of the templates in `folder`.

    **Arguments:** `filters` by their names; whether the templates are `html`, in which all text is escaped: others
    escape each name themselves.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=html,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= filters
    return made
