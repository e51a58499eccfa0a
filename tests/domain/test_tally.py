"""What events add to a metric, against the plain definition, computed from all of them at once."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from abtest import clock
from abtest.domain.metrics import Metric
from abtest.domain.tally import LATEST, Occurrence, Tally
from abtest.inference.statistics.buckets import bucket

CONVERSION, AMOUNT, WINDOW = Metric("conversion", "purchase"), Metric("amount", "purchase"), Metric("amount", "x", 2)
METRICS = {1: CONVERSION, 2: AMOUNT, 3: WINDOW}
NOW = 1_000 * clock.DAY


def occurrence(device: int = 1, amount: int | None = None, at: int | None = None, received: int = NOW) -> Occurrence:
    return Occurrence(device, 1, 1, NOW - 10 * clock.DAY, amount, at, received)


def test_the_first_event_converts_and_amounts_add_up() -> None:
    tally = Tally(METRICS)
    for amount in (30_000, None, -10_000):
        for metric in (1, 2):
            tally.add(metric, occurrence(amount=amount))
    conversion, sums = (tally.cells[metric, 1, 1, 1_000] for metric in (1, 2))
    assert (conversion.converters, conversion.total, conversion.squares, conversion.events) == (1, 1, 1, 3)
    assert (sums.converters, sums.total, sums.squares, sums.without_amount) == (1, 20_000, 20_000**2, 1)
    assert tally.totals == {(1, 1): 1, (2, 1): 20_000}


def test_a_window_ends_so_many_days_after_a_device_was_first_seen() -> None:
    tally = Tally(METRICS)
    first_seen = occurrence().first_seen
    tally.add(3, occurrence(amount=1, at=first_seen + 2 * clock.DAY))
    tally.add(3, occurrence(amount=1, at=first_seen + 2 * clock.DAY + 1))
    assert tally.totals == {(3, 1): 1}


def test_a_window_begins_when_a_device_was_first_seen() -> None:
    tally = Tally(METRICS)
    first_seen = occurrence().first_seen
    for metric in (1, 3):
        tally.add(metric, occurrence(amount=1, at=first_seen - 1))
    assert tally.totals == {(1, 1): 1}
    tally.add(3, occurrence(amount=1, at=first_seen))
    assert tally.totals == {(1, 1): 1, (3, 1): 1}


def test_a_device_with_a_wrong_clock_is_believed_within_bounds() -> None:
    assert occurrence(at=NOW + 1).happened == NOW
    assert occurrence(at=0).happened == NOW - LATEST
    assert occurrence(at=NOW - 5).happened == NOW - 5


EVENTS = st.lists(
    st.builds(
        occurrence,
        device=st.integers(1, 4),
        amount=st.none() | st.integers(-(10**17), 10**17),
        at=st.none() | st.integers(NOW - 100 * clock.DAY, NOW + clock.DAY),
        received=st.integers(NOW - 3 * clock.DAY, NOW),
    ),
    max_size=30,
)


@given(EVENTS, st.sampled_from([1, 2, 3]))
def test_events_added_one_by_one_give_the_sums_of_all(events: list[Occurrence], metric: int) -> None:
    tally, totals = Tally(METRICS), defaultdict(list)
    for event in events:
        tally.add(metric, event)
        window = METRICS[metric].window_days
        if window is None or 0 <= event.happened - event.first_seen <= window * clock.DAY:
            totals[event.device].append(event.amount or 0)
    expected = [1 if metric == 1 else sum(amounts) for amounts in totals.values()]
    cells = tally.cells.values()
    assert sum(cell.converters for cell in cells) == len(expected)
    assert sum(cell.total for cell in cells) == sum(expected)
    assert sum(cell.squares for cell in cells) == sum(total * total for total in expected)
    assert sum(cell.events for cell in cells) == sum(map(len, totals.values()))
    assert tally.happened.total() == len(expected)  # each device once, however much it tells


@given(EVENTS)
def test_a_device_counted_alone_gives_what_it_gave_among_others(events: list[Occurrence]) -> None:
    together, alone = Tally(METRICS), Tally(METRICS)
    for event in events:
        together.add(2, event)
    for device in range(1, 5):
        for event in events:
            if event.device == device:
                alone.add(2, event)
    assert (alone.cells, alone.happened, alone.totals) == (together.cells, together.happened, together.totals)


@given(EVENTS, st.sampled_from([2, 3]))
def test_buckets_hold_every_devices_total_once(events: list[Occurrence], metric: int) -> None:
    tally = Tally(METRICS)
    for event in sorted(events, key=lambda each: each.received_at):
        tally.add(metric, event)
    held: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for sums in tally.cells.values():
        assert sum(total for _, total, _ in sums.buckets.values()) == sums.total
        assert sum(squares for *_, squares in sums.buckets.values()) == sums.squares
        for place, more in sums.buckets.items():
            held[place][:] = (before + new for before, new in zip(held[place], more, strict=True))
    wanted: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for total in tally.totals.values():
        wanted[bucket(total)][:] = (
            before + new for before, new in zip(wanted[bucket(total)], (1, total, total**2), strict=True)
        )
    assert {place: each for place, each in held.items() if any(each)} == dict(wanted)


def test_how_late_a_device_converts_is_counted_by_what_was_received() -> None:
    tally = Tally(METRICS)
    tally.add(1, occurrence(device=1, at=NOW - 9 * clock.DAY))
    tally.add(1, occurrence(device=1))
    tally.add(1, occurrence(device=2, received=NOW - 9 * clock.DAY))
    assert [sums.delays for sums in tally.cells.values()] == [{10: 1}, {1: 1}]
    assert [sums.buckets for sums in tally.cells.values()] == [{}, {}]
