"""First requests in PostgreSQL, in two trips: what is there, and what becomes of it."""

from collections.abc import Mapping, Sequence

from abtest.domain import NO_ATTRIBUTES, Attributes
from abtest.store.enrolment import Enrolment
from abtest.store.postgres.connection import Connection
from abtest.store.postgres.database import WRITE
from abtest.store.relational.enrolling import (
    NOTHING_DRAWN,
    Catalogue,
    Found,
    Kept,
    Positions,
    Row,
    by_app,
    current,
    draw_all,
    enrolment_of,
    find_profiles,
    known_of,
)

# The enrolment lock: whoever has it reads what the last one left.
LOCK = "SELECT number FROM last_number WHERE name = 'device' FOR UPDATE"

CONFIG_VERSION = "SELECT value FROM meta WHERE name = 'config_version'"

KNOWN = """
SELECT token, variant_id
FROM device_token LEFT JOIN assignment ON assignment.device_id = device_token.device_id
WHERE token = ANY (?)
ORDER BY token, experiment_id
"""

POSITIONS = "SELECT id, next_position, block_counts FROM phase WHERE id = ANY (?)"

ADD_DEVICES = """
INSERT INTO device (id, first_seen, profile_id)
SELECT ? + place, ?, profile FROM unnest(?::INTEGER[]) WITH ORDINALITY AS given (profile, place)
"""

ADD_TOKENS = """
INSERT INTO device_token (token, device_id)
SELECT token, ? + place FROM unnest(?::TEXT[]) WITH ORDINALITY AS given (token, place)
"""

ADD_ASSIGNMENTS = """
INSERT INTO assignment (device_id, experiment_id, phase_id, variant_id, position)
SELECT * FROM unnest(?::BIGINT[], ?::INTEGER[], ?::INTEGER[], ?::INTEGER[], ?::BIGINT[])
"""

ADVANCE = """
UPDATE phase SET next_position = moved.next_position, block_counts = moved.block_counts
FROM unnest(?::BIGINT[], ?::TEXT[], ?::INTEGER[]) AS moved (next_position, block_counts, id)
WHERE phase.id = moved.id
"""

SET_LAST_DEVICE = "UPDATE last_number SET number = ? WHERE name = 'device'"


def find(connection: Connection, catalogue: Catalogue, tokens: Sequence[str]) -> tuple[Catalogue, Enrolment]:
    """The answers of the known devices among these tokens."""
    catalogue = current(connection, catalogue)
    rows = connection.execute(KNOWN, (list(tokens),)).fetchall()
    return catalogue, enrolment_of(catalogue, known_of(catalogue, tokens, rows))


def enrol(
    connection: Connection,
    catalogue: Catalogue,
    kept: Kept,
    tokens: Sequence[str],
    now: int,
    attributes: Mapping[str, Attributes],
) -> tuple[Catalogue, Enrolment, dict[int, Found]]:
    """Answer every token, in a transaction of its own; see the same in SQLite.

    A third trip is needed only for what this process sees the first time: another config version, or attributes.
    """
    with connection.raw.pipeline():  # all of it goes to the server together, and the last answer is fetched first
        connection.execute(WRITE)
        locked = connection.execute(LOCK)
        version = connection.execute(CONFIG_VERSION)
        found = connection.execute(KNOWN, (list(tokens),))
        there = connection.execute(POSITIONS, (_phases(catalogue),))
        positions, rows = there.fetchall(), found.fetchall()
        ((config_version,),), ((last,),) = version.fetchall(), locked.fetchall()
        if config_version != catalogue.config_version:
            catalogue = current(connection, catalogue)
            positions = connection.execute(POSITIONS, (_phases(catalogue),)).fetchall()
        variants = known_of(catalogue, tokens, rows)
        new = [token for token in tokens if token not in variants]
        moved = Positions({phase: (first, counts) for phase, first, counts in positions})
        learned: dict[int, Found] = {}
        drawn: list[Row] = []
        for app, of_app in by_app(new).items():
            said = [attributes.get(token, NO_ATTRIBUTES) for token in of_app]
            learned[app] = find_profiles(connection, kept, app, said)
            theirs = [learned[app][each] for each in said]
            connection.execute(ADD_DEVICES, (last, now, [profile.number for profile in theirs]))
            connection.execute(ADD_TOKENS, (last, of_app))
            devices = range(last + 1, last + 1 + len(of_app))
            taking = catalogue.drawn.get(app, NOTHING_DRAWN)
            outcomes, assigned = draw_all(catalogue, taking, devices, theirs, moved)
            drawn += assigned
            variants |= zip(of_app, outcomes, strict=True)
            last += len(of_app)
        if new:
            _store(connection, last, moved, drawn)
        connection.execute("COMMIT")
    return catalogue, enrolment_of(catalogue, variants, frozenset(new)), learned


def _store(connection: Connection, last: int, moved: Positions, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(ADD_ASSIGNMENTS, [list(column) for column in zip(*rows, strict=True)])
    if phases := moved.moved():
        connection.execute(ADVANCE, [list(column) for column in zip(*phases, strict=True)])
    connection.execute(SET_LAST_DEVICE, (last,))


def _phases(catalogue: Catalogue) -> list[int]:
    return [phase for drawn in catalogue.drawn.values() for phase in drawn.phases]
