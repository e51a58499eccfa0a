"""When the test of a plan is made: when the planned devices are there, and have had time to do what they will do.

Each variant has one test against the baseline. It is made once there is as much information about their difference as
the planned devices give, and enough events, however fast they come. How late events come is estimated from all
variants together, so the day of the test says nothing about a difference.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from msgspec import Struct

from abtest.inference import gate, rule
from abtest.inference.question import Question

MATURE = 0.95
"""The part of the expected conversions that must have come."""
LONGEST_WAIT = 42
"""Days after which the test is made in any case: some events, such as opening an app, never stop coming."""
FEWEST_AT_RISK = 0.1
"""A delay counts only when at least this part of the devices has been there that long; with fewer it is noise."""
Came = tuple[int, int, int, int, int]
"""(day, phase, variant's place, its devices that came, its devices that had their first event) on that day."""


class Arrivals(Struct, frozen=True):
    """Devices of all variants by day, in days since 1970-01-01 UTC.

    `came`: day of the first request -> devices. `converted`: day on which the first event was received -> days since
    the first request -> devices.
    """

    came: Mapping[int, int]
    converted: Mapping[int, Mapping[int, int]]


class Timing(Struct, frozen=True):
    """`reached`: the day on which the devices for the test were there. `made`: the day at whose end it was made.
    `until`: the day at whose end it will be made; the earliest such day while it waits for events that come
    `late`."""

    reached: int | None = None
    made: int | None = None
    until: int | None = None
    late: bool = False


def reached(question: Question, came: Iterable[Came], place: int | None = None) -> int | None:
    """The first day on which the planned number of devices was there; with a `place`, the first on which this variant
    had the planned information as well. `came`: by ascending days, and on each day devices before their events."""
    for day, devices, phases in _by_day(question, came, place):
        if question.planned is None or devices < question.planned:
            continue
        if place is None or gate.is_informed(question, phases, place):
            return day
    return None


def comparable_from(question: Question, came: Iterable[Came], place: int) -> int | None:
    """The first day on which a variant and the baseline had enough events to be compared."""
    for day, _, phases in _by_day(question, came, place):
        if gate.rarest(question.kind, phases) >= rule.FEWEST:
            return day
    return None


def _by_day(
    question: Question, came: Iterable[Came], place: int | None
) -> Iterator[tuple[int, int, Collection[gate.Both]]]:
    """For each row of `came`: its day, the devices in all variants so far, and what a variant and the baseline have
    so far in each phase."""
    there = 0
    phases: defaultdict[int, list[list[int]]] = defaultdict(lambda: [[0, 0], [0, 0]])
    for day, phase, each, devices, converters in came:
        there += devices
        if each in {place, question.baseline}:
            counts = phases[phase][each != place]
            counts[0] += devices
            counts[1] += converters
        yield day, there, phases.values()


def timing(
    arrivals: Arrivals, there: int | None, comparable: int | None, window_days: int | None, today: int
) -> Timing:
    """When a variant is tested, as known on the day `today`, which is not over.

    `there`: the day on which the devices for its test were there; `comparable`: the day from which it had enough
    events. `window_days`: the metric's window, if it has one.
    """
    if there is None or comparable is None:
        return Timing()
    first = min(day for day, devices in arrivals.came.items() if devices)
    earliest = max(there, comparable, first + rule.FEWEST_DAYS - 1)
    if window_days is not None:
        day = max(earliest, there + window_days)
        return Timing(there, made=day) if day < today else Timing(there, until=day)
    wait = 0
    for day, wait in _waits(arrivals, min(earliest, today), min(today, there + LONGEST_WAIT)):
        if earliest <= day < today and there + wait <= day:
            return Timing(there, made=day)
    soonest = max(earliest, today)
    return Timing(there, until=max(soonest, there + wait), late=there + wait > soonest)


def _waits(arrivals: Arrivals, first: int, last: int) -> Iterator[tuple[int, int]]:
    """For each day, how many days after their first request most of the devices that convert have done so, as known
    at the end of that day.

    For each delay, the devices that converted after it are divided by the devices that have been there that long; the
    quotients add up to the part of the devices that will have converted, as far as can be seen.
    """
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
    """The delay by which most conversions have come. `there`: the devices that had come by the end of each day; the
    last entry is today's."""
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
