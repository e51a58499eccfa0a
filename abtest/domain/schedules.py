"""Times that people give, such as when experiments start and end by themselves."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from abtest import clock
from abtest.domain.documents import TIME_RULE
from abtest.errors import InvalidExperiment, InvalidField

Moment = Annotated[datetime, Meta(tz=True)]
"""RFC 3339, as in TOML and JSON."""
LATEST = 253_402_300_799_999
"""The end of the year 9999."""
DAY = len("2026-12-03")
SINCE_RULE = "must be a day such as 2026-12-03, or a time such as 2026-12-03T09:00:00Z"


def parse_time(given: str | datetime, field: str) -> int:
    """The time in milliseconds since 1970-01-01 UTC. Raises InvalidExperiment."""
    try:
        found = clock.milliseconds(msgspec.convert(given, Moment))
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise InvalidExperiment(TIME_RULE, field) from None
    if not 0 <= found <= LATEST:
        raise InvalidExperiment("must be in the years 1970 to 9999", field)
    return found


def parse_since(given: str) -> int:
    """As `parse_time`; for a day, the time when it begins (UTC). Raises InvalidField."""
    try:
        return parse_time(f"{given}T00:00:00Z" if len(given) == DAY else given, "since")
    except InvalidExperiment:
        raise InvalidField(SINCE_RULE, field="since") from None


def check_order(start_at: int | None, end_at: int | None) -> None:
    """Raises InvalidExperiment unless the end is after the start."""
    if start_at is not None and end_at is not None and end_at <= start_at:
        raise InvalidExperiment("must be after the start", field="end_at")
