import pytest

from worldrex.report.palette import DARK, LIGHT, MODEL_STYLES, behavior_style, with_variables


def luminance(color: str) -> float:
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_series_stand_out_from_the_paper(theme: dict[str, str]) -> None:
    for text in ("ink", "soft", "blue", "vermillion"):
        assert contrast(theme[text], theme["paper"]) >= 4.5, text
    assert contrast(theme["ink"], theme["wash"]) >= 4.5
    for series in theme.keys() - {"paper", "wash", "line"}:
        assert contrast(theme[series], theme["paper"]) >= 3, series


def test_both_themes_name_the_same_colors_and_each_light_one_is_its_own_key() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert len(set(LIGHT.values())) == len(LIGHT)


def test_lines_of_twelve_behaviors_differ_and_with_symbols_those_of_fifty() -> None:
    styles = [behavior_style(index) for index in range(50)]
    assert len({(style.color, style.dash) for style in styles[:12]}) == 12
    assert len(set(styles)) == 50


def test_models_differ_without_color() -> None:
    styles = [MODEL_STYLES[model] for model in ("erm", "chosen", "plain")]
    assert len({style.shape for style in styles}) == len({style.dash for style in styles}) == 3


def test_colors_become_variables_wherever_they_stand_and_nothing_else_changes() -> None:
    spec = {"color": LIGHT["ink"], "range": [LIGHT["blue"], "b0"], "width": 3}
    assert with_variables(spec) == {"color": "var(--ink)", "range": ["var(--blue)", "b0"], "width": 3}
