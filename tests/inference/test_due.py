"""When the one test of a plan is made."""

from abtest.inference.due import LONGEST_WAIT, Arrivals, Timing, lag, timing

EVEN = dict.fromkeys(range(100, 107), 1_000)
"""A thousand devices a day for a week."""


def converting(delays: dict[int, int], came: dict[int, int] = EVEN) -> Arrivals:
    """Of a day's devices, so many convert after each delay."""
    converted: dict[int, dict[int, int]] = {}
    for day in came:
        for delay, devices in delays.items():
            converted.setdefault(day + delay, {})[delay] = devices
    return Arrivals(came, converted)


def test_without_a_plan_or_before_its_devices_there_is_no_test() -> None:
    assert timing(converting({0: 50}), None, None, 200) == Timing()
    assert timing(converting({0: 50}), 7_001, None, 200) == Timing()


def test_it_is_made_when_the_day_is_over_on_which_devices_and_a_week_are_there() -> None:
    at_once = converting({0: 50})
    assert timing(at_once, 7_000, None, 106) == Timing(106, until=106)
    assert timing(at_once, 7_000, None, 107) == timing(at_once, 7_000, None, 150) == Timing(106, 106)
    assert timing(at_once, 2_000, None, 105) == Timing(101, until=106)


def test_a_window_is_waited_for() -> None:
    assert timing(converting({0: 50}), 7_000, 14, 115) == Timing(106, until=120)
    assert timing(converting({0: 50}), 7_000, 14, 121) == Timing(106, 120)


def test_conversions_that_come_late_are_waited_for() -> None:
    slow = converting({delay: round(100 * 0.9**delay) for delay in range(60)})
    assert timing(slow, 7_000, None, 107) == Timing(106, until=113, late=True)
    assert timing(slow, 7_000, None, 120).made is None
    made = timing(slow, 7_000, None, 150).made
    assert made is not None
    assert 120 <= made <= 130


def test_without_enough_conversions_in_all_it_would_be_wasted() -> None:
    late = converting({20: 10})
    assert timing(late, 7_000, None, 115, fewest=50) == Timing(106, until=115, late=True)
    assert timing(late, 7_000, None, 150, fewest=50) == Timing(106, 126)


def test_what_never_ends_is_not_waited_for_for_ever() -> None:
    endless = converting(dict.fromkeys(range(200), 20))
    assert timing(endless, 7_000, None, 106 + LONGEST_WAIT) == Timing(106, until=106 + LONGEST_WAIT, late=True)
    assert timing(endless, 7_000, None, 106 + LONGEST_WAIT + 1) == Timing(106, 106 + LONGEST_WAIT)


def test_the_lag_is_that_of_devices_that_have_been_there_long_enough() -> None:
    assert lag(converting({0: 50}), 106) == 0
    assert lag(converting({0: 25, 3: 25}), 109) == 3
    assert lag(converting({0: 50, 20: 50}), 110) == 0
    assert lag(Arrivals(EVEN, {}), 110) == 0


def test_later_days_do_not_move_a_test_that_was_made() -> None:
    slow = converting({0: 25, 3: 25}, dict.fromkeys(range(100, 160), 1_000))
    assert {timing(slow, 7_000, None, today) for today in range(111, 160)} == {Timing(106, 109)}
