"""The write-ahead log of SQLite: functions on a raw connection, outside any transaction."""

from abtest.store.sqlite.driver import PRAGMAS, Raw


def write_log_back(connection: Raw) -> None:
    """Write the part of the log that no reader needs into the database. Nobody waits for this."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def truncate_log(connection: Raw) -> bool:
    """Empty the log; False if a reader needs it. By itself, SQLite would make every writer wait for that reader."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy
    finally:
        connection.execute(f"PRAGMA busy_timeout = {PRAGMAS['busy_timeout']}")
