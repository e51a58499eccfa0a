"""What events add to a metric. Pure: the worker adds with it, `forget` subtracts, `verify` counts again."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from msgspec import Struct

from abtest import clock
from abtest.domain.metrics import Metric
from abtest.inference import bucket

LATEST = 90 * clock.DAY
"""An event counts as having happened at most this long before it was received: devices' clocks may be wrong."""
NOTHING = (0, 0, 0)


Held = tuple[int, int, int]
"""What a bucket holds: devices, the sum of their totals, and the sum of the squares of these totals."""


def add_buckets(buckets: dict[int, Held], more: Mapping[int, Held], sign: int = 1) -> None:
    """Add `more` to what the buckets hold, or, with a sign of -1, subtract it."""
    for place, held in more.items():
        _add(buckets, place, held, sign)


def _add(buckets: dict[int, Held], place: int, held: Held, sign: int) -> None:
    devices, total, squares = buckets.get(place, NOTHING)
    buckets[place] = devices + sign * held[0], total + sign * held[1], squares + sign * held[2]


class Sums(Struct):
    """What the events that were received on one day added to a metric of a variant in a phase.

    `converters`: devices that had their first event. `total`, `squares`: by how much the sum of the devices' totals
    and the sum of their squares grew; a total is in units of 1/10000 for an amount, and 0 or 1 for a conversion.
    `events`: how many there were; `without_amount`: how many had no amount. `lag`: the milliseconds from happening to
    receipt, added up. `first_at`, `last_at`: when the first and the last event were received. `buckets`, only for an
    amount: bucket -> by how much its devices, their sum and their sum of squares changed. `delays`: days from the
    first request to the receipt of the first event -> devices.
    """

    converters: int = 0
    total: int = 0
    squares: int = 0
    events: int = 0
    without_amount: int = 0
    lag: int = 0
    first_at: int = 0
    last_at: int = 0
    buckets: dict[int, Held] = {}
    delays: dict[int, int] = {}

    def move(self, old: int | None, new: int) -> None:
        """Move a device from the bucket of its old total, if it had one, to that of the new one."""
        _add(self.buckets, bucket(new), (1, new, new * new), 1)
        if old is not None:
            _add(self.buckets, bucket(old), (1, old, old * old), -1)


class Occurrence(Struct, frozen=True):
    """An event that counts for a metric, with the ids of its device and of the device's phase and variant.

    `first_seen`, `at` and `received_at` in milliseconds; `amount` in units of 1/10000.
    """

    device: int
    phase: int
    variant: int
    first_seen: int
    amount: int | None
    at: int | None
    received_at: int

    @property
    def happened(self) -> int:
        """When it happened by the device's clock, but not after its receipt, and at most LATEST before it."""
        if self.at is None:
            return self.received_at
        return min(max(self.at, self.received_at - LATEST), self.received_at)


class Showing(Struct, frozen=True):
    """The first event that says that a device showed its `own` value of an experiment, or the first for another.

    The ids are those of the event, the experiment, the device, and the device's phase and variant. `received_at` in
    milliseconds. A device that showed both has one of each.
    """

    event: int
    experiment: int
    device: int
    phase: int
    variant: int
    received_at: int
    own: bool

    @property
    def day(self) -> int:
        """The day of receipt since 1970-01-01 UTC."""
        return self.received_at // clock.DAY


Cell = tuple[int, int, int, int]
"""Ids of metric, phase and variant, and the day of receipt since 1970-01-01 UTC."""


class Tally:
    """Adds up events, in the order in which they were stored.

    `cells`: what they add. `happened`: (metric, day) -> devices whose first event happened on that day. `totals`:
    (metric, device) -> the device's total afterwards.
    """

    def __init__(self, metrics: Mapping[int, Metric]) -> None:
        self._metrics = metrics
        self.cells: dict[Cell, Sums] = defaultdict(Sums)
        self.happened: Counter[tuple[int, int]] = Counter()
        self.totals: dict[tuple[int, int], int] = {}

    def add(self, metric_id: int, event: Occurrence, before: int | None = None) -> None:
        """Add the next event. `before`: the device's total before its first event here; None if it had no event."""
        metric, happened = self._metrics[metric_id], event.happened
        if metric.window_days is not None and not 0 <= happened - event.first_seen <= metric.window_days * clock.DAY:
            return
        received = event.received_at
        sums = self.cells[metric_id, event.phase, event.variant, received // clock.DAY]
        old = self.totals.get((metric_id, event.device), before)
        if old is None:
            self.happened[metric_id, happened // clock.DAY] += 1
        new = (old or 0) + (event.amount or 0) if metric.kind == "amount" else 1
        self.totals[metric_id, event.device] = new
        if metric.kind == "amount":
            sums.move(old, new)
        if old is None:
            delay = max(received // clock.DAY - event.first_seen // clock.DAY, 0)
            sums.delays[delay] = sums.delays.get(delay, 0) + 1
        sums.converters += old is None
        sums.total += new - (old or 0)
        sums.squares += new * new - (old or 0) ** 2
        sums.first_at = min(sums.first_at, received) if sums.events else received
        sums.last_at = max(sums.last_at, received)
        sums.events += 1
        sums.without_amount += metric.kind == "amount" and event.amount is None
        sums.lag += received - happened
