"""What an app tells: events, read strictly and stored."""

from abtest.events.tracking import Accepted, TrackingService

__all__ = [
    "Accepted",
    "TrackingService",
]
