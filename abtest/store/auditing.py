"""Reading back every decision from SQLite: functions on a raw connection, run inside one transaction each."""

import json
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

from abtest import allocation
from abtest.errors import UnknownDevice
from abtest.models import Status
from abtest.store import weights as weight_column
from abtest.store.base import (
    AssignmentRecord,
    DeviceRecord,
    ExperimentRecord,
    Ledger,
    PhaseRecord,
    StatusRecord,
)
from abtest.store.driver import Raw

DEVICES = "SELECT count(*), ifnull(max(id), 0) FROM device"

WATERMARK = "SELECT device_watermark FROM summary"

COUNTED = "SELECT phase_id, variant_id, devices FROM summary_variant"

HOURLY = "SELECT experiment_id, hour, devices FROM summary_hour"

EXPERIMENTS = "SELECT id, key, seed, created_after_device FROM experiment ORDER BY id"

VARIANTS = "SELECT id, value FROM variant WHERE experiment_id = ? ORDER BY place"

PHASES = """
SELECT id, number, weights, created_after_device, next_position, block_counts
FROM phase WHERE experiment_id = ? ORDER BY number
"""

STATUSES = "SELECT status, winner, after_device FROM status_change WHERE experiment_id = ? ORDER BY id"

ENROLLED = """
SELECT device.id, device.first_seen, assignment.experiment_id, phase_id, variant_id, position
FROM device LEFT JOIN assignment ON assignment.device_id = device.id
WHERE device.id > ? AND device.id <= ?
ORDER BY device.id, assignment.experiment_id
"""

ENROLLED_BY_TOKEN = """
SELECT device.id, device.first_seen, assignment.experiment_id, phase_id, variant_id, position
FROM device LEFT JOIN assignment ON assignment.device_id = device.id
WHERE device.token = ?
ORDER BY assignment.experiment_id
"""


def ledger(connection: Raw) -> Ledger:
    """What the assignments must agree with."""
    devices, last_device = connection.execute(DEVICES).fetchone()
    (watermark,) = connection.execute(WATERMARK).fetchone()
    return Ledger(
        devices=devices,
        last_device=last_device,
        experiments=tuple(_experiment(connection, *row) for row in connection.execute(EXPERIMENTS).fetchall()),
        watermark=watermark,
        counted={(phase, variant): count for phase, variant, count in connection.execute(COUNTED)},
        hourly={(experiment, hour): count for experiment, hour, count in connection.execute(HOURLY)},
    )


def devices(connection: Raw, after: int, upto: int) -> list[DeviceRecord]:
    """The devices with after < id <= upto, ascending, with their assignments."""
    return _devices(connection.execute(ENROLLED, (after, upto)))


def device(connection: Raw, token: str) -> DeviceRecord:
    """The device with this token. Raises UnknownDevice."""
    found = _devices(connection.execute(ENROLLED_BY_TOKEN, (token,)))
    if not found:
        raise UnknownDevice("no device has asked with this token")
    return found[0]


def _devices(rows: Iterable[Any]) -> list[DeviceRecord]:
    return [
        DeviceRecord(
            id=id,
            first_seen=first_seen,
            assignments=tuple(AssignmentRecord(*row[2:]) for row in group if row[2] is not None),
        )
        for (id, first_seen), group in groupby(rows, key=itemgetter(0, 1))
    ]


def _experiment(connection: Raw, id: int, key: str, seed: bytes, created_after_device: int) -> ExperimentRecord:
    variants = connection.execute(VARIANTS, (id,)).fetchall()
    phases = [
        PhaseRecord(
            id=phase,
            number=number,
            weights=allocation.lowest_terms(weight_column.load(weights)),
            created_after_device=after,
            next_position=next_position,
            counts=tuple(json.loads(counts)),
        )
        for phase, number, weights, after, next_position, counts in connection.execute(PHASES, (id,))
    ]
    return ExperimentRecord(
        id=id,
        key=key,
        seed=seed,
        created_after_device=created_after_device,
        values=tuple(value for _, value in variants),
        variants=tuple(variant for variant, _ in variants),
        phases=tuple(phases),
        statuses=tuple(
            StatusRecord(Status(status), winner, after)
            for status, winner, after in connection.execute(STATUSES, (id,))
        ),
    )
