"""When the one test of a plan is made."""

from collections.abc import Mapping

from abtest.inference.due import LONGEST_WAIT, Arrivals, Timing, lag, timing

EVEN: Mapping[int, int] = dict.fromkeys(range(100, 107), 1_000)
"""A thousand devices a day for a week."""


def converting(delays: dict[int, int], came: Mapping[int, int] = EVEN, *parts: float) -> Arrivals:
    """Of a day's devices, so many convert after each delay; each variant gets a part of them, or half."""
    converted: dict[int, dict[int, int]] = {}
    for day in came:
        for delay, devices in delays.items():
            converted.setdefault(day + delay, {})[delay] = devices
    variants = [{day: int(part * devices) for day, devices in came.items()} for part in parts or (0.5, 0.5)]
    return Arrivals(came, converted, variants)


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
    assert timing(slow, 7_000, None, 107) == Timing(106, until=113, waits_for="late")
    assert timing(slow, 7_000, None, 120).made is None
    made = timing(slow, 7_000, None, 150).made
    assert made is not None
    assert 120 <= made <= 130


def test_it_waits_until_the_smallest_variant_can_be_expected_to_have_25_events() -> None:
    """As many as the others, device for device: a fifth of 125, and not of 124."""
    came = dict.fromkeys(range(100, 125), 1_000)
    assert timing(converting({0: 5}, came, 0.8, 0.2), 7_000, None, 150) == Timing(106, 124)
    assert timing(converting({0: 5}, came, 0.5, 0.5), 7_000, None, 150) == Timing(106, 109)
    assert timing(converting({0: 5}, came, 0.8, 0.2), 7_000, None, 123) == Timing(106, until=123, waits_for="few")


def test_a_rate_needs_devices_without_an_event_as_well() -> None:
    came = dict.fromkeys(range(100, 125), 1_000)
    nearly_all = converting({0: 995}, came)
    assert timing(nearly_all, 7_000, None, 150) == Timing(106, 106)
    assert timing(nearly_all, 7_000, None, 150, rates=True) == Timing(106, 109)


def test_it_waits_for_no_variant_for_ever() -> None:
    rare = converting({0: 1}, EVEN, 0.99, 0.01)
    assert timing(rare, 7_000, None, 106 + LONGEST_WAIT + 1) == Timing(106, 106 + LONGEST_WAIT)


def test_before_a_week_is_over_only_the_week_is_waited_for() -> None:
    few = converting({0: 1}, dict.fromkeys(range(100, 103), 3_000))
    assert timing(few, 7_000, None, 102) == Timing(102, until=106)


def test_what_never_ends_is_not_waited_for_for_ever() -> None:
    endless = converting(dict.fromkeys(range(200), 20))
    assert timing(endless, 7_000, None, 147) == Timing(106, until=106 + LONGEST_WAIT, waits_for="late")
    assert timing(endless, 7_000, None, 106 + LONGEST_WAIT) == Timing(106, until=106 + LONGEST_WAIT)
    assert timing(endless, 7_000, None, 106 + LONGEST_WAIT + 1) == Timing(106, 106 + LONGEST_WAIT)


def test_the_lag_is_that_of_devices_that_have_been_there_long_enough() -> None:
    assert lag(converting({0: 50}), 106) == 0
    assert lag(converting({0: 25, 3: 25}), 109) == 3
    assert lag(converting({0: 50, 20: 50}), 110) == 0
    assert (lag(converting({0: 950, 3: 50}), 109), lag(converting({0: 949, 3: 51}), 109)) == (0, 3)


def test_a_delay_counts_from_a_tenth_of_the_devices_on() -> None:
    """Of 10,000 devices, 1,000 or 999 came first, and half of those convert three days later."""
    for first, seen in ((1_000, 3), (999, 0)):
        came = {100: first, 103: 10_000 - first}
        assert lag(Arrivals(came, {100: {0: 10}, 103: {3: first // 2, 0: 10}}), 103) == seen


def test_without_an_event_there_is_no_lag() -> None:
    assert lag(Arrivals(EVEN, {}), 110) == 0


def test_later_days_do_not_move_a_test_that_was_made() -> None:
    slow = converting({0: 25, 3: 25}, dict.fromkeys(range(100, 160), 1_000))
    assert {timing(slow, 7_000, None, today) for today in range(111, 160)} == {Timing(106, 109)}
