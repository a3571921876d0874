"""Equations as MathML, made while the site is built: a browser draws them without a script, a font or a network."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

EQUATION = re.compile(r'<(span|div) class="arithmatex">(?:\\\((.*?)\\\)|\\\[(.*?)\\\])</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """The page with each equation that pymdownx.arithmatex found as MathML; one that cannot be read stops the build."""
    return EQUATION.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    tag, inline, block = found.groups()
    if tag == "span":
        return convert(html.unescape(inline), display="inline")
    return f'<div class="equation">{convert(html.unescape(block), display="block")}</div>'
