"""Enrolment over time as bars: which buckets, how high. Pure; the template draws them."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from abtest import clock

HOURS = (1, 6, 24, 24 * 7, 24 * 28)
MOST_BARS = 96
NAMES = {1: "hour", 6: "6 hours", 24: "day", 24 * 7: "week", 24 * 28: "4 weeks"}


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


def chart(per_hour: Sequence[tuple[int, int]]) -> Chart | None:
    """The bars of these hours (since 1970, ascending) with their devices; None when there are none."""
    if not per_hour:
        return None
    begin, end = per_hour[0][0], per_hour[-1][0]
    hours = next((hours for hours in HOURS if (end - begin) // hours < MOST_BARS), HOURS[-1])
    buckets: Counter[int] = Counter()
    for hour, devices in per_hour:
        buckets[hour // hours] += devices
    first, last = begin // hours, end // hours
    top = nice(max(buckets.values()))
    width = 100 / (last - first + 1)
    bars = tuple(
        Bar(
            start=_start(bucket * hours, hours),
            devices=buckets[bucket],
            x=round((bucket - first) * width, 3),
            width=round(width * (0.86 if last > first else 1), 3),
            y=round(100 - 100 * buckets[bucket] / top, 3),
            height=round(100 * buckets[bucket] / top, 3),
        )
        for bucket in range(first, last + 1)
        if buckets[bucket]
    )
    return Chart(per=NAMES[hours], top=top, first=bars[0].start, last=bars[-1].start, bars=bars)


def nice(value: int) -> int:
    """The next 1, 2 or 5 times a power of ten that is not below the value."""
    power = int("1" + "0" * (len(str(value)) - 1))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _start(hour: int, hours: int) -> str:
    moment = clock.moment(hour * clock.HOUR)
    return f"{moment:%-d %b %Y}" if hours >= 24 else f"{moment:%-d %b, %H:%M}"
