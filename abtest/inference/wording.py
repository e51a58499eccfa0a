"""Figures as people read them."""

from decimal import Decimal

from abtest.inference.answers import Lift
from abtest.inference.question import Kind


def lift(found: Lift, kind: Kind) -> str:
    """12 % (3 to 21 %), without a sign: beats and loses say it."""
    sign = 1 if found.value > 0 else -1
    low, high = sorted((sign * found.low, sign * found.high))
    value = size(sign * found.value, found.relative, kind)
    if found.relative:
        return f"{value} ({figure(100 * low)} to {percent(high)})"
    factor = 100 if kind == "conversion" else 1
    return f"{value} ({figure(factor * low)} to {figure(factor * high)})"


def size(value: float, relative: bool, kind: Kind) -> str:
    """A difference with its unit."""
    if relative:
        return percent(value)
    return f"{figure(100 * value)} percentage points" if kind == "conversion" else f"{figure(value)} per device"


def percent(part: float) -> str:
    """A part of 1."""
    return f"{figure(100 * part)} %"


def figure(value: float) -> str:
    """Whole from ten on, below that two figures that count: 1,234, 12, 3.4, 0.056."""
    if abs(value) >= 10:
        return f"{value:,.0f}"
    plain = f"{Decimal(f'{value:.1e}'):f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def about(number: int) -> int:
    """To two figures from a hundred on."""
    return number if number < 100 else int(Decimal(f"{Decimal(number):.1e}"))
