"""Which values are colours: all that browsers take, and nothing more."""

import pytest

from abtest.web.pages.colours import is_colour

COLOURS = [
    "#FF0000",
    "#f00",
    "#ff000080",
    "#FF00",
    "red",
    "RebeccaPurple",
    "LightGoldenRodYellow",
    "rgb(255, 0, 0)",
    "RGB(255,0,0)",
    "rgb( 100% , 0% , 12.5% )",
    "rgba(255, 0, 0, 0.5)",
    "rgb(0 128 255)",
    "rgb(0 128 255 / 50%)",
    "rgb(0% 50% 100% / .5)",
    "hsl(120, 100%, 50%)",
    "hsla(120, 100%, 50%, .5)",
    "hsl(120deg 100% 50% / 0.5)",
    "hsl(-0.25turn 100% 50%)",
]
OTHERS = [
    "FF0000",
    "#FF000",
    "#GG0000",
    "",
    "reddish",
    "blac\N{KELVIN SIGN}",
    " red",
    "red;",
    "currentColor",
    "inherit",
    "none",
    "transparent",
    "rgb(255, 0)",
    "rgb(255, 0%, 0)",
    "rgb(255 0, 0)",
    "rgb(255, 0, 0 / 1)",
    "rgb(255 0 0 0.5)",
    "rgb(1e3, 0, 0)",
    "rgb(\N{ARABIC-INDIC DIGIT THREE}, 0, 0)",
    "rgb(255,\N{NO-BREAK SPACE}0, 0)",
    "rgb (255, 0, 0)",
    "hsl(120, 100, 50)",
    "hsl(120px, 100%, 50%)",
    "hsl(100%, 100%, 50%)",
    "rgb(0, 0, 0)\n",
    "rgb(0,0,0);fill:red",
    "rgb(var(--a), 0, 0)",
    "url(#a)",
    "url(https://example.com)",
    'red"/><script>',
    "rgb(" + " " * 250,
    "rgb(" + "1" * 250,
]


@pytest.mark.parametrize("value", COLOURS)
def test_a_colour_is_known_by_its_notation_or_its_name(value: str) -> None:
    assert is_colour(value)


@pytest.mark.parametrize("value", OTHERS)
def test_what_is_not_wholly_a_colour_is_none(value: str) -> None:
    assert not is_colour(value)
