"""Lifts with their intervals, side by side and over time: where each mark lies, in percent of its plot. Pure."""

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from math import ceil, floor, log10

from msgspec import Struct

from abtest.inference import Comparison, Lift
from abtest.language import difference, exact_day, unit
from abtest.results import MetricResults

TICKS = 4
SIDE = 30.0
"""The percent of the plot above which a side of zero is always labelled."""
ROOM = 0.05
"""The part of the plot that stays free at either end."""
EDGE = 4.0
EARLY_ROOM = 1.0
"""How much farther than the last intervals an earlier one is drawn, as a part of what they span."""
NOTHING_LEFT = -1.0

Label = Callable[[float], str]


class Tick(Struct, frozen=True):
    """A labelled place on an axis."""

    at: float
    label: str


class Mark(Struct, frozen=True):
    """A lift and the interval that decided, else the safe one. `shown`: whether it shows a difference."""

    low: float
    high: float
    at: float
    shown: bool


class Forest(Struct, frozen=True):
    """A mark for each comparison, in their order, on one axis; None where there is no figure.

    `band`: the lifts that are found in fewer than four of five experiments. `unit`: what the axis is in; empty where
    its labels say so.
    """

    marks: tuple[Mark | None, ...]
    zero: float
    band: tuple[float, float] | None
    ticks: tuple[Tick, ...]
    unit: str


class Course(Struct, frozen=True):
    """One comparison over time: the corners of its intervals, the line of its lifts, and its last interval."""

    value: str
    area: str
    line: str
    last: Lift


class History(Struct, frozen=True):
    """The courses of all comparisons on one scale of time and of lifts. `days`: how many looks there are."""

    courses: tuple[Course, ...]
    zero: float
    ticks: tuple[Tick, ...]
    unit: str
    first: str
    last: str
    days: int


def forest(metric: MetricResults) -> Forest | None:
    """The marks of a metric's comparisons; None without any figure."""
    relative = next((each.safe.relative for each in metric.comparisons if each.safe), None)
    if relative is None:
        return None
    drawn = [_drawn(each, relative) for each in metric.comparisons]
    found = [each for each, _ in drawn if each is not None]
    size = metric.detectable if relative and metric.detectable else 0.0
    band = max(-size, NOTHING_LEFT), size
    low, high = _widened(
        min(band[0], *(each.low for each in found)),
        max(band[1], *(each.high for each in found)),
    )
    return Forest(
        marks=tuple(
            None
            if each is None
            else Mark(_at(each.low, low, high), _at(each.high, low, high), _at(each.value, low, high), shown)
            for each, shown in drawn
        ),
        zero=_at(0, low, high),
        band=(_at(band[0], low, high), _at(band[1], low, high)) if size else None,
        ticks=_ticks(low, high, partial(_label, relative=relative, kind=metric.kind)),
        unit=unit(relative, metric.kind),
    )


def history(metric: MetricResults) -> History | None:
    """The courses of a metric's comparisons; None without any look."""
    looks = metric.over_time
    last = [each for each in looks[-1].safe if each is not None] if looks else []
    if not last:
        return None
    relative = last[0].relative
    low, high = _widened(*_span(last, [each for look in looks for each in look.safe if each is not None]))
    label = partial(_label, relative=relative, kind=metric.kind)
    days = [date.fromisoformat(look.day).toordinal() for look in looks]
    span = max(days[-1] - days[0], 1)
    courses = []
    for place, comparison in enumerate(metric.comparisons):
        course = [
            (round(100 * (day - days[0]) / span, 2), each)
            for day, look in zip(days, looks, strict=True)
            if (each := look.safe[place]) is not None and each.relative == relative
        ]
        if course:
            courses.append(_course(comparison.value, course, low, high))
    return History(
        courses=tuple(courses),
        zero=100 - _at(0, low, high),
        ticks=tuple(Tick(round(100 - tick.at, 2), tick.label) for tick in _ticks_of_both_sides(low, high, label)),
        unit=unit(relative, metric.kind),
        first=exact_day(looks[0].day),
        last=exact_day(looks[-1].day),
        days=len(looks),
    )


