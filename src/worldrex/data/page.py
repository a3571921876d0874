"""A description as one self-contained HTML page, without scripts."""

from pathlib import Path

from markupsafe import Markup

from worldrex.data.describe import Description
from worldrex.data.findings import plural
from worldrex.data.tables import number_in_words, remark
from worldrex.templates import environment
from worldrex.terminal import printable

_HERE = Path(__file__).parent


def render_page(description: Description) -> str:
    """The whole description as HTML; names of others are escaped, and what cannot be printed is told by its code."""
    filters = {"number": number_in_words, "plural": plural, "printable": printable, "remark": remark}
    return (
        environment(_HERE, filters)
        .get_template("page.html.j2")
        .render(
            description=description,
            errors=[finding for finding in description.findings if finding.severity == "error"],
            warnings=[finding for finding in description.findings if finding.severity == "warning"],
            css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        )
    )
