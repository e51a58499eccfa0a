"""Events in SQLite: functions on a raw connection, run inside one transaction each."""

import json
from collections.abc import Sequence

from abtest.domain import Event
from abtest.store.sqlite.driver import Raw

DEVICES = """
SELECT token, device_id FROM json_each(?) AS asked CROSS JOIN device_token ON token = asked.value
"""

ADD = """
INSERT INTO event (device_id, event_id, name, experiment, amount, at, received_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (device_id, event_id) DO NOTHING
"""

COUNT = "UPDATE meta SET value = value + ? WHERE name = ?"

# Not max(id): what was given out is never given again, even after the events of a device were erased.
LAST_EVENT = "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)"


def track(connection: Raw, requests: Sequence[tuple[str, Sequence[Event]]], now: int) -> list[int | None]:
    """Store the events of each request; how many of them were new, None for an unknown device."""
    tokens = json.dumps([token for token, _ in requests])
    devices = dict(connection.execute(DEVICES, (tokens,)).fetchall())
    stored = [
        None if token not in devices else _add(connection, devices[token], events, now) for token, events in requests
    ]
    results = list(zip((events for _, events in requests), stored, strict=True))
    for name, count in (
        ("duplicate_events", sum(len(events) - new for events, new in results if new is not None)),
        ("unknown_device_events", sum(len(events) for events, new in results if new is None)),
    ):
        if count:
            connection.execute(COUNT, (count, name))
    return stored


def last_event(connection: Raw) -> int:
    """The highest number that an event ever had."""
    (last,) = connection.execute(LAST_EVENT).fetchone()
    return int(last)


def _add(connection: Raw, device: int, events: Sequence[Event], now: int) -> int:
    rows = [(device, event.id, event.name, event.experiment, event.amount, event.at, now) for event in events]
    return int(connection.executemany(ADD, rows).rowcount) if rows else 0
