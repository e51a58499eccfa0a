"""One SQLite file: its connections, its write lock, and its errors in the product's words."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

from abtest.errors import StorageError, Unavailable
from abtest.store.relational.copying import refuse_unverified
from abtest.store.sqlite import driver, migrations
from abtest.store.sqlite.driver import Connection, Raw
from abtest.store.upkeep import Condition

P = ParamSpec("P")
T = TypeVar("T")

FATAL = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
}
PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT}
UNKNOWN = (0, 0)
ASK_AGAIN_SECONDS = 0.005


class Database:
    """A writer connection, a reader connection, and the lock file on which all writing processes queue.

    SQLite's own busy handler sleeps and polls, so instead processes wait for one another on a blocking file lock, in
    the writer's thread. Open a Database after a fork, never before, and always close it.
    """

    def __init__(self, path: Path, patience: float | None = None) -> None:
        """`patience`: seconds to wait for other writers before Unavailable (`busy`); None waits for ever.

        Servers wait for ever, in the kernel's queue, which is fair and wakes them at once; polling is neither.
        """
        self.path = path.resolve()
        self.log = driver.log_of(self.path)
        self.name = str(self.path)
        self.created = False
        self._folder = str(self.path.parent)
        self._failed = f"the database {self.path} failed"
        self._patience = patience
        self._lock = -1
        self._lease = -1
        self._identity = UNKNOWN
        self._connections: list[Connection] = []
        self.failure: StorageError | None = None

    async def open(self, migrate: bool = False, create: bool = True) -> None:
        """Connect, and create a missing database if `create`. Migrate an older schema only if `migrate`.

        Raises StorageError: no SQLite without the WAL bug, no permission, no such folder, not an abtest database, an
        older schema without `migrate`, or a schema newer than the program's.
        """
        with _in_words(f"cannot open the database {self.path}"):
            _require_writable(self.path)
        self.created = missing = not self.path.exists()
        if missing and not create:
            raise StorageError(f"there is no database at {self.path}", code="missing_database")
        try:
            with _in_words(f"cannot open the database {self.path}"):
                self._refuse_foreign()
                self._lock = _open_lock(f"{self.path}.lock")
                for _ in range(2):
                    connection = Connection(self.path)
                    await connection
                    self._connections.append(connection)
                await self._writer.run(self._prepare, missing or migrate, create)
                self._identity = self._found()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is queued, and release the file."""
        try:
            while self._connections:
                await self._connections.pop().close()
        finally:
            for lock in (self._lock, self._lease):
                if lock >= 0:
                    os.close(lock)
            self._lock = self._lease = -1

    def free_disk(self) -> int:
        """Free bytes on the database's disk. Raises StorageError."""
        with _in_words(self._failed):
            found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    async def condition(self) -> Condition:
        """See ConditionStore.condition. There is no log before the first write."""
        with _in_words(self._failed):
            log_bytes = self.log.stat().st_size if self.log.exists() else 0
            return Condition(self.path.stat().st_size, log_bytes, self.free_disk())

    async def try_lease(self) -> bool:
        """Whether this is the one process that folds. A lease needs no clock: the kernel ends it with its process."""
        if self._lease < 0:
            lease = _open_lock(f"{self.path}.worker.lock")
            if _try_lock(lease):
                self._lease = lease
            else:
                os.close(lease)
        return self._lease >= 0

    async def write(self, function: Callable[Concatenate[Raw, P], T], /, *arguments: P.args, **named: P.kwargs) -> T:
        """What the function returns, after its transaction is durable. All of it runs in the writer's thread.

        Raises Unavailable (`busy`, `storage_full`) when nothing was stored and a retry makes sense, StorageError when
        the file can no longer be trusted, and what the function raises.
        """
        return await self._trusted(
            lambda: self._writer.run(self._transaction, self._patience, function, arguments, named)
        )

    write_figures = write_all = note = write

    async def write_within(
        self,
        patience: float,
        function: Callable[Concatenate[Raw, P], T],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        """The same, but waiting at most so many seconds for other writers."""
        return await self._trusted(lambda: self._writer.run(self._transaction, patience, function, arguments, named))

    async def read(self, function: Callable[Concatenate[Raw, P], T], /, *arguments: P.args, **named: P.kwargs) -> T:
        """What the function returns for one snapshot of the database; errors as in `write`."""
        return await self._trusted(lambda: self._reader.run(self._snapshot, function, arguments, named))

    async def outside(self, function: Callable[Concatenate[Raw, P], T], *arguments: P.args, **named: P.kwargs) -> T:
        """What the function returns for the reader's connection, outside any transaction. Errors as above."""
        with _in_words(self._failed):
            return await self._reader.run(partial(function, **named), *arguments)

    async def alone(self, function: Callable[[Raw], T]) -> T:
        """The same with the writer's connection, while no other process writes."""
        return await self._trusted(
            lambda: self._writer.run(lambda raw: self._locked(lambda: function(raw), self._patience))
        )

    def apart(self, function: Callable[[Raw], T]) -> T:
        """What the function returns, after its transaction under the lock, on a connection of its own."""
        with closing(driver.open_raw(self.path)) as raw:
            return self._transaction(raw, self._patience, function, (), {})

    async def _trusted(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The result of `ask`. After the first failure the file is never trusted again, and this process must end."""
        if self.failure is None:
            try:
                given = await ask()
            except StorageError as error:
                self.failure = self.failure or error
        if self.failure is not None:
            raise self.failure
        return given

    @property
    def _reader(self) -> Connection:
        return self._opened()[0]

    @property
    def _writer(self) -> Connection:
        return self._opened()[-1]

    def _opened(self) -> list[Connection]:
        if not self._connections:
            raise Unavailable("the database is closed", code="draining")
        return self._connections

    def _refuse_foreign(self) -> None:
        """Refuse another program's database before anything is written to it."""
        if not self.path.exists() or not self.path.stat().st_size:
            return
        connection = driver.fixed_driver().connect(f"file:{quote(self.name)}?mode=ro", uri=True)
        try:
            migrations.refuse_foreign(connection, self.path)
        finally:
            connection.close()

    def _prepare(self, connection: Raw, migrate: bool, create: bool) -> None:
        self._locked(lambda: migrations.prepare(connection, self.path, migrate, create), self._patience)
        refuse_unverified(connection, self.name)

    def _transaction(
        self,
        connection: Raw,
        patience: float | None,
        function: Callable[..., T],
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> T:
        return self._locked(
            lambda: _in_transaction(connection, "BEGIN IMMEDIATE", function, arguments, named), patience
        )

    def _snapshot(
        self, connection: Raw, function: Callable[..., T], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> T:
        with _in_words(self._failed):
            return _in_transaction(connection, "BEGIN", function, arguments, named)

    def _locked(self, function: Callable[[], T], patience: float | None) -> T:
        with _in_words(self._failed):
            self._queue(patience)
            try:
                if self._identity not in (UNKNOWN, self._found()):
                    raise StorageError(f"the database {self.path} was deleted or replaced", code="missing_database")
                return function()
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _queue(self, patience: float | None) -> None:
        if patience is None:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            return
        latest = time.monotonic() + patience
        while not _try_lock(self._lock):
            if time.monotonic() > latest:
                raise Unavailable(
                    f"another program has kept the database locked for {patience:g} s; try again", code="busy"
                )
            time.sleep(ASK_AGAIN_SECONDS)

    def _found(self) -> tuple[int, int]:
        """Which file is at the path: its device and inode; UNKNOWN when there is none."""
        try:
            found = os.stat(self.name)  # noqa: PTH116  # once per transaction: a Path costs four times as much
        except FileNotFoundError:
            return UNKNOWN
        return found.st_dev, found.st_ino


def _in_transaction(
    connection: Raw, begin: str, function: Callable[..., T], arguments: tuple[Any, ...], named: dict[str, Any]
) -> T:
    connection.execute(begin)
    try:
        result = function(connection, *arguments, **named)
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise
    return result


def _roll_back(connection: Raw) -> None:
    if not connection.in_transaction:
        return
    try:
        connection.execute("ROLLBACK")
    except driver.fixed_driver().Error as error:
        raise StorageError(f"a transaction could not be rolled back: {error}") from error


def _require_writable(path: Path) -> None:
    """Raises StorageError, which names the folder or file that is missing or not writable.

    The folder must be writable because SQLite creates files beside the database.
    """
    if not path.parent.is_dir():
        raise StorageError(f"there is no folder {path.parent}")
    for each, needed in ((path.parent, os.W_OK | os.X_OK), (path, os.W_OK)):
        if not os.access(each, needed, effective_ids=os.access in os.supports_effective_ids) and each.exists():
            raise StorageError(f"{each} is not writable for uid {os.geteuid()}, the user running this program")


def _open_lock(name: str) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _in_words(failed: str) -> Iterator[None]:
    """Turn errors of SQLite and of the system into Unavailable if they pass by themselves, else StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{failed}: {os.strerror(error.errno or 0)}") from error
    except driver.fixed_driver().Error as error:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if primary in PASSING:
            raise Unavailable("the database is busy; try again in a moment", code="busy") from error
        if primary == sqlite3.SQLITE_FULL:
            raise Unavailable(
                "the disk of the database is full; try again once some space is free", code="storage_full"
            ) from error
        if primary in FATAL:
            raise StorageError(f"{failed}: {error}") from error
        raise RuntimeError(f"a statement failed: {error}") from error
