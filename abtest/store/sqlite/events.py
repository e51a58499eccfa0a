"""Events in SQLite: functions on a raw connection, each run inside one transaction."""

import json
from collections import defaultdict
from collections.abc import Sequence, Set
from itertools import compress
from operator import not_

from abtest.domain import Event, app_of
from abtest.store.relational.refused import Refused, count_refused
from abtest.store.sqlite.driver import Raw

DEVICES = """
SELECT token, device_id FROM json_each(?) AS asked CROSS JOIN device_token ON token = asked.value
"""

ADD = """
INSERT INTO event (device_id, event_id, name, experiment, amount, at, value, received_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (device_id, event_id) DO NOTHING
"""

TEST_DEVICES = """
SELECT token FROM json_each(?) AS asked CROSS JOIN test_device ON token = asked.value
"""

KNOWN_KEYS = """
SELECT experiment.app_id, experiment.key
FROM json_each(?) AS asked CROSS JOIN experiment ON experiment.key = asked.value
WHERE experiment.kind = 'experiment'
"""


def track(connection: Raw, requests: Sequence[tuple[str, Sequence[Event]]], now: int) -> list[int | None]:
    """Store the events of each request; returns how many of them were new, or None for an unknown device.

    The events of a test device all count as new, and none of them is stored.
    """
    tokens = json.dumps([token for token, _ in requests])
    devices = dict(connection.execute(DEVICES, (tokens,)).fetchall())
    tested = {token for (token,) in connection.execute(TEST_DEVICES, (tokens,))}
    known = _known_keys(connection, {event.experiment for _, events in requests for event in events})
    stored: list[int | None] = []
    refused: dict[int, Refused] = defaultdict(Refused)
    for token, events in requests:
        app = app_of(token)
        if token in tested:
            stored.append(len(events))
        elif token not in devices:
            refused[app].unknown_devices += len(events)
            stored.append(None)
        else:
            strange = [event.experiment is not None and (app, event.experiment) not in known for event in events]
            new = _add(connection, devices[token], [*compress(events, map(not_, strange))], now)
            lost = _add(connection, devices[token], [*compress(events, strange)], now)
            refused[app].unknown_experiments += lost
            refused[app].duplicates += len(events) - new - lost
            stored.append(new + lost)
    count_refused(connection, refused)
    return stored


def _add(connection: Raw, device: int, events: Sequence[Event], now: int) -> int:
    rows = [
        (device, event.id, event.name, event.experiment, event.amount, event.at, event.value, now) for event in events
    ]
    return int(connection.executemany(ADD, rows).rowcount) if rows else 0


def _known_keys(connection: Raw, keys: Set[str | None]) -> set[tuple[int, str]]:
    """The experiments with these keys, as (number of the app, key)."""
    asked = sorted(key for key in keys if key)
    return set(connection.execute(KNOWN_KEYS, (json.dumps(asked),)).fetchall()) if asked else set()
