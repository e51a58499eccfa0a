"""Times as the product keeps them: whole milliseconds since 1970-01-01 UTC."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

HOUR = 3_600_000
DAY = 24 * HOUR
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """The present time."""
    return time.time_ns() // 1_000_000


def moment(milliseconds: int) -> datetime:
    """A time in milliseconds as a datetime in UTC."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def milliseconds(moment: datetime) -> int:
    """A datetime with a time zone as whole milliseconds, rounded down."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def iso(milliseconds: int) -> str:
    """A time in milliseconds as RFC 3339, to the second."""
    return moment(milliseconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_or_none(milliseconds: int | None) -> str | None:
    """As `iso`; None for None."""
    return None if milliseconds is None else iso(milliseconds)


def exact_iso(milliseconds: int) -> str:
    """A time in milliseconds as RFC 3339, to the millisecond."""
    return moment(milliseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age(moment: int | None, at: int | None = None) -> float | None:
    """The seconds from that moment to `at`, or to the present: rounded to a tenth, at least 0; None for None."""
    return None if moment is None else max(0.0, round(((now() if at is None else at) - moment) / 1000, 1))


async def stopped(stop: asyncio.Event, seconds: float) -> bool:
    """Whether `stop` is set within this many seconds."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
