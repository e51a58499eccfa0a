"""First requests in PostgreSQL, in two trips: one reads what is there, the other writes what is new."""

from collections.abc import Mapping, Sequence
from itertools import count

import msgspec
from msgspec import Struct

from abtest.domain import NO_ATTRIBUTES, Attributes
from abtest.store.enrolment import Enrolment
from abtest.store.postgres.connection import Connection, Written
from abtest.store.postgres.database import READ, WRITE
from abtest.store.relational.enrolling import (
    NOTHING_DRAWN,
    Catalogue,
    Found,
    Positions,
    Profile,
    ProfileStatements,
    Row,
    ask_profiles,
    by_app,
    draw_all,
    enrolment_of,
    known_of,
    put_profiles,
    read_catalogue,
    said_of,
)

# The enrolment lock: whoever has it reads what the one before has left.
LOCK = "SELECT number FROM last_number WHERE name = 'device' FOR UPDATE"

CONFIG_VERSION = "SELECT value FROM meta WHERE name = 'config_version'"

KNOWN = "SELECT token, variants FROM device WHERE token = ANY (?)"

POSITIONS = "SELECT id, next_position, block_counts FROM phase WHERE id = ANY (?)"

ALL_POSITIONS = "SELECT id, next_position, block_counts FROM phase"

PROFILES = ProfileStatements(
    find="""
    SELECT app_id, attributes, profile.id
    FROM jsonb_array_elements(?) AS asked (value)
    JOIN profile ON app_id = (asked.value ->> 0)::INTEGER AND attributes = asked.value ->> 1
    """,
    add="""
    INSERT INTO profile (id, app_id, attributes)
    SELECT (value ->> 0)::INTEGER, (value ->> 1)::INTEGER, value ->> 2 FROM jsonb_array_elements(?)
    """,
)

# Much less work than an array for each column, since the rows contain lists.
ADD_DEVICES = "INSERT INTO device SELECT * FROM jsonb_populate_recordset(NULL::device, ?)"

ADVANCE = """
UPDATE phase SET next_position = moved.next_position, block_counts = moved.block_counts
FROM unnest(?::BIGINT[], ?::TEXT[], ?::INTEGER[]) AS moved (next_position, block_counts, id)
WHERE phase.id = moved.id
"""

SET_LAST_DEVICE = "UPDATE last_number SET number = ? WHERE name = 'device'"


class Device(Struct):
    """A row of the table `device`."""

    id: int
    first_seen: int
    profile_id: int | None
    token: str
    phases: list[int]
    variants: list[int]
    positions: list[int | None]


def find(connection: Connection, catalogue: Catalogue, tokens: Sequence[str]) -> tuple[Catalogue, Enrolment]:
    """The answers for the known devices among these tokens, in a transaction of its own."""
    with connection.raw.pipeline():
        connection.execute(READ)
        version = connection.execute(CONFIG_VERSION)
        found = connection.execute(KNOWN, (list(tokens),))
        rows, ((config_version,),) = found.fetchall(), version.fetchall()
        if config_version != catalogue.config_version:
            catalogue = read_catalogue(connection, config_version)
        connection.execute("COMMIT")
    return catalogue, enrolment_of(catalogue, known_of(catalogue, tokens, rows))


def enrol(
    connection: Connection,
    catalogue: Catalogue,
    kept: Mapping[int, Found],
    tokens: Sequence[str],
    now: int,
    attributes: Mapping[str, Attributes],
) -> tuple[Catalogue, Enrolment, dict[int, Found]]:
    """Answer every token, in a transaction of its own; see the same in SQLite.

    A third trip is needed if the config version has changed, or an app has hardly any room for other attributes.
    """
    with connection.raw.pipeline():  # statements go to the server together, and the last answer is fetched first
        connection.execute(WRITE)
        locked = connection.execute(LOCK)
        version = connection.execute(CONFIG_VERSION)
        profiles = ask_profiles(connection, PROFILES, said_of(by_app(tokens), attributes), kept)
        found = connection.execute(KNOWN, (list(tokens),))
        there = connection.execute(POSITIONS, (_phases(catalogue),))
        positions, rows = there.fetchall(), found.fetchall()
        ((config_version,),), ((last,),) = version.fetchall(), locked.fetchall()
        if config_version != catalogue.config_version:
            there = connection.execute(ALL_POSITIONS)
            catalogue = read_catalogue(connection, config_version)
            positions = there.fetchall()
        variants = known_of(catalogue, tokens, rows)
        new = [token for token in tokens if token not in variants]
        apps, shelf = by_app(new), profiles()
        learned = shelf.find(said_of(apps, attributes), kept)
        moved = Positions({phase: (first, counts) for phase, first, counts in positions})
        devices: list[Device] = []
        for app, of_app in apps.items():
            theirs = [learned[app][attributes.get(token, NO_ATTRIBUTES)] for token in of_app]
            numbers = range(last + 1, last + 1 + len(of_app))
            taking = catalogue.drawn.get(app, NOTHING_DRAWN)
            outcomes, drawn = draw_all(catalogue, taking, numbers, theirs, moved)
            devices += _devices(of_app, now, theirs, last + 1, drawn)
            variants |= zip(of_app, outcomes, strict=True)
            last += len(of_app)
        put_profiles(connection, PROFILES, shelf)
        if devices:
            connection.execute(ADD_DEVICES, (msgspec.json.encode(devices).decode(),))
            connection.execute(SET_LAST_DEVICE, (last,))
            connection.device = Written(last, now)
        if phases := moved.moved():
            connection.execute(ADVANCE, [list(column) for column in zip(*phases, strict=True)])
        connection.execute("COMMIT")
    return catalogue, enrolment_of(catalogue, variants, frozenset(new)), learned


def _devices(
    tokens: Sequence[str], now: int, profiles: Sequence[Profile], first: int, rows: Sequence[Row]
) -> list[Device]:
    """The rows of new devices, numbered from `first`."""
    found = [
        Device(id, now, profile.number, token, [], [], [])
        for id, token, profile in zip(count(first), tokens, profiles, strict=False)
    ]
    for id, _, phase, variant, position in rows:
        device = found[id - first]
        device.phases.append(phase)
        device.variants.append(variant)
        device.positions.append(position)
    return found


def _phases(catalogue: Catalogue) -> list[int]:
    return [phase for drawn in catalogue.drawn.values() for phase in drawn.phases]
