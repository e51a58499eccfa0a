"""When the one test of a plan is made: when the planned devices are there, and have had time to do what they will do.

It goes by days, and compares no variants: the events of all devices together say how many there are and how late
they come. So the moment tells nothing of any difference, and the test is one test, whatever happens later.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from math import inf
from typing import Literal

from msgspec import Struct

from abtest.inference import rule

MATURE = 0.95
"""The part of the expected conversions that must have come."""
LONGEST_WAIT = 42
"""Days after which the test is made in any case: some events, such as opening an app, never stop coming."""
FEWEST_AT_RISK = 0.1
"""A delay counts only when at least this part of the devices has been there for so long; with fewer it is noise."""

Wait = Literal["late", "few"]


class Arrivals(Struct, frozen=True):
    """Devices by day, in days since 1970-01-01 UTC.

    `came`: day of the first request -> devices of all variants. `converted`: day on which the first event was
    received -> days since the first request -> devices of all variants. `variants`: `came` of each variant that the
    test waits for.
    """

    came: Mapping[int, int]
    converted: Mapping[int, Mapping[int, int]]
    variants: Sequence[Mapping[int, int]] = ()


class Timing(Struct, frozen=True):
    """`reached`: the day on which the planned number of devices was there. `made`: the day at whose end the test was
    made. `until`: the day at whose end it will be made; the earliest such day while it waits for events, because they
    come `late` or because there are too `few`."""

    reached: int | None = None
    made: int | None = None
    until: int | None = None
    waits_for: Wait | None = None


def timing(
    arrivals: Arrivals, planned: int | None, window_days: int | None, today: int, rates: bool = False
) -> Timing:
    """The days of the test, as known on the day `today`, which is not over.

    `window_days`: of the metric, if it has one. `rates`: whether devices without an event are needed as well.
    """
    reached = _reached(arrivals.came, planned)
    if reached is None:
        return Timing()
    first = min(day for day, devices in arrivals.came.items() if devices)
    earliest, latest = max(reached, first + rule.FEWEST_DAYS - 1), reached + LONGEST_WAIT
    lags = {} if window_days is not None else dict(_lags(arrivals, min(earliest, today), min(today, latest)))
    for day in range(earliest, today):
        waited = day >= reached + (lags.get(day, LONGEST_WAIT) if window_days is None else window_days)
        if waited and (day >= latest or _enough(arrivals, day, rates)):
            return Timing(reached, day)
    wait = lags.get(today, 0) if window_days is None else window_days
    until = max(earliest, today, reached + wait)
    if window_days is None and reached + wait > max(earliest, today):
        return Timing(reached, until=until, waits_for="late")
    few = today >= earliest and not _enough(arrivals, today, rates)
    return Timing(reached, until=until, waits_for="few" if few else None)


def lag(arrivals: Arrivals, day: int) -> int:
    """Days after the first request by which most of the conversions have come, as known at the end of a day.

    For each delay, the devices that converted after it are divided by those that have been there for so long; the
    quotients add up to the part of the devices that will have converted, as far as it can be seen.
    """
    return dict(_lags(arrivals, day, day))[day]


def _lags(arrivals: Arrivals, first: int, last: int) -> Iterator[tuple[int, int]]:
    """The lag at the end of each day from the first to the last."""
    came = [arrivals.came.get(day, 0) for day in range(min(arrivals.came), last + 1)]
    there = list(accumulate(came))
    converted: Counter[int] = Counter()
    received = sorted(arrivals.converted)
    for day in range(first, last + 1):
        while received and received[0] <= day:
            converted.update(arrivals.converted[received.pop(0)])
        since = day - min(arrivals.came)
        yield day, _lag(converted, there[: since + 1])


def _lag(converted: Mapping[int, int], there: Sequence[int]) -> int:
    """`there`: the devices that had come by the end of each day; the last one is today."""
    parts = {
        delay: converted[delay] / there[-1 - delay]
        for delay in sorted(converted)
        if delay < len(there) and there[-1 - delay] and there[-1 - delay] >= FEWEST_AT_RISK * there[-1]
    }
    passed, whole = 0.0, sum(parts.values())
    for delay, part in parts.items():
        passed += part
        if passed >= MATURE * whole:
            return min(delay, LONGEST_WAIT)
    return 0


def _enough(arrivals: Arrivals, day: int, rates: bool) -> bool:
    """Whether every variant can be expected to have enough devices with an event at the end of a day (`rates`: and
    enough without), if all variants convert alike."""
    devices = _until(arrivals.came, day)
    converters = sum(sum(delays.values()) for received, delays in arrivals.converted.items() if received <= day)
    rarest = min(converters, devices - converters) if rates else converters
    smallest = min((_until(came, day) for came in arrivals.variants), default=inf)
    return devices > 0 and smallest * rarest / devices >= rule.FEWEST


def _until(by_day: Mapping[int, int], last: int) -> int:
    return sum(devices for day, devices in by_day.items() if day <= last)


def _reached(by_day: Mapping[int, int], wanted: int | None) -> int | None:
    """The first day on which there were so many."""
    devices = 0
    for day in sorted(by_day):
        devices += by_day[day]
        if wanted is not None and devices >= wanted:
            return day
    return None
