"""Numbers as people read them. The marks are those of the language (Unicode CLDR, by Babel); how many figures are
shown is decided here."""

from decimal import Decimal
from fractions import Fraction
from functools import cache

from babel import Locale
from babel.numbers import NumberPattern, parse_pattern

ENGLISH = "en_GB"
"""As the product is written: 12 Nov 2026."""
MINUS = "\N{MINUS SIGN}"
POINTS = "percentage points"
MOST_PLACES = 25
SMALLEST_P = 0.0001
SURELY_NOT = 0.001
SMALLEST_AMOUNT = 0.0001
SIZES = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))

Number = float | Decimal | Fraction


def number(value: Number, least: int = 0, most: int = MOST_PLACES, language: str = ENGLISH) -> str:
    """12,345 or 0.67: with at least and at most so many places."""
    return _written(_decimal(value), least, most, False, language)


def percent(part: Number, least: int = 1, most: int = 1, language: str = ENGLISH) -> str:
    """33.3% of a part of 1, with at least and at most so many places."""
    return _written(_decimal(part), least, most, True, language)


def figure(value: float, figures: int = 2, language: str = ENGLISH) -> str:
    """With so many figures that count, and all those before the point: 1,234, 12, 3.4, 0.056."""
    return number(_counting(value, figures), language=language)


def figure_percent(part: float, figures: int = 2, language: str = ENGLISH) -> str:
    """A part of 1 as a `figure`: 12%, 3.4%."""
    return percent(_counting(100 * part, figures) / 100, 0, MOST_PLACES, language)


def amount(value: float, language: str = ENGLISH) -> str:
    """1,234.50, or with three figures that count when it is small; 0.00 when it is less than any amount can be."""
    if abs(value) < SMALLEST_AMOUNT / 2:
        value = 0.0
    if abs(value) >= 1 or not value:
        return _minus(number(value, 2, 2, language))
    return _minus(figure(value, 3, language))


def rate(part: float, language: str = ENGLISH) -> str:
    """5.12%, of a part of 1."""
    return _minus(percent(part, 2, 2, language))


def mean(value: float, kind: str, language: str = ENGLISH) -> str:
    """What a device does on average: a `rate` for a conversion, else an `amount`."""
    return rate(value, language) if kind == "conversion" else amount(value, language)


def size(amount: float, language: str = ENGLISH) -> str:
    """Bytes with two figures that count, at least: 340 kB, 1.2 GB, 1,234 GB."""
    factor, unit = next((each for each in SIZES if abs(amount) >= each[0]), (1, "bytes"))
    return f"{_minus(figure(amount / factor, language=language))} {unit}"


def places(value: Number, language: str = ENGLISH) -> str:
    """At most two places: 0.67, 3.75, 1,000, 0."""
    return number(value, 0, 2, language)


def tenths(value: Number, language: str = ENGLISH) -> str:
    """One place, so that a column of them is aligned: 388.5, 1,000.0."""
    return number(value, 1, 1, language)


def signed(value: float, figures: int = 2, language: str = ENGLISH) -> str:
    """+12 or -3.4, as a `figure` with a real minus sign."""
    return _minus(f"{_plus(value)}{figure(value, figures, language)}")


def signed_percent(part: float, figures: int = 2, language: str = ENGLISH) -> str:
    """+12% or -3.4%, as a `figure_percent` with a real minus sign."""
    return _minus(f"{_plus(part)}{figure_percent(part, figures, language)}")


def difference(value: float, relative: bool, kind: str, figures: int = 2, language: str = ENGLISH) -> str:
    """A lift, or a difference of means where `relative` is False: +12% or -3.4, without its `unit`."""
    if relative:
        return signed_percent(value, figures, language)
    return signed(100 * value if kind == "conversion" else value, figures, language)


def unit(relative: bool, kind: str) -> str:
    """What a `difference` is in; empty where it needs no words."""
    return "" if relative or kind != "conversion" else POINTS


def p_value(p: float, language: str = ENGLISH) -> str:
    """0.031, or < 0.0001."""
    if p < SMALLEST_P:
        return f"< {number(SMALLEST_P, language=language)}"
    return number(_rounded(p, 2), language=language)


def p_is(p: float, language: str = ENGLISH) -> str:
    """p = 0.031, or p < 0.0001."""
    text = p_value(p, language)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def chance(part: float, language: str = ENGLISH) -> str:
    """83.4% of a probability; never 0% or 100%, which it only comes near: < 0.1%, > 99.9%."""
    if part < SURELY_NOT:
        return f"< {percent(SURELY_NOT, language=language)}"
    if part > 1 - SURELY_NOT:
        return f"> {percent(1 - SURELY_NOT, language=language)}"
    return percent(part, language=language)


def about(value: int) -> int:
    """To two figures from a hundred on."""
    return value if value < 100 else int(_rounded(value, 2))


def _plus(value: float) -> str:
    return "+" if value > 0 else ""


def _minus(text: str) -> str:
    return text.replace("-", MINUS)


def _counting(value: float, figures: int) -> Decimal:
    """Rounded to so many figures that count, or to a whole number where it has more."""
    whole = abs(value) >= 10 ** (figures - 1)
    return round(_decimal(value)) * Decimal(1) if whole else _rounded(value, figures)


def _rounded(value: float, figures: int) -> Decimal:
    return Decimal(f"{value:.{figures - 1}e}")


def _decimal(value: Number) -> Decimal:
    """The shortest decimal that is this number; a fraction to far more figures than are ever shown."""
    if isinstance(value, Fraction):
        return Decimal(value.numerator) / Decimal(value.denominator)
    return value if isinstance(value, Decimal) else Decimal(repr(value))


def _written(value: Decimal, least: int, most: int, percent: bool, language: str) -> str:
    # No more places than the number has: Babel rounds to all that a pattern allows.
    own = max(least, -int(value.as_tuple().exponent) - (2 if percent else 0))
    return str(_pattern(percent, least, min(most, own), language).apply(value, _locale(language)))


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(language)


@cache
def _pattern(percent: bool, least: int, most: int, language: str) -> NumberPattern:
    """The language's own pattern with other places: #,##0% becomes #,##0.0%."""
    locale = _locale(language)
    pattern = (locale.percent_formats if percent else locale.decimal_formats)[None].pattern
    before, _, after = pattern.partition("0")
    places = f".{'0' * least}{'#' * (most - least)}" if most else ""
    return parse_pattern(f"{before}0{places}{after.lstrip('.#0')}")
