"""The write-ahead log of SQLite: functions on a raw connection, outside any transaction."""

from abtest.store.sqlite.driver import PRAGMAS, Raw


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
