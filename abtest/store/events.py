"""Where events are kept."""

from collections.abc import Sequence
from typing import Protocol

from abtest.domain import Event


class EventStore(Protocol):
    """Where events are kept."""

    async def track(self, requests: Sequence[tuple[str, Sequence[Event]]], now: int) -> list[int | None]:
        """Store the events of each (token, events); how many of them were new, None for an unknown device.

        One transaction; returns after it is durable. An event whose id the device had used is left out. Raises
        Unavailable (nothing stored) or StorageError.
        """
        ...
