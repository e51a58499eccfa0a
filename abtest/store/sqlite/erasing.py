"""Erasing tokens in SQLite: functions on a raw connection, run inside one transaction each."""

import secrets
from collections.abc import Sequence

from abtest.store.sqlite import measuring
from abtest.store.sqlite.cataloguing import RAISE_CONFIG_VERSION
from abtest.store.sqlite.driver import PRAGMAS, Raw

DEVICE = "SELECT device_id FROM device_token WHERE token = ?"

FORGET = "UPDATE device_token SET token = ? WHERE token = ?"

COUNT_ERASURE = "UPDATE meta SET value = value + 1 WHERE name = 'erasures'"


def write_log_back(connection: Raw) -> None:
    """Write the log into the database as far as no reader needs it. Nobody waits for it."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def truncate_log(connection: Raw) -> bool:
    """Make the log empty; False where a reader needs it. SQLite would let every writer wait for that reader."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy
    finally:
        connection.execute(f"PRAGMA busy_timeout = {PRAGMAS['busy_timeout']}")


def forget(connection: Raw, tokens: Sequence[str]) -> int:
    """Put a random tombstone in the place of each token, and erase the device's events; how many were there."""
    devices = {token: row[0] for token in tokens if (row := connection.execute(DEVICE, (token,)).fetchone())}
    if not devices:
        return 0
    connection.execute("PRAGMA secure_delete = ON")  # else the erased bytes stay in the file's free space
    try:
        for token, device in devices.items():
            measuring.forget(connection, device)
            connection.execute(FORGET, (f"forgotten-{secrets.token_hex(16)}", token))
    finally:
        connection.execute("PRAGMA secure_delete = OFF")
    connection.execute(COUNT_ERASURE)
    connection.execute(RAISE_CONFIG_VERSION)  # every process drops what it cached
    return len(devices)