def _drawn(comparison: Comparison, relative: bool) -> tuple[Lift | None, bool]:
    """What is drawn of a comparison, and whether it shows a difference. The test's may have another unit."""
    found = comparison.drawn
    if found is None or found.relative != relative:
        return comparison.safe, False
    return found, found == comparison.deciding


def _span(last: Sequence[Lift], every: Sequence[Lift]) -> tuple[float, float]:
    """The lifts from lowest to highest that are drawn: zero, the last intervals, and of all others what lies near."""
    alike = [each for each in every if each.relative == last[0].relative]
    low, high = min(0.0, *(each.low for each in last)), max(0.0, *(each.high for each in last))
    near = EARLY_ROOM * (high - low)
    low = max(low - near, min(low, *(each.low for each in alike)))
    high = min(high + near, max(high, *(each.high for each in alike)))
    # Below it lie only intervals, unless amounts are negative, as refunds are.
    floor = NOTHING_LEFT if last[0].relative and all(each.value >= NOTHING_LEFT for each in alike) else low
    return max(low, floor), high


def _course(value: str, course: Sequence[tuple[float, Lift]], low: float, high: float) -> Course:
    if len(course) == 1:  # one look is as wide as the plot, so that it can be seen
        course = [(0.0, course[0][1]), (100.0, course[0][1])]
    upper = [f"{x},{_down(each.high, low, high)}" for x, each in course]
    lower = [f"{x},{_down(each.low, low, high)}" for x, each in course]
    line = [f"{x},{_down(each.value, low, high)}" for x, each in course]
    return Course(value, " ".join([*upper, *reversed(lower)]), " ".join(line), course[-1][1])


def _down(value: float, low: float, high: float) -> float:
    """From the upper edge, and not beyond either."""
    return round(100 - min(max(_at(value, low, high), 0.0), 100.0), 2)


def _at(value: float, low: float, high: float) -> float:
    return round(100 * (value - low) / (high - low), 2)


def _widened(low: float, high: float) -> tuple[float, float]:
    room = ROOM * ((high - low) or 1.0)
    return low - room, high + room


def _ticks(low: float, high: float, label: Label) -> tuple[Tick, ...]:
    """At multiples of 1, 2 or 5 times a power of ten."""
    step = _nice((high - low) / TICKS)
    values = [step * number for number in range(ceil(low / step), floor(high / step) + 1)]
    ticks = [_tick(value, low, high, label) for value in values]
    return tuple(tick for tick in ticks if EDGE < tick.at < 100 - EDGE)


def _ticks_of_both_sides(low: float, high: float, label: Label) -> tuple[Tick, ...]:
    """The same, and one more on a wide side of zero that would have none."""
    ticks, zero = _ticks(low, high, label), _at(0, low, high)
    edge = EDGE / 100 * (high - low)
    if zero > SIDE and not any(tick.at < zero for tick in ticks):
        ticks = (_tick(-_nice_below(-low - edge), low, high, label), *ticks)
    if zero < 100 - SIDE and not any(tick.at > zero for tick in ticks):
        ticks = (*ticks, _tick(_nice_below(high - edge), low, high, label))
    return ticks


def _tick(value: float, low: float, high: float, label: Label) -> Tick:
    return Tick(_at(value, low, high), label(value))


def _nice(least: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten from `least` on."""
    power: float = 10 ** floor(log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _nice_below(most: float) -> float:
    """The largest 1, 2 or 5 times a power of ten up to `most`."""
    power: float = 10 ** floor(log10(most))
    return next(factor * power for factor in (5, 2, 1) if factor * power <= most)


def _label(value: float, relative: bool, kind: str) -> str:
    return difference(value, relative, kind, 4) if round(value, 12) else "0"
