"""Figures as people read them."""

from collections.abc import Sequence
from decimal import Decimal

from abtest.inference.answers import Lift
from abtest.inference.question import Kind, Question

MOST_NAMED = 4
UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"))


def measure(question: Question) -> str:
    """What is measured: conversion of purchase."""
    return (
        f"conversion of {question.event}"
        if question.kind == "conversion"
        else f"amount of {question.event} per device"
    )


def moved(found: Lift, kind: Kind) -> str:
    """up by 12 % (3 to 21 %)."""
    sign = 1 if found.value > 0 else -1
    low, high = sorted((sign * found.low, sign * found.high))
    factor = 100 if found.relative or kind == "conversion" else 1
    unit = " %" if found.relative else ""
    return f"{moved_by(found, kind)} ({figure(factor * low)} to {figure(factor * high)}{unit})"


def moved_by(found: Lift, kind: Kind) -> str:
    """up by 12 %, without its interval."""
    if not found.value:
        return "unchanged"
    return f"{'up' if found.value > 0 else 'down'} by {size(abs(found.value), found.relative, kind)}"


def size(value: float, relative: bool, kind: Kind) -> str:
    """A difference with its unit."""
    if relative:
        return percent(value)
    return f"{figure(100 * value)} percentage points" if kind == "conversion" else f"{figure(value)} per device"


def percent(part: float) -> str:
    """A part of 1."""
    return f"{figure(100 * part)} %"


def part(value: float) -> str:
    """A part of many devices, to three figures that count: 99.9 %, which is not 100 %."""
    return f"{100 * value:.3g} %"


def figure(value: float) -> str:
    """Whole from ten on, below that two figures that count: 1,234, 12, 3.4, 0.056."""
    if abs(value) >= 10:
        return f"{value:,.0f}"
    plain = f"{Decimal(f'{value:.1e}'):f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def counted(number: int, noun: str) -> str:
    """1 device, 2 devices."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def names(values: Sequence[str]) -> str:
    """a, b and c; only how many when they are more than four."""
    if len(values) > MOST_NAMED:
        return f"{len(values)} variants"
    *most, last = values
    return f"{', '.join(most)} and {last}" if most else last


def duration(seconds: float) -> str:
    """7.0 days, 1.5 hours, 12.0 minutes, 3.2 s."""
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s"


def about(number: int) -> int:
    """To two figures from a hundred on."""
    return number if number < 100 else int(Decimal(f"{Decimal(number):.1e}"))
