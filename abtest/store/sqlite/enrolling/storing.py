"""New devices and what they got in SQLite: functions on a raw connection, each run inside one transaction."""

import json
from collections.abc import Sequence

from abtest.store.relational import rows
from abtest.store.relational.enrolling import Positions, Profile, ProfileStatements, Row
from abtest.store.relational.numbers import last_device
from abtest.store.sqlite.driver import Raw

# One statement for all devices: between statements and between rows, Python may switch to other threads.
ADD_DEVICES = "INSERT INTO device (id, first_seen, profile_id) SELECT ? + key, ?, value FROM json_each(?)"

ADD_TOKENS = "INSERT INTO device_token (token, device_id) SELECT value, ? + key FROM json_each(?)"

ADD_ASSIGNMENT = """
INSERT INTO assignment (device_id, experiment_id, phase_id, variant_id, position) VALUES (?, ?, ?, ?, ?)
"""

PROFILES = ProfileStatements(
    find="""
    SELECT app_id, attributes, profile.id
    FROM json_each(?) AS asked
    CROSS JOIN profile ON app_id = asked.value ->> 0 AND attributes = asked.value ->> 1
    """,
    add="""
    INSERT INTO profile (id, app_id, attributes) SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)
    """,
)

POSITIONS = """
SELECT phase.id, next_position, block_counts FROM json_each(?) AS asked JOIN phase ON phase.id = asked.value
"""

ADVANCE = "UPDATE phase SET next_position = ?, block_counts = ? WHERE id = ?"


def add_devices(connection: Raw, tokens: Sequence[str], now: int, profiles: Sequence[Profile]) -> range:
    """Store these devices; returns their numbers, in the same order."""
    first = last_device(connection) + 1
    connection.execute(ADD_DEVICES, (first, now, json.dumps([profile.number for profile in profiles])))
    connection.execute(ADD_TOKENS, (first, json.dumps(tokens)))
    return range(first, first + len(tokens))


def positions(connection: Raw, phases: Sequence[int]) -> Positions:
    """The next positions of these phases."""
    found = connection.execute(POSITIONS, (json.dumps(phases),)) if phases else ()
    return Positions({phase: (first, counts) for phase, first, counts in found})


def store(connection: Raw, moved: Positions, assigned: Sequence[Row]) -> None:
    """Add these assignments, and store the positions that moved."""
    connection.executemany(ADVANCE, moved.moved())
    rows.insert(connection, ADD_ASSIGNMENT, assigned)
