"""The page's colors in light and dark, and how models and behaviors are told apart without color.

Hues after M. Okabe and K. Ito, "Color Universal Design" (2008), darkened or lightened until each stands out from its
paper.
"""

from dataclasses import dataclass
from typing import Any

LIGHT = {
    "paper": "#fffefc",
    "wash": "#f4f2ed",
    "ink": "#1b1a18",
    "soft": "#5d5a54",
    "line": "#dcd8d0",
    "edge": "#8d8980",
    "vermillion": "#c24e00",
    "blue": "#0067a3",
    "ochre": "#946200",
    "green": "#007a58",
    "purple": "#a2467c",
    "sky": "#2b86ba",
    "olive": "#6c6b0c",
    "slate": "#6b7280",
    "ramp0": "#ae8a2b",
    "ramp1": "#bd5a1e",
    "ramp2": "#9c2a48",
    "ramp3": "#66195f",
    "ramp4": "#1f0e42",
}
DARK = {
    "paper": "#161719",
    "wash": "#202225",
    "ink": "#efede8",
    "soft": "#aeaba4",
    "line": "#33363a",
    "edge": "#7d8087",
    "vermillion": "#f58a48",
    "blue": "#62b5f0",
    "ochre": "#e2ac3a",
    "green": "#2fc49a",
    "purple": "#df98c2",
    "sky": "#8fd0f5",
    "olive": "#d6d25a",
    "slate": "#a3abb8",
    "ramp0": "#8064a6",
    "ramp1": "#c85f98",
    "ramp2": "#f2845f",
    "ramp3": "#fbbc50",
    "ramp4": "#fdf2ac",
}

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
_HUES = ("green", "purple", "sky", "ochre", "slate", "olive")
# Four dashes over six hues: twelve lines differ in hue or dash before a pair comes back.
_DASHES = ((1, 0), (7, 3), (2, 2.5), (9, 3, 2, 3))


@dataclass(frozen=True)
class Style:
    """How one series is drawn: a color's name, a symbol, filled or hollow, and a dash."""

    color: str
    shape: str
    dash: tuple[float | int, ...] = (1, 0)
    hollow: bool = False

    @property
    def hex(self) -> str:
        """The color on light paper."""
        return LIGHT[self.color]


MODEL_STYLES = {
    "erm": Style("vermillion", "circle", (7, 3)),
    "chosen": Style("blue", "diamond"),
    "penalized": Style("blue", "diamond"),
    "plain": Style("ochre", "square", (2, 2.5)),
    "noise_floor": Style("ink", "tick"),
    "truth": Style("ink", "tick", (1, 0)),
    "fitted": Style("blue", "diamond"),
    "persistence": Style("edge", "tick", (1.5, 2.5)),
    "oracle": Style("edge", "tick", (1, 0)),
    "real": Style("ink", "circle"),
    "promised": Style("purple", "diamond"),
    "foretold": Style("sky", "square"),
}
# From little to much, further from the paper with each step, so that they can be told apart without hues.
RAMP_STYLES = tuple(Style(f"ramp{step}", "circle") for step in range(5))
LEVEL_STYLES = {"c50": Style("soft", "circle"), "c90": Style("soft", "square"), "c95": Style("soft", "triangle-up")}
LEFT_OUT_STYLES = {"worst": Style("ink", "circle"), "mean": Style("soft", "circle", (5, 4))}


def behavior_style(index: int) -> Style:
    """The style of the behavior at `index` in the list of logged behaviors."""
    return Style(
        _HUES[index % len(_HUES)],
        # The last cycle shifts the shapes, so that a hue and a dash that come back have another symbol.
        SHAPES[(index + index // 12) % len(SHAPES)],
        _DASHES[index % len(_DASHES)],
    )


def fold_style(index: int) -> Style:
    """The style of a left-out behavior: the symbol that it has elsewhere, but in gray behind the worst and the mean."""
    return Style("edge", behavior_style(index).shape)


def with_variables(value: Any) -> Any:
    """A chart's specification with CSS variables for the light palette's colors, so that one chart has both themes."""
    names = {color: f"var(--{name})" for name, color in LIGHT.items()}
    match value:
        case dict():
            return {key: with_variables(item) for key, item in value.items()}
        case list():
            return [with_variables(item) for item in value]
        case str():
            return names.get(value, value)
        case _:
            return value
