"""What a page is made of, whatever its format: sections of words, figures with their keys, and tables."""

from dataclasses import dataclass

import altair as alt

from worldrex.report.palette import Style
from worldrex.report.tables import Table


@dataclass(frozen=True)
class Key:
    """An entry of a legend: its button hides the series in the charts beside it."""

    key: str
    name: str
    style: Style
    description: str = ""


@dataclass(frozen=True)
class Figure:
    """A chart with what stands for it where it is not seen, and the table of its numbers if it has one of its own."""

    name: str
    chart: alt.LayerChart
    caption: str
    alternative: str
    table: Table | None = None
    title: str = ""


@dataclass(frozen=True)
class Panels:
    """Figures that stand beside each other, and what they are together; folded ones wait until they are opened."""

    figures: tuple[Figure, ...]
    title: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Shade:
    """What the colors of a chart may mean: the switch's word for it, and its legend."""

    key: str
    name: str
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Section:
    """A part of the page: what it is about in general, what this run shows, and the evidence."""

    name: str
    title: str
    words: tuple[str, ...] = ()
    reading: str = ""
    panels: tuple[Panels, ...] = ()
    keys: tuple[Key, ...] = ()
    lines: bool = False
    """Whether the keys are drawn as lines."""
    shades: tuple[Shade, ...] = ()
    """Legends of a chart whose colors a switch gives another meaning, in place of `keys`."""
    tables: tuple[Table, ...] = ()
    folded: tuple[Table, ...] = ()
    beside: bool = False
    """Whether the tables stand beside the figure."""
    wide: bool = False
    """Whether all of it is as wide as the page, the tables before the figures."""

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All of them, in their order."""
        return tuple(figure for panels in self.panels for figure in panels.figures)

    @property
    def legend(self) -> tuple[Key, ...]:
        """What a figure by itself needs to be read: the keys, or those of the first shade."""
        return self.shades[0].keys if self.shades else self.keys
