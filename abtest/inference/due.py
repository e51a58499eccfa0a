"""When the one test of a plan is made: when the planned devices are there, and have had time to do what they will do.

It goes by days, and looks at no variant: all devices together say when they came and how late they convert. So the
moment tells nothing of any difference, and the test is one test, whatever happens later.
"""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from abtest.inference import rule

MATURE = 0.95
"""The part of the conversions that may be expected of the planned devices, which must be there."""
LONGEST_WAIT = 42
"""Days after which the test is made all the same: some events never end, as opening an app does not."""
FEWEST_AT_RISK = 0.1
"""Delays that a smaller part of the devices can have had yet are not looked at: they are noise."""


class Arrivals(Struct, frozen=True):
    """Devices of all variants together. Days since 1970-01-01 UTC.

    `came`: day of the first request -> devices. `converted`: day on which the first event was received -> days since
    the first request -> devices.
    """

    came: Mapping[int, int]
    converted: Mapping[int, Mapping[int, int]]


class Timing(Struct, frozen=True):
    """`reached`: the day on which the planned number was there. `made`: the day at whose end the test was made.
    `until`: where it is not made, the day at whose end it is, or with `late` at the earliest, since it waits for
    events whose end is not known."""

    reached: int | None = None
    made: int | None = None
    until: int | None = None
    late: bool = False


def timing(arrivals: Arrivals, planned: int | None, window_days: int | None, today: int, fewest: int = 1) -> Timing:
    """The days of the test, as known on the day `today`, which is not over.

    `window_days`: of the metric, if any. `fewest`: devices with an event without which it would say nothing.
    """
    reached = _reached(arrivals.came, planned)
    if reached is None:
        return Timing()
    first = min(day for day, devices in arrivals.came.items() if devices)
    told = {day: sum(delays.values()) for day, delays in arrivals.converted.items() if day < today}
    enough = _reached(told, fewest)
    earliest = max(reached, first + rule.FEWEST_DAYS - 1, today if enough is None else enough)
    for day in range(earliest, today):
        if day - reached >= _wait(arrivals, window_days, day):
            return Timing(reached, day)
    due = max(earliest, today, reached + _wait(arrivals, window_days, today))
    late = enough is None or (window_days is None and due > earliest)
    return Timing(reached, until=due, late=late)


def lag(arrivals: Arrivals, day: int) -> int:
    """Days after the first request by which most of a device's conversion has come, as known at the end of a day.

    For each delay, the devices that converted after it are divided by those that have been there for so long; the
    quotients add up to what a device does in the end, as far as that can be seen.
    """
    converted = _converted(arrivals, day)
    whole = sum(devices for came, devices in arrivals.came.items() if came <= day)
    parts: dict[int, float] = {}
    for delay in sorted(converted):
        at_risk = sum(devices for came, devices in arrivals.came.items() if came + delay <= day)
        if at_risk and at_risk >= FEWEST_AT_RISK * whole:
            parts[delay] = converted[delay] / at_risk
    passed, all_ = 0.0, sum(parts.values())
    for delay, part in parts.items():
        passed += part
        if passed >= MATURE * all_:
            return min(delay, LONGEST_WAIT)
    return 0


def _wait(arrivals: Arrivals, window_days: int | None, day: int) -> int:
    return lag(arrivals, day) if window_days is None else window_days


def _converted(arrivals: Arrivals, day: int) -> Counter[int]:
    """By days since the first request, as known at the end of a day."""
    found: Counter[int] = Counter()
    for received, delays in arrivals.converted.items():
        if received <= day:
            found.update(delays)
    return found


def _reached(by_day: Mapping[int, int], wanted: int | None) -> int | None:
    """The first day on which there were so many."""
    devices = 0
    for day in sorted(by_day):
        devices += by_day[day]
        if wanted is not None and devices >= wanted:
            return day
    return None
