"""Equations as MathML, made while the site is built: a browser draws them without a script, a font or a network."""

import html
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

EQUATION = re.compile(r'<(span|div) class="arithmatex">(?:\\\((.*?)\\\)|\\\[(.*?)\\\])</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """The page with each equation that pymdownx.arithmatex found as MathML; one that cannot be read stops the build."""
    return EQUATION.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    tag, inline, block = found.groups()
    tex = html.unescape(inline if tag == "span" else block)
    told = convert(tex, display="inline" if tag == "span" else "block")
    if "\\" in told:  # a command that is not known is left as it stands
        raise PluginError(f"this equation has a command that latex2mathml does not know: {tex}")
    return told if tag == "span" else f'<div class="equation">{told}</div>'
