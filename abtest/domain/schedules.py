"""When experiments start and end by themselves."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from abtest import clock
from abtest.domain.documents import TIME_RULE
from abtest.errors import InvalidExperiment

Moment = Annotated[datetime, Meta(tz=True)]
"""RFC 3339, as in TOML and JSON."""
LATEST = 253_402_300_799_999
"""The end of the year 9999."""


def parse_time(given: str | datetime, field: str) -> int:
    """The time in milliseconds since 1970-01-01 UTC. Raises InvalidExperiment."""
    try:
        found = clock.milliseconds(msgspec.convert(given, Moment))
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise InvalidExperiment(f"{field}: {TIME_RULE}") from None
    if not 0 <= found <= LATEST:
        raise InvalidExperiment(f"{field}: must be in the years 1970 to 9999")
    return found


def check_order(start_at: int | None, end_at: int | None) -> None:
    """Raises InvalidExperiment unless the end is after the start."""
    if start_at is not None and end_at is not None and end_at <= start_at:
        raise InvalidExperiment("end_at: must be after the start")
