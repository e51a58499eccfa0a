"""Chooses the SQLite to use, and runs a whole transaction in one trip to the thread of its connection."""

import logging
import sqlite3 as standard_library
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import aiosqlite

from abtest.errors import StorageError

try:
    import pysqlite3 as bundled
except ImportError:  # no wheel for this platform: the standard library's SQLite may be fixed
    bundled = None

logging.getLogger("aiosqlite").setLevel(logging.WARNING)  # at lower levels it logs tokens and seeds
T = TypeVar("T")
Raw = Any
"""A connection of sqlite3 or of pysqlite3: they have the same interface but no common type."""

LOG_LIMIT = 16 * 1024 * 1024
"""When the log starts over, it is cut to this many bytes; else it would stay as large as a long reader made it."""

PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": 2,
    "fullfsync": 1,  # macOS: fsync alone reaches only the drive's cache
    "checkpoint_fullfsync": 1,
    "foreign_keys": 1,
    "trusted_schema": 0,
    "busy_timeout": 5000,
    "mmap_size": 0,
    "secure_delete": 1,  # otherwise what is erased, or moved from a full page, stays in the file's free space
    "journal_size_limit": LOG_LIMIT,
}


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Whether two connections that write and checkpoint at once can corrupt the file in this SQLite.

    Fixed in 3.51.3 and, for older lines, in 3.50.7 and 3.44.6: https://www.sqlite.org/wal.html#walresetbug.
    """
    if version[:2] == (3, 50):
        return version < (3, 50, 7)
    if version[:2] == (3, 44):
        return version < (3, 44, 6)
    return version < (3, 51, 3)


def fixed_driver(candidates: tuple[ModuleType | None, ...] = (bundled, standard_library)) -> Any:
    """The first SQLite module without the bug. Raises StorageError, which names the versions found."""
    found = [module for module in candidates if module is not None]
    for module in found:
        if not has_wal_reset_bug(module.sqlite_version_info):
            return module
    versions = ", ".join(f"{module.__name__} has {module.sqlite_version}" for module in found)
    raise StorageError(
        f"this SQLite can corrupt a database to which several processes write ({versions}); "
        "abtest needs 3.51.3 or newer, 3.50.7 or 3.44.6; the package pysqlite3 has a fixed one",
        code="unfit_sqlite",
    )


def log_of(path: Path) -> Path:
    """The path of a database's write-ahead log."""
    return Path(f"{path}-wal")


def open_raw(path: Path) -> Raw:
    """A new connection, with every setting applied and read back. Raises StorageError."""
    connection = fixed_driver().connect(str(path), isolation_level=None, check_same_thread=False)
    try:
        for name, wanted in PRAGMAS.items():
            connection.execute(f"PRAGMA {name} = {wanted}")
            (found,) = connection.execute(f"PRAGMA {name}").fetchone() or (0,)
            if found != wanted:
                raise StorageError(f"SQLite did not accept {name}={wanted}: it is {found}")
    except BaseException:
        connection.close()
        raise
    return connection


class Connection(aiosqlite.Connection):
    """aiosqlite with one more method, which runs a function on the raw connection, in the connection's thread.

    So a transaction takes one trip to the thread instead of one per statement. aiosqlite has no public method for
    that: this uses its private `_execute` and `_conn`, and setup.py pins the version.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(lambda: open_raw(path), iter_chunk_size=64)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """What the function returns for (raw connection, *arguments)."""
        result: T = await self._execute(function, self._conn, *arguments)  # type: ignore[no-untyped-call]  # private
        return result
