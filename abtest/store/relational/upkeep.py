"""What operators watch: functions on a connection, each run inside one transaction."""

from typing import Any

from msgspec import json, structs

from abtest import clock
from abtest.store.relational.connection import Connection
from abtest.store.relational.numbers import last_device
from abtest.store.upkeep import Process, Upkeep

FORGET_PROCESS_AFTER = 10 * 60 * 1000
"""Milliseconds after which the row of a process that was killed is deleted."""
DAYS = 7

SEEN = """
INSERT INTO process (
  host, pid, started_at, kind, version, stats_interval, free_disk, seen_at, waiting, refused, refused_lately
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (host, pid, started_at) DO UPDATE SET
  seen_at = excluded.seen_at, waiting = excluded.waiting, refused = excluded.refused,
  refused_lately = excluded.refused_lately
"""

LOST = "DELETE FROM process WHERE seen_at < ?"

STOPPED = "DELETE FROM process WHERE host = ? AND pid = ? AND started_at = ?"

PROCESSES = """
SELECT kind, host, pid, version, started_at, seen_at, stats_interval, free_disk, waiting, refused, refused_lately
FROM process
ORDER BY kind, host, started_at, pid
"""

SIZE = "INSERT INTO database_size (day, at, bytes) VALUES (?, ?, ?) ON CONFLICT (day) DO NOTHING"

OLD_SIZES = "DELETE FROM database_size WHERE day < ?"

SIZES = "SELECT at, bytes FROM database_size ORDER BY day"

BACKED_UP = """
INSERT INTO meta (name, value) VALUES ('backed_up_at', ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value > meta.value
"""

BACKUP = "SELECT value FROM meta WHERE name = 'backed_up_at'"

SUMMARY = "SELECT device_watermark, as_of FROM summary"

BOOT = "UPDATE meta SET value = value + 1 WHERE name = 'boots'"

BOOTS = "SELECT value FROM meta WHERE name = 'boots'"

CREATED = "SELECT created_at FROM app WHERE id = 1"

FIRST_SEEN = "SELECT first_seen FROM device WHERE id = ?"


def note_process(connection: Connection, process: Process, database_bytes: int) -> None:
    """See UpkeepStore.note_process."""
    connection.execute(
        SEEN,
        (
            *_key(process),
            process.kind,
            process.version,
            process.stats_interval,
            process.free_disk,
            process.seen_at,
            process.waiting,
            json.encode(process.refused).decode(),
            json.encode(process.refused_lately).decode(),
        ),
    )
    connection.execute(LOST, (process.seen_at - FORGET_PROCESS_AFTER,))
    today = process.seen_at // clock.DAY
    if connection.execute(SIZE, (today, process.seen_at, database_bytes)).rowcount:
        connection.execute(OLD_SIZES, (today - DAYS,))


def remove_process(connection: Connection, process: Process) -> None:
    """See UpkeepStore.remove_process."""
    connection.execute(STOPPED, _key(process))


def note_backup(connection: Connection, at: int) -> None:
    """See UpkeepStore.note_backup."""
    connection.execute(BACKED_UP, (at,))


def boot(connection: Connection) -> None:
    """Count that a server or a worker was started."""
    connection.execute(BOOT)


def boots(connection: Connection) -> int:
    """How often a server or a worker was started on this database."""
    return int(_one(connection, BOOTS))


def upkeep(connection: Connection, engine: str, schema: int, newest_schema: int, backups_known: bool) -> Upkeep:
    """See UpkeepStore.upkeep. The parameters are what each store says of itself: see Upkeep."""
    devices = last_device(connection)
    folded, as_of = connection.execute(SUMMARY).fetchone()
    return Upkeep(
        engine=engine,
        schema=schema,
        newest_schema=newest_schema,
        created_at=_one(connection, CREATED),
        devices=devices,
        newest_at=_one(connection, FIRST_SEEN, devices),
        folded=folded,
        as_of=as_of,
        backups_known=backups_known,
        backed_up_at=_one(connection, BACKUP),
        sizes=tuple(connection.execute(SIZES).fetchall()),
        processes=tuple(
            structs.replace(Process(*fields), refused=json.decode(refused), refused_lately=json.decode(lately))
            for *fields, refused, lately in connection.execute(PROCESSES)
        ),
    )


def _key(process: Process) -> tuple[str, int, int]:
    return process.host, process.pid, process.started_at


def _one(connection: Connection, query: str, *arguments: Any) -> Any:
    """The one value that a query gives; None if it gives no row."""
    (value,) = connection.execute(query, arguments).fetchone() or (None,)
    return value
