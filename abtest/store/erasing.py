"""Erasing tokens in SQLite: functions on a raw connection, run inside one transaction each."""

import secrets
from collections.abc import Sequence

from abtest.store.cataloguing import RAISE_CONFIG_VERSION
from abtest.store.driver import Raw

FORGET = "UPDATE device SET token = ? WHERE token = ?"


def truncate_log(connection: Raw) -> None:
    """Take old pages out of the write-ahead log, as far as no reader needs them; later writes overwrite the rest."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def forget(connection: Raw, tokens: Sequence[str]) -> int:
    """Put a random tombstone in the place of each token; how many were there."""
    rows = [(f"forgotten-{secrets.token_hex(16)}", token) for token in tokens]
    connection.execute("PRAGMA secure_delete = ON")  # else the old token's bytes stay in the file's free space
    try:
        forgotten = sum(int(connection.execute(FORGET, row).rowcount) for row in rows)
    finally:
        connection.execute("PRAGMA secure_delete = OFF")
    if forgotten:
        connection.execute(RAISE_CONFIG_VERSION)  # every process drops what it cached
    return forgotten
