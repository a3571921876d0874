"""The build fails where a public name is not on the reference, or has no docstring."""

import inspect
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

PAGE = "reference.md"
_NAMES = ("risk", "tasks", "data", "dynamics", "policy", "evaluation", "report", "watch")
ROOMS = ("worldrex", *(f"worldrex.{room}" for room in _NAMES))


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """The page as it is. Raises PluginError, which ends the build, with the names that are missing."""
    from mkdocs.exceptions import PluginError

    if page.file.src_uri == PAGE and (names := undocumented(content)):
        raise PluginError(f"docs/{PAGE}: no entry, or no docstring, for {', '.join(names)}")
    return content


def undocumented(content: str) -> list[str]:
    """The names in each room's `__all__` that have no anchor in the page or no docstring of their own."""
    names = [(room, name) for room in ROOMS for name in import_module(room).__all__]
    return [f"{room}.{name}" for room, name in names if not _documented(room, name, content)]


def _documented(room: str, name: str, content: str) -> bool:
    value = getattr(import_module(room), name)
    paths = {f"{room}.{name}"}
    if inspect.ismodule(value):
        paths.add(value.__name__)
    elif inspect.isclass(value) or inspect.isroutine(value):
        where = value.__module__
        # Also under the room that offers it, or where it is defined.
        paths |= {f"{'.'.join(where.split('.')[:2])}.{name}", f"{where}.{value.__qualname__}"}
    else:
        return f'id="{room}.{name}"' in content  # of a constant without a docstring mkdocstrings makes no entry
    text = (value.__doc__ or "").strip()
    # What NamedTuple and dataclass write where there is no docstring.
    return bool(text) and not text.startswith(f"{name}(") and any(f'id="{path}"' in content for path in paths)
