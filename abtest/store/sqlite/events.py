"""Events in SQLite: functions on a raw connection, each run inside one transaction."""

import json
from collections import Counter
from collections.abc import Sequence

from abtest.domain import Event
from abtest.store.sqlite.driver import Raw

DEVICES = """
SELECT token, device_id FROM json_each(?) AS asked CROSS JOIN device_token ON token = asked.value
"""

ADD = """
INSERT INTO event (device_id, event_id, name, experiment, amount, at, value, received_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (device_id, event_id) DO NOTHING
"""

KNOWN_KEYS = "SELECT experiment.key FROM json_each(?) AS asked CROSS JOIN experiment ON experiment.key = asked.value"

COUNT = "UPDATE meta SET value = value + ? WHERE name = ?"

# Not max(id): a number is never given out twice, even after a device's events were erased.
LAST_EVENT = "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)"


def track(connection: Raw, requests: Sequence[tuple[str, Sequence[Event]]], now: int) -> list[int | None]:
    """Store the events of each request; returns how many of them were new, or None for an unknown device."""
    tokens = json.dumps([token for token, _ in requests])
    devices = dict(connection.execute(DEVICES, (tokens,)).fetchall())
    named = {event.experiment for _, events in requests for event in events if event.experiment}
    strange = _unknown(connection, named)
    stored: list[int | None] = []
    counts: Counter[str] = Counter()
    for token, events in requests:
        if token not in devices:
            counts["unknown_device_events"] += len(events)
            stored.append(None)
            continue
        new = _add(connection, devices[token], [event for event in events if event.experiment not in strange], now)
        lost = _add(connection, devices[token], [event for event in events if event.experiment in strange], now)
        counts["unknown_experiment_events"] += lost
        counts["duplicate_events"] += len(events) - new - lost
        stored.append(new + lost)
    for name, count in counts.items():
        if count:
            connection.execute(COUNT, (count, name))
    return stored


def last_event(connection: Raw) -> int:
    """The highest id that an event ever had."""
    (last,) = connection.execute(LAST_EVENT).fetchone()
    return int(last)


def _add(connection: Raw, device: int, events: Sequence[Event], now: int) -> int:
    rows = [
        (device, event.id, event.name, event.experiment, event.amount, event.at, event.value, now) for event in events
    ]
    return int(connection.executemany(ADD, rows).rowcount) if rows else 0


def _unknown(connection: Raw, keys: set[str]) -> set[str]:
    """The keys that no experiment has."""
    if not keys:
        return keys
    return keys - {key for (key,) in connection.execute(KNOWN_KEYS, (json.dumps(sorted(keys)),))}
