"""What events add to a metric. Pure: the worker folds with it, forget takes back with it, verify counts again."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from msgspec import Struct

from abtest import clock
from abtest.domain.metrics import Metric
from abtest.inference import bucket

LATEST = 90 * clock.DAY
"""No event is believed to have happened longer than this before it was received: clocks of devices may be wrong."""
NOTHING = (0, 0, 0)


Held = tuple[int, int, int]
"""What a bucket holds: devices, the sum of their totals, and the sum of the squares."""


def add_buckets(buckets: dict[int, Held], more: Mapping[int, Held], sign: int = 1) -> None:
    """Add what buckets hold to others, or with a sign of -1 take it out of them."""
    for place, held in more.items():
        _add(buckets, place, held, sign)


def _add(buckets: dict[int, Held], place: int, held: Held, sign: int) -> None:
    devices, total, squares = buckets.get(place, NOTHING)
    buckets[place] = devices + sign * held[0], total + sign * held[1], squares + sign * held[2]


class Sums(Struct):
    """What events added to a metric of a variant in a phase, on the day on which they were received.

    `converters`: devices with their first event. `total`, `squares`: of the devices' totals, in units of 1/10000 for
    an amount, of 0 and 1 for a conversion. `events`, of which `without_amount`; `lag`: milliseconds from happening to
    receipt, summed; `first_at`, `last_at`: when they were received. `buckets`, of an amount: bucket -> how many more
    devices have such a total, their sum and that of the squares. `delays`: days from the first request to the receipt
    of the first event -> devices.
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
        """Put a device's total into its bucket, out of the one it was in."""
        _add(self.buckets, bucket(new), (1, new, new * new), 1)
        if old is not None:
            _add(self.buckets, bucket(old), (1, old, old * old), -1)


class Occurrence(Struct, frozen=True):
    """An event that concerns a metric: ids of the device, and of the phase and variant in which it was drawn.

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
        """When it happened, as far as the device is believed: not after it was received, and not long before."""
        if self.at is None:
            return self.received_at
        return min(max(self.at, self.received_at - LATEST), self.received_at)


Cell = tuple[int, int, int, int]
"""Ids of metric, phase and variant, and the day of receipt since 1970-01-01 UTC."""


class Tally:
    """Adds up events, which come in the order in which they were stored.

    `cells`: what they add. `happened`: (metric, day) -> devices whose first event happened on it. `totals`: (metric,
    device) -> the device's total after them.
    """

    def __init__(self, metrics: Mapping[int, Metric]) -> None:
        self._metrics = metrics
        self.cells: dict[Cell, Sums] = defaultdict(Sums)
        self.happened: Counter[tuple[int, int]] = Counter()
        self.totals: dict[tuple[int, int], int] = {}

    def add(self, metric_id: int, event: Occurrence, before: int | None = None) -> None:
        """The next event; `before` is the device's total before the first one of it that is added here."""
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
