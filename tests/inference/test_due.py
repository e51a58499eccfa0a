"""When the one test of a plan is made."""

from collections.abc import Mapping

import pytest

from abtest.inference.due import LONGEST_WAIT, Arrivals, Timing, comparable_from, reached
from abtest.inference.due import timing as timing_of
from abtest.inference.question import Kind, Question

EVEN: Mapping[int, int] = dict.fromkeys(range(100, 107), 1_000)
"""A thousand devices a day for a week."""


THIRDS = Question("conversion", ("a", "b", "c"), planned=9_000)


def converting(delays: dict[int, int], came: Mapping[int, int] = EVEN) -> Arrivals:
    """Of a day's devices, so many convert after each delay."""
    converted: dict[int, dict[int, int]] = {}
    for day in came:
        for delay, devices in delays.items():
            converted.setdefault(day + delay, {})[delay] = devices
    return Arrivals(came, converted)


def timing(arrivals: Arrivals, there: int | None, window_days: int | None, today: int) -> Timing:
    """Of a variant that has had enough events from the first day on."""
    return timing_of(arrivals, there, min(arrivals.came), window_days, today)


def test_a_variant_is_tested_with_the_devices_that_the_plan_gives_it() -> None:
    thirds = [(day, 1, place, 1_000, 100) for day in (1, 2, 3) for place in range(3)]
    assert [reached(THIRDS, thirds, place) for place in (1, 2)] == [3, 3]
    assert reached(THIRDS, thirds[:-1], 1) is None
    assert reached(Question("conversion", ("a", "b", "c")), thirds, 1) is None


def test_a_variant_that_is_dropped_at_its_worst_is_never_tested() -> None:
    """b gets no devices from the second day on; c is as it was planned."""
    dropped = [
        (day, 1 + (day > 1), place, 1_000, 100) for day in range(1, 9) for place in range(3) if place != 1 or day == 1
    ]
    assert reached(THIRDS, dropped, 1) is None
    assert reached(THIRDS, dropped, 2) == 4


def test_new_weights_do_not_change_how_much_the_test_knows() -> None:
    """Of 9,000 planned devices, a and b get 3,000 each: 1,500 in n1 * n2 / (n1 + n2). With 10% instead of a third, b
    gives 900 / 11 for each 1,000 devices of a and 100 of b."""
    then = [
        (day, 1 + (day > 1), place, n, n // 10)
        for day in range(1, 20)
        for place, n in ((0, 1_000), (1, 1_000 if day == 1 else 100))
    ]
    found = reached(Question("conversion", ("a", "b"), planned=4_000), then, 1)
    assert found is not None
    assert 500 + (found - 2) * 1_000 / 11 < 0.95 * 1_000 <= 500 + (found - 1) * 1_000 / 11


def test_a_block_may_be_half_full_at_the_test() -> None:
    halves = Question("conversion", ("a", "b"), planned=200)
    assert reached(halves, [(1, 1, 0, 104, 60), (1, 1, 1, 96, 40)], 1) == 1
    assert reached(halves, [(1, 1, 0, 140, 60), (1, 1, 1, 60, 40)], 1) is None


@pytest.mark.parametrize(("kind", "converters"), [("conversion", 1), ("conversion", 99), ("amount", 1)])
def test_each_variant_can_be_expected_to_have_25_events_at_its_test(kind: Kind, converters: int) -> None:
    """And of a rate 25 devices without one. c gets half as many as b, of whom 1 in 100 has an event, or has none."""
    question = Question(kind, ("a", "b", "c"), planned=1_000, shares=(0.4, 0.4, 0.2))
    came = [
        (day, 1, place, devices, converters * devices // 100)
        for day in range(1, 30)
        for place, devices in enumerate((400, 400, 200))
    ]
    assert [comparable_from(question, came, place) for place in (1, 2)] == [7, 13]


def test_without_its_devices_or_its_events_there_is_no_test() -> None:
    assert timing_of(converting({0: 50}), None, 106, None, 200) == Timing()
    assert timing_of(converting({0: 50}), 106, None, None, 200) == Timing()


def test_late_events_are_waited_for_from_the_day_of_the_devices() -> None:
    """All come 20 days later: enough of them from day 120 on, and the last from day 126."""
    late = converting({20: 50})
    assert [timing_of(late, 106, 120, None, today) for today in (126, 127)] == [
        Timing(106, until=126),
        Timing(106, made=126),
    ]


def test_it_is_made_when_the_day_is_over_on_which_devices_and_a_week_are_there() -> None:
    at_once = converting({0: 50})
    assert timing(at_once, 106, None, 106) == Timing(106, until=106)
    assert timing(at_once, 106, None, 107) == timing(at_once, 106, None, 150) == Timing(106, 106)
    assert timing(at_once, 101, None, 105) == Timing(101, until=106)


def test_a_window_is_waited_for() -> None:
    assert timing(converting({0: 50}), 106, 14, 115) == Timing(106, until=120)
    assert timing(converting({0: 50}), 106, 14, 121) == Timing(106, 120)


def test_conversions_that_come_late_are_waited_for() -> None:
    slow = converting({delay: round(100 * 0.9**delay) for delay in range(60)})
    assert timing(slow, 106, None, 107) == Timing(106, until=113, late=True)
    assert timing(slow, 106, None, 120).made is None
    made = timing(slow, 106, None, 150).made
    assert made is not None
    assert 120 <= made <= 130


def test_before_a_week_is_over_only_the_week_is_waited_for() -> None:
    few = converting({0: 1}, dict.fromkeys(range(100, 103), 3_000))
    assert timing(few, 102, None, 102) == Timing(102, until=106)


def test_what_never_ends_is_not_waited_for_for_ever() -> None:
    endless = converting(dict.fromkeys(range(200), 20))
    assert timing(endless, 106, None, 147) == Timing(106, until=106 + LONGEST_WAIT, late=True)
    assert timing(endless, 106, None, 106 + LONGEST_WAIT) == Timing(106, until=106 + LONGEST_WAIT)
    assert timing(endless, 106, None, 106 + LONGEST_WAIT + 1) == Timing(106, 106 + LONGEST_WAIT)


def test_a_delay_counts_once_devices_have_been_there_for_so_long() -> None:
    assert timing(converting({0: 50}), 106, None, 107).made == 106
    assert timing(converting({0: 25, 3: 25}), 106, None, 120).made == 109
    assert timing(converting({0: 950, 3: 50}), 106, None, 120).made == 106
    assert timing(converting({0: 949, 3: 51}), 106, None, 120).made == 109


def test_a_delay_counts_from_a_tenth_of_the_devices_on() -> None:
    """Of 10,000 devices, 1,000 or 999 came first, and half of those convert five days later."""
    for first, until in ((1_000, 106), (999, 102)):
        came = {96: first, 101: 10_000 - first}
        seen = timing(Arrivals(came, {96: {0: 10}, 101: {5: first // 2, 0: 10}}), 101, None, 101)
        assert seen.until == until


def test_without_an_event_nothing_is_waited_for() -> None:
    assert timing(Arrivals(EVEN, {}), 106, None, 110) == Timing(106, 106)


def test_later_days_do_not_move_a_test_that_was_made() -> None:
    slow = converting({0: 25, 3: 25}, dict.fromkeys(range(100, 160), 1_000))
    assert {timing(slow, 106, None, today) for today in range(111, 160)} == {Timing(106, 109)}
