"""One SQLite file: its connections, its write lock, and its errors in the product's words."""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

from abtest.errors import StorageError, Unavailable
from abtest.store import driver, migrations
from abtest.store.driver import Connection, Raw

P = ParamSpec("P")
T = TypeVar("T")

FATAL = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN)

UNKNOWN = (0, 0)


class Database:
    """A writer connection, a reader connection, and the lock file on which all writing processes queue.

    SQLite's own busy handler sleeps and polls, so processes wait for one another on a blocking file lock instead,
    in the writer's thread. Open it after a fork, never before, and close it always.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1
        self._lease = -1
        self._identity = UNKNOWN
        self._connections: list[Connection] = []

    async def open(self, migrate: bool = False, create: bool = True) -> None:
        """Connect; create a missing database unless told otherwise. An older schema is migrated only when asked to.

        Raises StorageError: no SQLite fit for use, no rights, no such folder, not a database of abtest,
        an older schema that may not be migrated here, or one newer than the program.
        """
        missing = not self.path.exists()
        if missing and not create:
            raise StorageError(f"the database {self.path} is not there any more", code="missing_database")
        self._refuse_foreign()
        try:
            self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(f"cannot open the database {self.path}: {os.strerror(error.errno or 0)}") from error
        try:
            for _ in range(2):
                connection = Connection(self.path)
                await connection
                self._connections.append(connection)
            await self._writer.run(self._prepare, missing or migrate)
            self._identity = _identity(self.path)
        except driver.fixed_driver().Error as error:
            await self.close()
            raise StorageError(f"cannot open the database {self.path}: {error}") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is queued and let go of the file."""
        while self._connections:
            await self._connections.pop().close()
        for lock in (self._lock, self._lease):
            if lock >= 0:
                os.close(lock)
        self._lock = self._lease = -1

    def free_disk(self) -> int:
        """Bytes that may still be written where the database lies."""
        found = os.statvfs(self.path.parent)
        return found.f_bavail * found.f_frsize

    def try_lease(self) -> bool:
        """Whether this is the one process that folds. The kernel ends a lease with its process, so no clock does."""
        if self._lease >= 0:
            return True
        lease = os.open(f"{self.path}.worker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lease)
            return False
        self._lease = lease
        return True

    async def write(self, function: Callable[Concatenate[Raw, P], T], *arguments: P.args, **named: P.kwargs) -> T:
        """What the function returns, after its transaction is durable. It runs whole in the writer's thread.

        Raises Unavailable (`busy`, `storage_full`) when nothing was stored and asking again makes sense,
        StorageError when the file can't be trusted any more, and whatever the function raises.
        """
        return await self._writer.run(self._transaction, function, arguments, named)

    async def read(self, function: Callable[Concatenate[Raw, P], T], *arguments: P.args, **named: P.kwargs) -> T:
        """What the function returns for one snapshot of the database; errors as in `write`."""
        return await self._connections[0].run(_snapshot, function, arguments, named)

    async def outside(self, function: Callable[Concatenate[Raw, P], T], *arguments: P.args, **named: P.kwargs) -> T:
        """What the function returns; it gets the reader's connection outside of any transaction."""
        return await self._connections[0].run(partial(function, **named), *arguments)

    @property
    def _writer(self) -> Connection:
        return self._connections[-1]

    def _refuse_foreign(self) -> None:
        """Before anything is written: another program's database stays as it is."""
        if not self.path.exists() or not self.path.stat().st_size:
            return
        name = quote(str(self.path.absolute()))
        try:
            connection = driver.fixed_driver().connect(f"file:{name}?mode=ro", uri=True)
            try:
                migrations.refuse_foreign(connection, self.path)
            finally:
                connection.close()
        except driver.fixed_driver().Error as error:
            raise StorageError(f"cannot open the database {self.path}: {error}") from error

    def _prepare(self, connection: Raw, migrate: bool) -> None:
        self._locked(lambda: migrations.prepare(connection, self.path, migrate))

    def _transaction(
        self, connection: Raw, function: Callable[..., T], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> T:
        return self._locked(lambda: _in_transaction(connection, "BEGIN IMMEDIATE", function, arguments, named))

    def _locked(self, function: Callable[[], T]) -> T:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            if self._identity not in (UNKNOWN, _identity(self.path)):
                raise StorageError(f"the database {self.path} was deleted or replaced", code="missing_database")
            return function()
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)


def _identity(path: Path) -> tuple[int, int]:
    """Which file it is: device and inode; UNKNOWN when there is none."""
    try:
        found = path.stat()
    except OSError:
        return UNKNOWN
    return found.st_dev, found.st_ino


def _snapshot(connection: Raw, function: Callable[..., T], arguments: tuple[Any, ...], named: dict[str, Any]) -> T:
    return _in_transaction(connection, "BEGIN", function, arguments, named)


def _in_transaction(
    connection: Raw, begin: str, function: Callable[..., T], arguments: tuple[Any, ...], named: dict[str, Any]
) -> T:
    try:
        connection.execute(begin)
        result = function(connection, *arguments, **named)
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, driver.fixed_driver().Error):
            raise _translated(error) from error
        raise
    return result


def _translated(error: Any) -> Exception:
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Unavailable("another program holds the database; ask again", code="busy")
    if primary == sqlite3.SQLITE_FULL:
        return Unavailable("the disk is full", code="storage_full")
    if primary in FATAL:
        return StorageError(f"the database failed: {error}")
    return RuntimeError(f"a statement failed: {error}")
