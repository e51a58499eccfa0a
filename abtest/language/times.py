"""Times, and how long things take, as people read them: in words and an order that are the language's (Unicode CLDR,
by Babel). All are UTC."""

from datetime import datetime, timedelta
from typing import Literal

from babel.dates import format_date, format_skeleton, format_time, format_timedelta
from babel.units import format_unit

from abtest import clock
from abtest.language.numbers import ENGLISH

JUST_NOW_SECONDS = 60
RECENT_SECONDS = 7 * 86_400
Unit = Literal["day", "hour", "minute", "second"]
UNITS: tuple[tuple[Unit, int], ...] = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def age(seconds: float, language: str = ENGLISH) -> str:
    """2 seconds, 5 minutes, 3 hours, 12 days: whole units that have passed."""
    size, unit = _unit(seconds)
    return format_unit(int(seconds // size), unit, locale=language)


def ago(milliseconds: int, now: int, language: str = ENGLISH) -> str:
    """3 hours ago, or 12 Nov 2026 when that is more than a week ago."""
    seconds = (now - milliseconds) / 1000
    if seconds < JUST_NOW_SECONDS:
        return "just now"
    if seconds >= RECENT_SECONDS:
        return day(clock.moment(milliseconds), language)
    size, unit = _unit(seconds)
    whole = timedelta(seconds=-(seconds // size) * size)
    return format_timedelta(whole, granularity=unit, threshold=1, add_direction=True, locale=language)


def duration(seconds: float, language: str = ENGLISH) -> str:
    """7 days, 1.5 hours, 3.2 seconds, 0.03 seconds."""
    size, unit = _unit(seconds)
    return format_unit(round(seconds / size, 1 if seconds >= 1 else 2), unit, locale=language)


def day(moment: datetime, language: str = ENGLISH) -> str:
    """12 Nov 2026."""
    return format_date(moment, "medium", locale=language)


def short_day(moment: datetime, language: str = ENGLISH) -> str:
    """12 Nov."""
    return str(format_skeleton("MMMd", moment, locale=language))


def exact_day(text: str, language: str = ENGLISH) -> str:
    """12 Nov 2026, for 2026-11-12."""
    return day(datetime.fromisoformat(text), language)


def exact_time(text: str, language: str = ENGLISH) -> str:
    """12 Nov 2026, 13:05, for 2026-11-12T13:05:00Z."""
    moment = datetime.fromisoformat(text)
    return f"{day(moment, language)}, {format_time(moment, 'short', locale=language)}"


def hour(moment: datetime, language: str = ENGLISH) -> str:
    """12 Nov, 13:00."""
    return f"{short_day(moment, language)}, {format_time(moment, 'short', locale=language)}"


def _unit(seconds: float) -> tuple[int, Unit]:
    """The largest unit of which at least one has passed."""
    unit, size = next((each for each in UNITS if seconds >= each[1]), UNITS[-1])
    return size, unit
