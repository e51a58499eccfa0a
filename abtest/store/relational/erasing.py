"""Erasing tokens: functions on a connection, each run inside one transaction.

A device may have many events, and others wait while a transaction writes. So what the summary counts of the device is
read beforehand. One short transaction then subtracts it, erases the token, and lets no event of the device count any
more. The events are deleted in this transaction and in others after it, a limited number in each.
"""

import secrets
from collections.abc import Mapping, Sequence

from msgspec import Struct

from abtest.domain import Action, By, Showing, Tally, app_of, scoped
from abtest.store.relational import summarising
from abtest.store.relational.cataloguing import RAISE_CONFIG_VERSION
from abtest.store.relational.connection import Connection
from abtest.store.relational.journal import record

EVENTS_AT_ONCE = 1_000

DEVICE = "SELECT device_id FROM device_token WHERE token = ?"

WATERMARKS = "SELECT id, watermark FROM metric"

EXPOSURE_WATERMARK = "SELECT exposure_watermark FROM summary"

FORGET_TOTALS = "DELETE FROM metric_device WHERE metric_id IN (SELECT id FROM metric) AND device_id = ?"

FORGET_EXPOSED = """
DELETE FROM exposed WHERE device_id = ?1
  AND experiment_id IN (SELECT experiment_id FROM assignment WHERE device_id = ?1)
"""

FORGET_TEST_DEVICE = "DELETE FROM test_device WHERE token = ?"

FORGET_TOKEN = "UPDATE device_token SET token = ? WHERE token = ?"

BEGIN_ERASING = "INSERT INTO erasing (device_id) VALUES (?)"

ERASING = "SELECT min(device_id) FROM erasing"

ERASE_EVENTS = "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE device_id = ? LIMIT ?)"

END_ERASING = "DELETE FROM erasing WHERE device_id = ?"

COUNT_ERASURE = "UPDATE meta SET value = value + 1 WHERE name = 'erasures'"


class Counted(Struct, frozen=True):
    """What the summary counts of a device, up to these watermarks.

    `watermarks`: by metric id. `exposures`: for each experiment, the first in which the device showed its own value,
    and the first in which it showed another.
    """

    watermarks: Mapping[int, int]
    exposure_watermark: int
    tally: Tally
    exposures: Sequence[Showing]


NOTHING = Counted({}, 0, Tally({}), ())


def counted(connection: Connection, token: str) -> tuple[int, Counted] | None:
    """The device with this token, and what the summary counts of it; None if there is no such device."""
    found = connection.execute(DEVICE, (token,)).fetchone()
    return found and (found[0], _counted(connection, found[0], NOTHING))


def forget(connection: Connection, token: str, app: str, by: By, now: int, device: int, known: Counted) -> bool:
    """Put a random tombstone in the token's place, and subtract what the summary counts of its device.

    `known`: what `counted` returned before. Deletes the first of the device's events; see `erase`. False if another
    process forgot the token meanwhile.
    """
    if connection.execute(DEVICE, (token,)).fetchone() != (device,):
        return False
    for each in (known, _counted(connection, device, known)):
        summarising.add(connection, each.tally, -1)
        summarising.add_exposures(connection, each.exposures, -1)
    for statement in (FORGET_TOTALS, FORGET_EXPOSED):
        connection.execute(statement, (device,))
    connection.execute(FORGET_TEST_DEVICE, (token,))
    connection.execute(FORGET_TOKEN, (scoped(app_of(token), f"forgotten-{secrets.token_hex(16)}"), token))
    connection.execute(BEGIN_ERASING, (device,))
    erase(connection, device)
    connection.execute(COUNT_ERASURE)
    connection.execute(RAISE_CONFIG_VERSION)  # every process drops what it cached
    record(connection, by, now, Action.FORGET_DEVICE, app)
    return True


def forget_test_device(connection: Connection, token: str, app: str, by: By, now: int) -> bool:
    """Delete a test device that is no device; False if there is none with this token."""
    forgotten = connection.execute(FORGET_TEST_DEVICE, (token,)).rowcount
    if forgotten:
        connection.execute(RAISE_CONFIG_VERSION)
        record(connection, by, now, Action.FORGET_DEVICE, app)
    return bool(forgotten)


def erasing(connection: Connection) -> int | None:
    """A forgotten device whose events are not all deleted yet, if there is one."""
    (device,) = connection.execute(ERASING).fetchone()
    return None if device is None else int(device)


def erase(connection: Connection, device: int) -> None:
    """Delete the next events of a forgotten device."""
    deleted = connection.execute(ERASE_EVENTS, (device, EVENTS_AT_ONCE)).rowcount
    if deleted < EVENTS_AT_ONCE:
        connection.execute(END_ERASING, (device,))


def _counted(connection: Connection, device: int, known: Counted) -> Counted:
    """What the summary counts of a device, beyond what is already known."""
    watermarks = dict(connection.execute(WATERMARKS).fetchall())
    (exposure_watermark,) = connection.execute(EXPOSURE_WATERMARK).fetchone()
    tally, exposures = Tally(summarising.metrics(connection)), list[Showing]()
    seen = {metric: known.watermarks.get(metric, 0) for metric in watermarks}
    moved = [seen[metric] for metric, upto in watermarks.items() if upto > seen[metric]]
    if moved:
        for metric, event, occurrence in summarising.folded_events(connection, device - 1, device, min(moved)):
            if event > seen[metric]:
                tally.add(metric, occurrence, known.tally.totals.get((metric, device)))
    if exposure_watermark > known.exposure_watermark:
        before = {(each.experiment, each.own) for each in known.exposures}
        found = summarising.folded_exposures(connection, device - 1, device, known.exposure_watermark)
        exposures = [each for each in found if (each.experiment, each.own) not in before]
    return Counted(watermarks, exposure_watermark, tally, exposures)
