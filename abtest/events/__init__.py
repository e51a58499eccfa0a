"""The events that apps send: parsed strictly and stored."""

from abtest.events.tracking import Accepted, TrackingService

__all__ = [
    "Accepted",
    "TrackingService",
]
