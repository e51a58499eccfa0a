"""Events in PostgreSQL, in two trips: one reads what is there, the other writes what is new."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from msgspec import Struct

from abtest.domain import Event, app_of
from abtest.store.postgres.connection import Connection, Written
from abtest.store.postgres.database import WRITE
from abtest.store.relational.refused import Refused, count_refused

# Whoever has this lock gives out the ids of events. First requests and events don't wait for each other.
LOCK = "SELECT number FROM last_number WHERE name = 'event' FOR UPDATE"

DEVICES = "SELECT token, id FROM device WHERE token = ANY (?)"

TEST_DEVICES = "SELECT token FROM test_device WHERE token = ANY (?)"

KNOWN_KEYS = "SELECT app_id, key FROM experiment WHERE key = ANY (?) AND kind = 'experiment'"

KNOWN_EVENTS = """
SELECT device.token, event.event_id
FROM unnest(?::TEXT[], ?::TEXT[]) AS asked (token, event_id)
JOIN device ON device.token = asked.token
JOIN event ON event.device_id = device.id AND event.event_id = asked.event_id
"""

ADD = """
INSERT INTO event (id, device_id, event_id, name, experiment, amount, at, value, received_at)
SELECT given.*, ?
FROM unnest(
  ?::BIGINT[], ?::BIGINT[], ?::TEXT[], ?::TEXT[], ?::TEXT[], ?::BIGINT[], ?::BIGINT[], ?::TEXT[]
) AS given
"""

SET_LAST_EVENT = "UPDATE last_number SET number = ? WHERE name = 'event'"

Requests = Sequence[tuple[str, Sequence[Event]]]


class Known(Struct, frozen=True):
    """What is there: devices by token, test devices, (app, key) of experiments, and (token, id) of events."""

    devices: Mapping[str, int]
    tested: frozenset[str]
    keys: frozenset[tuple[int, str]]
    events: set[tuple[str, str]]


def track(connection: Connection, requests: Requests, now: int) -> list[int | None]:
    """Store the events of each request, in a transaction of its own; see EventStore.

    The events of a test device all count as new, and none of them is stored.
    """
    with connection.raw.pipeline():
        connection.execute(WRITE)
        locked = connection.execute(LOCK)
        known = _known(connection, requests)
        ((last,),) = locked.fetchall()
        rows: list[tuple[int, Event]] = []
        refused: dict[int, Refused] = defaultdict(Refused)
        stored = [_sort(known, token, events, rows, refused[app_of(token)]) for token, events in requests]
        if rows:
            columns = zip(*_columns(rows, last), strict=True)
            connection.execute(ADD, (now, *map(list, columns)))
            connection.execute(SET_LAST_EVENT, (last + len(rows),))
            connection.event = Written(last + len(rows), now)
        count_refused(connection, refused)
        connection.execute("COMMIT")
    return stored


def _known(connection: Connection, requests: Requests) -> Known:
    tokens = [token for token, _ in requests]
    asked = [(token, event.id) for token, events in requests for event in events]
    keys = {event.experiment for _, events in requests for event in events if event.experiment}
    devices = connection.execute(DEVICES, (tokens,))
    tested = connection.execute(TEST_DEVICES, (tokens,))
    experiments = connection.execute(KNOWN_KEYS, (sorted(keys),))
    found = connection.execute(KNOWN_EVENTS, ([token for token, _ in asked], [id for _, id in asked]))
    return Known(  # the last answer is fetched first: then all of them are there
        events=set(found.fetchall()),
        devices=dict(devices.fetchall()),
        tested=frozenset(token for (token,) in tested.fetchall()),
        keys=frozenset(experiments.fetchall()),
    )


def _sort(
    known: Known, token: str, events: Sequence[Event], rows: list[tuple[int, Event]], refused: Refused
) -> int | None:
    """Add new events to the rows; returns how many, or None for an unknown device."""
    if token in known.tested:
        return len(events)
    if token not in known.devices:
        refused.unknown_devices += len(events)
        return None
    new, app = 0, app_of(token)
    strange = [event.experiment is not None and (app, event.experiment) not in known.keys for event in events]
    # Events of known experiments come first, as in SQLite: of two with the same id, the first stays.
    for unknown, event in sorted(zip(strange, events, strict=True), key=lambda each: each[0]):
        if (token, event.id) in known.events:
            refused.duplicates += 1
            continue
        known.events.add((token, event.id))
        rows.append((known.devices[token], event))
        refused.unknown_experiments += unknown
        new += 1
    return new


def _columns(rows: Sequence[tuple[int, Event]], last: int) -> Iterator[tuple[object, ...]]:
    for id, (device, event) in zip(count(last + 1), rows, strict=False):
        yield id, device, event.id, event.name, event.experiment, event.amount, event.at, event.value
