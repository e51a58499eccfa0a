"""Storing events."""

from collections.abc import Sequence
from typing import Protocol

from abtest.domain import Event


class EventStore(Protocol):
    """Keeps events."""

    async def track(self, requests: Sequence[tuple[str, Sequence[Event]]], now: int) -> list[int | None]:
        """Store the events of each (scoped token, events); returns how many were new, or None for an unknown device.

        One transaction; returns after it is durable. An event whose id the device has used before is left out. Raises
        Unavailable (nothing stored) or StorageError.
        """
        ...
