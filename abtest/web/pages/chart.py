"""Enrolment over time as bars: which buckets, how high. Pure; the template draws them."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from abtest import clock
from abtest.language import times

WEEK = 24 * 7
NAMES = {1: "hour", 6: "6 hours", 24: "day", WEEK: "week", 4 * WEEK: "4 weeks", 52 * WEEK: "52 weeks"}
MOST_BARS = 96
FEWEST_PLACES = 24
MONDAY = 3 * 24
"""Hours from a Monday to 1970-01-01, so that a week begins on Monday."""
FILLED = 0.86


class Bar(Struct, frozen=True):
    """Devices enrolled from `start` (text, UTC) on. `x`, `width`, `y` and `height` in percent of the plot."""

    start: str
    devices: int
    x: float
    width: float
    y: float
    height: float


class Chart(Struct, frozen=True):
    """Bars from left to right; `per` names their width in time, `top` is the value at the upper edge."""

    per: str
    top: int
    first: str
    last: str
    bars: tuple[Bar, ...]

    @property
    def middle(self) -> int | None:
        """The value halfway up, if it is whole."""
        return None if self.top % 2 else self.top // 2


def chart(per_hour: Sequence[tuple[int, int]], now: int) -> Chart | None:
    """The bars of these hours (since 1970, ascending) with their devices, up to the hour `now`; None without any.

    A short history leaves room at the left, so that its few bars are not as wide as the page. An end of the
    enrolment shows as room at the right.
    """
    if not per_hour:
        return None
    begin, end = per_hour[0][0], max(per_hour[-1][0], now)
    hours = next((hours for hours in NAMES if _bucket(end, hours) - _bucket(begin, hours) < MOST_BARS), 52 * WEEK)
    buckets: Counter[int] = Counter()
    for hour, devices in per_hour:
        buckets[_bucket(hour, hours)] += devices
    last = _bucket(end, hours)
    first = min(_bucket(begin, hours), last - FEWEST_PLACES + 1)
    places = last - first + 1
    top = nice(max(buckets.values()))
    bars = tuple(
        Bar(
            start=_start(bucket, hours),
            devices=devices,
            x=round(100 * (bucket - first) / places, 3),
            width=round(100 * FILLED / places, 3),
            y=round(100 - 100 * devices / top, 3),
            height=round(100 * devices / top, 3),
        )
        for bucket, devices in buckets.items()
    )
    return Chart(NAMES[hours], top, _start(first, hours), _start(last, hours), bars)


def nice(value: int) -> int:
    """The next 1, 2 or 5 times a power of ten that is not below the value."""
    power = int("1" + "0" * (len(str(value)) - 1))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _bucket(hour: int, hours: int) -> int:
    return (hour + MONDAY) // hours


def _start(bucket: int, hours: int) -> str:
    moment = clock.moment((bucket * hours - MONDAY) * clock.HOUR)
    return times.day(moment) if hours >= 24 else times.hour(moment)
