"""Copying a database file while it is in use, and putting the copy back."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from abtest.domain import PROGRAM, Action, By
from abtest.errors import StorageError
from abtest.store.relational.journal import record
from abtest.store.sqlite import driver
from abtest.store.sqlite.driver import Raw, open_raw

PAGES = 2_000
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
LAST_SEEN = "SELECT ifnull(max(first_seen), 0) FROM device"
FORGET_PROCESSES = "DELETE FROM process"
MARK = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

Progress = Callable[[int, int], None]


def copy(connection: Raw, target: Path, progress: Progress) -> None:
    """Copy a connection's database, as it is at this moment, into a new file; others may write meanwhile.

    `progress` gets the pages done and the pages in all. Raises StorageError.
    """
    try:
        copied = driver.fixed_driver().connect(str(target), isolation_level=None)
        try:
            # This transaction holds the snapshot: without it, every commit by others would restart the copy.
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM meta").fetchone()
            connection.backup(copied, pages=PAGES, progress=lambda _, left, total: progress(total - left, total))
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            copied.close()
        flush(target)
    except driver.fixed_driver().Error as error:
        raise StorageError(f"cannot write the backup {target}: {error}") from error


def flush(path: Path) -> None:
    """Make a file, and its name in its folder, durable."""
    for each in (path, path.parent):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def require_unused(path: Path) -> None:
    """Raises StorageError when a process has this database open, or when only its log exists."""
    log = driver.log_of(path)
    if not path.exists():
        if log.exists():
            raise StorageError(f"{log} exists without its database; move it away first", code="stray_log")
        return
    try:
        unused = _leave_wal(path) == "delete"
    except driver.fixed_driver().Error as error:
        # SQLite can't read a damaged file, but it leaves the log if another process still has the file open.
        unused = error.sqlite_errorcode & 0xFF in DAMAGED and not log.exists()
    if not unused:
        raise StorageError(f"{path} is in use; stop every server and worker first", code="in_use")


def _leave_wal(path: Path) -> str:
    """Leave WAL mode. SQLite refuses while any other connection is open; returns the mode afterwards."""
    connection = open_raw(path)
    try:
        connection.execute("PRAGMA busy_timeout = 0")
        (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        return str(mode)
    finally:
        connection.close()


def seal(path: Path) -> None:
    """Make a database that nobody has open a single durable file without a log, and remove its lock file."""
    connection = driver.fixed_driver().connect(str(path), isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
    finally:
        connection.close()
    Path(f"{path}.lock").unlink(missing_ok=True)
    flush(path)


def mark_restored(connection: Raw, now: int, by: By = PROGRAM) -> None:
    """Note that this is a restored backup, and when its newest device came; forget the processes that ran then."""
    (last_seen,) = connection.execute(LAST_SEEN).fetchone()
    connection.execute(MARK, ("restored_at", now))
    connection.execute(MARK, ("restored_to", last_seen))
    connection.execute(FORGET_PROCESSES)
    record(connection, by, now, Action.RESTORE)


def put_in_place(arriving: Path, target: Path, kept: Path) -> None:
    """Make a sealed file the database, in one rename. The old file is kept under another name."""
    if target.exists():
        os.link(target, kept)
    arriving.replace(target)
    flush(target)
