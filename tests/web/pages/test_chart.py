"""Enrolment over time, as bars."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from abtest.web.pages.chart import MOST_BARS, chart, nice

HOURS = st.dictionaries(st.integers(400_000, 1_000_000), st.integers(1, 10**9), min_size=1, max_size=200)
WEDNESDAY = int(datetime(2026, 5, 20, tzinfo=UTC).timestamp()) // 3600


@given(HOURS)
def test_bars_hold_all_devices_and_are_never_too_many(per_hour: dict[int, int]) -> None:
    drawn = chart(sorted(per_hour.items()), now=0)
    assert drawn is not None
    assert sum(bar.devices for bar in drawn.bars) == sum(per_hour.values())
    assert len(drawn.bars) <= MOST_BARS


@given(st.integers(494_000, 495_000), st.sampled_from([1, 6, 24, 168]), st.integers(-2, 2))
def test_a_history_without_a_gap_just_fits(begin: int, width: int, more: int) -> None:
    drawn = chart([(hour, 1) for hour in range(begin, begin + width * MOST_BARS + more)], now=0)
    assert drawn is not None
    assert len(drawn.bars) <= MOST_BARS


@given(HOURS)
def test_bars_stay_inside_the_plot_and_never_overlap(per_hour: dict[int, int]) -> None:
    drawn = chart(sorted(per_hour.items()), now=0)
    assert drawn is not None
    edges = [edge for bar in drawn.bars for edge in (bar.x, bar.x + bar.width)]
    assert edges == sorted(edges)
    assert 0 <= edges[0] < edges[-1] <= 100
    assert all(0 <= bar.y <= 100 and round(bar.y + bar.height, 2) == 100 for bar in drawn.bars)


def test_without_devices_there_is_no_chart() -> None:
    assert chart([], now=WEDNESDAY) is None


def test_one_hour_is_one_narrow_bar_after_the_room_of_a_day() -> None:
    drawn = chart([(WEDNESDAY, 600)], now=WEDNESDAY)
    assert drawn is not None
    assert [(bar.start, bar.devices) for bar in drawn.bars] == [("20 May, 00:00", 600)]
    assert (drawn.bars[0].x > 95, drawn.bars[0].width < 5) == (True, True)
    assert (drawn.per, drawn.top, drawn.first, drawn.last) == ("hour", 1000, "19 May, 01:00", "20 May, 00:00")


def test_the_end_of_the_enrolment_shows() -> None:
    drawn = chart([(WEDNESDAY, 300), (WEDNESDAY + 1, 300)], now=WEDNESDAY + 40)
    assert drawn is not None
    assert [round(bar.x) for bar in drawn.bars] == [0, 2]
    assert (drawn.per, drawn.first, drawn.last) == ("hour", "20 May, 00:00", "21 May, 16:00")


def test_hours_become_days_and_weeks_that_begin_on_monday() -> None:
    two_months = chart([(WEDNESDAY + hour, 1) for hour in range(60 * 24)], now=0)
    assert two_months is not None
    assert (two_months.per, len(two_months.bars), two_months.last) == ("day", 60, "18 Jul 2026")
    a_year = chart([(WEDNESDAY + 24 * day, 1) for day in range(365)], now=0)
    assert a_year is not None
    assert (a_year.per, a_year.first) == ("week", "18 May 2026")


def test_hours_without_devices_leave_a_gap() -> None:
    drawn = chart([(WEDNESDAY, 5), (WEDNESDAY + 29, 10)], now=0)
    assert drawn is not None
    assert [(bar.x, bar.height) for bar in drawn.bars] == [(0, 50), (96.667, 100)]


@given(st.integers(1, 10**12))
def test_the_top_is_a_round_number_that_is_not_far_above(value: int) -> None:
    assert value <= nice(value) <= max(2.5 * value, 1)
    assert str(nice(value)).rstrip("0") in {"1", "2", "5"}
