"""Figures as people read them."""

from decimal import Decimal

from abtest.inference.answers import Lift
from abtest.inference.question import Kind

UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"))


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


def counted(number: int, noun: str) -> str:
    """1 device, 2 devices."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """7.0 days, 1.5 hours, 12.0 minutes, 3.2 s."""
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s"


def about(number: int) -> int:
    """To two figures from a hundred on."""
    return number if number < 100 else int(Decimal(f"{Decimal(number):.1e}"))
