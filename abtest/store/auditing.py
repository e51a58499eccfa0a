"""Reading back every decision from SQLite: functions on a raw connection, run inside one transaction each.

Whoever audits must not stumble over what is damaged: what can't be read is given as empty.
"""

import json
from decimal import InvalidOperation

from abtest import allocation
from abtest.errors import UnknownDevice
from abtest.store import weights as weight_column
from abtest.store.base import (
    AssignmentRecord,
    Chunk,
    DeviceRecord,
    ExperimentRecord,
    Ledger,
    PhaseRecord,
    StatusRecord,
)
from abtest.store.driver import Raw
from abtest.store.enrolling import LAST_DEVICE

DEVICE_ROWS = "SELECT count(*) FROM device"

STRANGERS = """
SELECT (SELECT count(*) FROM device WHERE id < 1) + (SELECT count(*) FROM device WHERE id > ?1)
  + (SELECT count(*) FROM assignment WHERE device_id < 1) + (SELECT count(*) FROM assignment WHERE device_id > ?1)
"""

WATERMARK = "SELECT device_watermark FROM summary"

COUNTED = "SELECT phase_id, variant_id, devices FROM summary_variant"

HOURLY = "SELECT experiment_id, hour, devices FROM summary_hour"

EXPERIMENTS = "SELECT id, key, status, winner, seed, algorithm, created_after_device FROM experiment ORDER BY id"

VARIANTS = "SELECT id, value, place FROM variant WHERE experiment_id = ? ORDER BY place"

PHASES = """
SELECT id, number, weights, created_after_device, next_position, block_counts
FROM phase WHERE experiment_id = ? ORDER BY number
"""

STATUSES = "SELECT status, winner, after_device FROM status_change WHERE experiment_id = ? ORDER BY id"

DEVICES = "SELECT id, first_seen FROM device WHERE id > ? AND id <= ? ORDER BY id"

ASSIGNMENTS = """
SELECT device_id, experiment_id, phase_id, variant_id, position
FROM assignment WHERE device_id > ? AND device_id <= ? ORDER BY device_id, experiment_id
"""

DEVICE = "SELECT id, first_seen FROM device WHERE token = ?"


def ledger(connection: Raw) -> Ledger:
    """What the assignments must agree with."""
    (devices,) = connection.execute(DEVICE_ROWS).fetchone()
    (last_device,) = connection.execute(LAST_DEVICE).fetchone()
    (strangers,) = connection.execute(STRANGERS, (last_device,)).fetchone()
    (watermark,) = connection.execute(WATERMARK).fetchone() or (None,)
    return Ledger(
        devices=devices,
        last_device=last_device,
        strangers=strangers,
        experiments=experiments(connection),
        watermark=watermark,
        counted={(phase, variant): count for phase, variant, count in connection.execute(COUNTED)},
        hourly={(experiment, hour): count for experiment, hour, count in connection.execute(HOURLY)},
    )


def experiments(connection: Raw) -> tuple[ExperimentRecord, ...]:
    """Every experiment with all that ever decided for a device; no device is looked at."""
    return tuple(_experiment(connection, *row) for row in connection.execute(EXPERIMENTS).fetchall())


def chunk(connection: Raw, after: int, upto: int) -> Chunk:
    """The devices with after < id <= upto, and their assignments."""
    return Chunk(
        after=after,
        upto=upto,
        devices=connection.execute(DEVICES, (after, upto)).fetchall(),
        assignments=connection.execute(ASSIGNMENTS, (after, upto)).fetchall(),
    )


def device(connection: Raw, token: str) -> DeviceRecord:
    """The device with this token. Raises UnknownDevice."""
    found = connection.execute(DEVICE, (token,)).fetchone()
    if found is None:
        raise UnknownDevice("no device has asked with this token")
    id, first_seen = found
    rows = connection.execute(ASSIGNMENTS, (id - 1, id))
    return DeviceRecord(id, first_seen, tuple(AssignmentRecord(*row[1:]) for row in rows))


def _experiment(
    connection: Raw,
    id: int,
    key: str,
    status: str,
    winner: str | None,
    seed: bytes,
    algorithm: int,
    created_after_device: int,
) -> ExperimentRecord:
    variants = connection.execute(VARIANTS, (id,)).fetchall()
    phases = [
        PhaseRecord(phase, number, _weights(weights), after, next_position, _counts(counts))
        for phase, number, weights, after, next_position, counts in connection.execute(PHASES, (id,))
    ]
    return ExperimentRecord(
        id=id,
        key=key,
        status=status,
        winner=winner,
        seed=seed,
        algorithm=algorithm,
        created_after_device=created_after_device,
        values=tuple(value for _, value, _ in variants),
        variants=tuple(variant for variant, _, _ in variants),
        places=tuple(place for _, _, place in variants),
        phases=tuple(phases),
        statuses=tuple(StatusRecord(*row) for row in connection.execute(STATUSES, (id,))),
    )


def _weights(text: str) -> allocation.Weights:
    try:
        return allocation.lowest_terms(weight_column.load(text))
    except (ValueError, TypeError, OverflowError, InvalidOperation):
        return ()


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(json.loads(text))
    except (ValueError, TypeError):
        return ()
    return counts if all(type(count) is int for count in counts) else ()
