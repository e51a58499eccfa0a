"""Reading rows for files: functions on a connection, each run inside one transaction."""

from collections.abc import Sequence

from abtest.domain import KNOWN_ATTRIBUTES
from abtest.store.export import Extent, Row, Table
from abtest.store.relational import cataloguing
from abtest.store.relational.connection import Connection
from abtest.store.relational.enrolling import load_attributes
from abtest.store.relational.numbers import last_device, last_event

DEVICES = """
WITH held AS MATERIALIZED (
  SELECT experiment.key, experiment.id AS holdout_id, variant.id AS variant_id
  FROM experiment JOIN variant ON variant.experiment_id = experiment.id
  WHERE app_id = ?1 AND kind = 'holdout' AND variant.value = 'held'
), tested AS MATERIALIZED (
  SELECT device_id FROM test_device JOIN device_token ON device_token.token = test_device.token
  WHERE app_id = ?1
)
SELECT device.id, first_seen, coalesce(attributes, '{}'), (
    SELECT held.key FROM held JOIN assignment
    ON assignment.device_id = device.id AND experiment_id = holdout_id AND assignment.variant_id = held.variant_id
    LIMIT 1
  ), device.id IN (SELECT device_id FROM tested)
FROM device LEFT JOIN profile ON profile.id = profile_id
WHERE device.id > ?3 AND device.id <= ?4 AND first_seen >= ?2 AND coalesce(app_id, 1) = ?1
ORDER BY device.id
"""

# Both tables are bounded: PostgreSQL, where assignments are part of a device's row, can't derive one from the other.
ASSIGNMENTS = """
SELECT device.id, kind, experiment.key, CASE WHEN variant.place >= 0 THEN variant.value END,
  CASE WHEN position IS NULL THEN 'winner' WHEN variant.place < 0 THEN 'outside' ELSE 'drawn' END,
  phase.number, position, first_seen
FROM device
JOIN assignment ON device_id = device.id
JOIN experiment ON experiment.id = assignment.experiment_id
JOIN phase ON phase.id = phase_id
JOIN variant ON variant.id = variant_id
WHERE device.id > ?3 AND device.id <= ?4 AND device_id > ?3 AND device_id <= ?4 AND first_seen >= ?2 AND app_id = ?1
ORDER BY device.id, experiment.id
"""

EVENTS = """
SELECT device_id, event_id, name, amount, at, received_at, experiment, value
FROM event
JOIN device ON device.id = device_id
LEFT JOIN profile ON profile.id = profile_id
WHERE event.id > ?3 AND event.id <= ?4 AND received_at >= ?2 AND coalesce(app_id, 1) = ?1
  AND device_id NOT IN (SELECT device_id FROM erasing)
ORDER BY event.id
"""

ROWS = {Table.DEVICES: DEVICES, Table.ASSIGNMENTS: ASSIGNMENTS, Table.EVENTS: EVENTS}


def extent(connection: Connection, app: str) -> Extent:
    """How far the rows of an app go. Raises UnknownApp."""
    return Extent(cataloguing.app_id(connection, app), last_device(connection), last_event(connection))


def rows(connection: Connection, table: Table, app: int, since: int, after: int, upto: int) -> Sequence[Row]:
    """See ExportStore.rows."""
    found: list[Row] = connection.execute(ROWS[table], (app, since, after, upto)).fetchall()
    return [_device(*row) for row in found] if table is Table.DEVICES else found


def _device(id: int, first_seen: int, attributes: str, holdout: str | None, tested: int) -> Row:
    said = dict(load_attributes(attributes).pairs)
    return (id, first_seen, *map(said.get, KNOWN_ATTRIBUTES), holdout, tested)
