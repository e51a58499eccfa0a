"""Events of devices: each request is stored whole or not at all, and sending it again is harmless."""

from collections.abc import Mapping
from itertools import count

from msgspec import Struct

from abtest import clock
from abtest.domain import DEFAULT_APP_ID, Event, check_token, scoped
from abtest.enrolment import Batches
from abtest.errors import AbtestError, UnknownDevice
from abtest.events.parsing import parse_events
from abtest.store import EventStore

REQUESTS_AT_ONCE = 64
NOT_ASKED = "this device has not asked for its experiments yet; ask for them before sending events"


class Sent(Struct, frozen=True):
    """The scoped token and the events of one request."""

    token: str
    events: tuple[Event, ...]


class Accepted(Struct, frozen=True):
    """How many events of a request were stored, and how many were duplicates."""

    accepted: int
    duplicates: int


class TrackingService:
    """Stores events in batches, which go to the store one at a time."""

    def __init__(self, store: EventStore, queue: int, deadline: float) -> None:
        self._store = store
        self._numbers = count()
        self._batches = Batches[int, Sent, Accepted](self._track, REQUESTS_AT_ONCE, queue, deadline)

    @property
    def waiting(self) -> int:
        """Requests that are waiting for a transaction."""
        return len(self._batches)

    async def track(self, token: str, body: bytes, app: int = DEFAULT_APP_ID) -> Accepted:
        """Store the events of a request's body for a device of an app; returns after they are durable.

        Raises InvalidToken, InvalidJson, InvalidEvent (which names the field), UnknownDevice, and Unavailable
        (`storage_full`, `queue_full`), and then stores none of them. After Unavailable (`busy`) or StorageError, they
        may be stored or not; sending them again is harmless.
        """
        check_token(token)
        return await self._batches.add(next(self._numbers), Sent(scoped(app, token), parse_events(body)))

    async def _track(self, batch: Mapping[int, Sent]) -> Mapping[int, Accepted | AbtestError]:
        sent = list(batch.values())
        stored = await self._store.track([(each.token, each.events) for each in sent], clock.now())
        return {
            number: UnknownDevice(NOT_ASKED)
            if accepted is None
            else Accepted(accepted, len(batch[number].events) - accepted)
            for number, accepted in zip(batch, stored, strict=True)
        }
