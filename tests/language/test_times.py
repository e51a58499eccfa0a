"""Times and durations as people read them."""

from datetime import UTC, datetime

import pytest

from abtest.language.times import age, ago, day, duration, exact_day, exact_time, hour

DAY = 86_400


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (603_361.2, "7 days"),
        (5_400, "1.5 hours"),
        (60, "1 minute"),
        (59.94, "59.9 seconds"),
        (0.347, "0.35 seconds"),
        (0, "0 seconds"),
    ],
)
def test_a_duration_is_told_in_its_largest_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_an_age_has_whole_units_that_have_passed() -> None:
    assert [age(seconds) for seconds in (0, 59.9, 60, 3599, 7300, 12.9 * DAY)] == [
        "0 seconds", "59 seconds", "1 minute", "59 minutes", "2 hours", "12 days"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (3 * 3_600, "3 hours ago"), (6.9 * DAY, "6 days ago"), (7 * DAY, "1 Jan 1970")],
)
def test_a_moment_is_told_by_its_age_for_a_week(seconds: float, text: str) -> None:
    assert ago(0, int(1000 * seconds)) == text


def test_an_exact_time_has_its_year_and_a_day_needs_no_time() -> None:
    assert (exact_time("2026-11-12T13:05:59Z"), exact_day("2026-11-12")) == ("12 Nov 2026, 13:05", "12 Nov 2026")


def test_another_language_has_its_own_words_and_order() -> None:
    moment = datetime(2026, 11, 12, 13, 5, tzinfo=UTC)
    assert (day(moment), hour(moment)) == ("12 Nov 2026", "12 Nov, 13:05")
    assert day(moment, "ru").startswith("12 нояб. 2026")
    assert ago(0, 3 * 3_600_000, "ru") == "3 часа назад"
