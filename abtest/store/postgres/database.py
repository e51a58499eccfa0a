"""One PostgreSQL database: its connections, its transactions, and its errors in the product's words."""

import asyncio
import select
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg
from psycopg import RawCursor, errors
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from abtest.errors import StorageError, Unavailable
from abtest.settings import without_password
from abtest.store.postgres import migrations
from abtest.store.postgres.connection import Connection, check_url, connect, cut, defaults, in_time, refuse_unfit
from abtest.store.postgres.lease import NOTICE, Lease
from abtest.store.postgres.notices import NOTICES
from abtest.store.postgres.primary import Primary
from abtest.store.relational.copying import refuse_unverified

P = ParamSpec("P")
T = TypeVar("T")

MOST_CONNECTIONS = 4
"""Of each kind, so that one batch waits for the lock while another one commits."""

LONGEST_SECONDS = 5.0
"""How long a transaction waits for a connection or for the lock, by default."""

RECONNECT_SECONDS = 2.0
"""How long a pool looks for the primary; then it waits to be asked again, since its own pauses would grow."""

LONGEST_WORK_SECONDS = 60.0
"""How long a transaction may take, by default. A server that hangs never answers."""

HOURS = 86_400.0
"""How long a transaction that reads the whole database may take."""

HANGING_SECONDS = 5.0
"""A process that hangs so long, or whose machine is gone, loses the lock."""

IDLE = f"SET idle_in_transaction_session_timeout = {{}}; SET tcp_user_timeout = 5000; {NOTICE}"

# PostgreSQL's statistics are late while a table grows: with those of an hour ago, each batch would read all devices.
# Without sequential scans, what has no index seems expensive, and PostgreSQL would use JIT for it: hence jit = off.
OF_WRITING = "SET enable_seqscan = off; SET jit = off"

# PostgreSQL calls no session idle between statements sent together. If the rest never comes, but a proxy keeps the
# connection, the session keeps its lock: whoever waited in vain ends it. A COPY may wait for its rows.
END_HANGING = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_locks USING (pid)
WHERE datname = current_database() AND relation IN ('last_number'::REGCLASS, 'summary'::REGCLASS)
AND state = 'active' AND wait_event = 'ClientRead' AND query NOT LIKE 'COPY %'
AND clock_timestamp() - state_change > make_interval(secs => $1)
"""

WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED"

# A note waits for no standby, so that servers start and note that they run while it is away. A failover may lose it.
NOTE = f"{WRITE}; SET LOCAL synchronous_commit = local"

READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# Whoever changes anything takes the enrolment lock first, and then reads what the one before has left.
LOCK = "SELECT FROM last_number WHERE name IN ('device', 'event') ORDER BY name FOR UPDATE"

# The snapshot is taken after the lock, and shows the last device and the last event of one moment. Only what changes
# figures waits for this lock; what needs the enrolment lock as well takes this one first.
LOCK_FIGURES = "LOCK TABLE summary IN EXCLUSIVE MODE"

WRITE_FIGURES = f"BEGIN ISOLATION LEVEL REPEATABLE READ; {LOCK_FIGURES}"

LOST = (
    "the database has lost answers that were given, since a standby that lacked them became the primary; "
    "'abtest db accept-loss' goes on without them"
)

# Sessions of PostgreSQL itself, which have no user, do not count.
OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
"""

TRIES, PAUSE_SECONDS = 20, 0.1
"""PostgreSQL lists a connection for a moment after it was closed."""

PASSING = (
    errors.LockNotAvailable,
    errors.QueryCanceled,
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.TooManyConnections,
    errors.IdleInTransactionSessionTimeout,
)

# Each transaction plans its statements for the rows that are new.
PLANS = "SET LOCAL plan_cache_mode = force_custom_plan"


class Database:
    """Connections that write and connections that read, each used by one thread at a time."""

    def __init__(self, url: str, patience: float | None = None, connections: int = MOST_CONNECTIONS) -> None:
        """Raises InvalidSetting for a URL that can't be read.

        `patience`: seconds to wait for a connection or for other writers before Unavailable (`busy`).

        `connections`: at most so many that write, and so many that read. The attribute `hurry`: how many seconds a
        request of an app may take before its connection is cut.
        """
        self._connections = connections
        check_url(url)
        self._primary = Primary(url)
        self._parameters: dict[str, Any] = {"autocommit": True, "cursor_factory": RawCursor, **defaults(url)}
        self._patience = LONGEST_SECONDS if patience is None else patience
        self.hurry = self._patience + 1  # more than the wait for a lock
        self._in_use: set[_Using] = set()
        self.name = without_password(url)
        self.created = False
        self._pools: list[ConnectionPool[psycopg.Connection]] = []
        self._threads: list[ThreadPoolExecutor] = []
        self._lease = Lease(self._primary.find)

    async def open(self, migrate: bool = False, create: bool = True) -> None:
        """Connect, and fill an empty database if `create`. Migrate an older schema only if `migrate`.

        Raises StorageError: no such server or database, one that could lose answers, another program's, an older
        schema without `migrate`, or a newer one than the program's.
        """
        try:
            await asyncio.to_thread(self._open, migrate, create)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is under way, and disconnect."""
        threads, self._threads = self._threads, []
        pools, self._pools = self._pools, []
        for each in threads:
            await asyncio.to_thread(each.shutdown)
        for pool in pools:
            await asyncio.to_thread(pool.close)
        self._lease.end()

    async def try_lease(self) -> bool:
        """See FoldingStore.try_lease."""

        def take() -> bool:
            with _in_words():
                return self._lease.take()

        return await asyncio.to_thread(take)

    async def write(
        self, function: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """What the function returns, after its transaction, under the enrolment lock, is durable.

        Raises Unavailable (`busy`, `storage_full`) when a retry makes sense, and what the function raises.
        """

        return await self.run(0, _transaction((WRITE, LOCK), function, arguments, named))

    async def write_figures(
        self, function: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """The same under the lock of the figures, for which no first request and no event waits."""
        return await self.run(0, _transaction((WRITE_FIGURES, PLANS), function, arguments, named))

    async def write_all(
        self, function: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """The same under both locks."""
        return await self.run(0, _transaction((WRITE, LOCK_FIGURES, LOCK), function, arguments, named))

    async def note(
        self, function: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """The same without any lock, even after losses, for a function that decides about no device."""
        return await self.run(0, _transaction((NOTE,), function, arguments, named), after_losses=True)

    async def read(
        self, function: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """What the function returns for one snapshot of the database, even after losses; errors as in `write`."""
        return await self.run(1, _transaction((READ,), function, arguments, named), after_losses=True)

    async def read_long(
        self, function: Callable[Concatenate[Connection, P], T], /, *arguments: P.args, **named: P.kwargs
    ) -> T:
        """The same, however long it takes."""
        return await self.run(1, _transaction((READ,), function, arguments, named), HOURS, after_losses=True)

    async def run(
        self,
        kind: int,
        function: Callable[[Connection], T],
        longest: float = LONGEST_WORK_SECONDS,
        after_losses: bool = False,
    ) -> T:
        """What the function returns. It begins and commits its own transaction; what it leaves open is rolled back.

        `kind`: 0 for a function that writes, 1 for one that reads. After `longest` seconds the connection is cut.
        `after_losses`: whether it may run on a primary that lacks answers which this process gave.
        Raises Unavailable; if that is `database_away`, the function may have committed.
        """
        if not self._threads:
            raise Unavailable("the database is closed", code="draining")
        loop = asyncio.get_running_loop()
        using = _Using()
        self._in_use.add(using)
        timer = loop.call_later(longest, using.give_up)
        try:
            return await loop.run_in_executor(
                self._threads[kind], self._in_thread, self._pools[kind], using, function, after_losses
            )
        finally:
            self._in_use.discard(using)
            using.given_up = True  # if this call is cancelled, its thread begins nothing, or has the rest of its time
            if using.connection is None:
                timer.cancel()

    def apart(self, function: Callable[[Connection], T]) -> T:
        """What the function returns, after its transaction under both locks on a connection of its own."""
        with _in_words(), connect(self._primary.find()) as raw:
            return _transaction((WRITE, LOCK_FIGURES, LOCK), function, (), {})(Connection(raw))

    async def require_unused(self) -> None:
        """See CopyStore.require_unused."""

        def ask() -> None:
            with _in_words(), connect(self._primary.find()) as raw:
                for _ in range(TRIES):
                    ((others,),) = raw.execute(OTHERS)
                    if not others:
                        return
                    time.sleep(PAUSE_SECONDS)
            raise StorageError(
                f"{self.name} is in use by {others} other connections; stop every server and worker first, and "
                "disconnect everybody else",
                code="in_use",
            )

        await asyncio.to_thread(ask)

    def _in_thread(
        self,
        pool: ConnectionPool[psycopg.Connection],
        using: "_Using",
        function: Callable[[Connection], T],
        after_losses: bool,
    ) -> T:
        with _in_words():
            timeline = self._primary.timeline
            raw = using.connection = _usable(pool)
            try:
                if using.given_up:
                    raise Unavailable("the database took too long; try again", code="busy")
                if self._primary.lost:
                    self._primary.look_for_losses(raw)
                if self._primary.lost and not after_losses:
                    raise Unavailable(LOST, code="answers_lost")
                connection = Connection(raw)
                given = function(connection)
                self._primary.remember(connection, timeline)
                return given
            except BaseException as error:
                with suppress(psycopg.Error):
                    raw.rollback()
                    if isinstance(error, errors.LockNotAvailable):
                        raw.execute(END_HANGING, (HANGING_SECONDS,))
                raise
            finally:
                using.connection = None
                if raw.broken:  # each other connection to a server that is gone, or hangs, would be waited for
                    self._renew_connections()
                pool.putconn(raw)  # discards a broken one

    def _open(self, migrate: bool, create: bool) -> None:
        try:
            with connect(self._primary.find()) as first:
                self.created = migrations.prepare(first, self.name, migrate, create)
                refuse_unverified(Connection(first), self.name)
                self._primary.meet(first, self._end_connections)
        except psycopg.Error as error:
            raise StorageError(f"cannot open the database {self.name}: {_message(error)}") from error
        for more in (OF_WRITING, ""):
            pool: ConnectionPool[psycopg.Connection] = ConnectionPool(
                self._primary.find,
                kwargs=self._parameters,
                min_size=1,
                max_size=self._connections,
                timeout=self._patience,
                reconnect_timeout=RECONNECT_SECONDS,
                configure=partial(self._configure, more),
                open=False,
            )
            self._pools.append(pool)
            pool.open()
            self._threads.append(ThreadPoolExecutor(self._connections, thread_name_prefix="postgres"))

    def _renew_connections(self) -> None:
        for pool in self._pools:
            pool.drain()

    def _end_connections(self) -> None:
        self._renew_connections()
        for using in list(self._in_use):
            using.cut()

    def _configure(self, more: str, raw: psycopg.Connection) -> None:
        idle = IDLE.format(round(HANGING_SECONDS * 1000))
        with in_time(raw):
            refuse_unfit(raw)
            self._primary.meet(raw, self._end_connections)
            raw.execute(f"SET lock_timeout = {round(self._patience * 1000)}; {idle}; {more}".encode())
        NOTICES.connected(raw)


def _usable(pool: ConnectionPool[psycopg.Connection]) -> psycopg.Connection:
    """A connection of the pool that is still open: from one that ended unused, there is something to read."""
    while True:
        raw = pool.getconn()
        came = select.poll()
        came.register(raw, select.POLLIN)
        if not came.poll(0):
            return raw
        raw.close()
        pool.putconn(raw)  # which makes another one


class _Using:
    """The connection that a thread uses, for another thread that may cut it."""

    connection: psycopg.Connection | None = None
    given_up = False

    def cut(self) -> None:
        """End what waits for an answer of the server."""
        if self.connection is not None:
            cut(self.connection)

    def give_up(self) -> None:
        """The same, also before there is a connection: then nothing is begun."""
        self.given_up = True
        self.cut()


def _transaction(
    begin: Iterable[str], function: Callable[..., T], arguments: tuple[Any, ...], named: dict[str, Any]
) -> Callable[[Connection], T]:
    """A function that begins with these statements, runs the function, and commits."""

    def transaction(connection: Connection) -> T:
        for statement in begin:
            connection.execute(statement)
        given = function(connection, *arguments, **named)
        connection.execute("COMMIT")
        return given

    return transaction


def _message(error: psycopg.Error) -> str:
    """The first line of an error, which has neither the statement nor its parameters."""
    return (error.diag.message_primary or str(error) or type(error).__name__).splitlines()[0]


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn errors of PostgreSQL into Unavailable if they pass by themselves, else RuntimeError."""
    try:
        yield
    except (PoolTimeout, PoolClosed) as error:
        raise Unavailable("the database gives no connection; try again", code="database_away") from error
    except errors.ReadOnlySqlTransaction as error:
        raise Unavailable(
            "the database is read-only, as default_transaction_read_only says; try again", code="database_read_only"
        ) from error
    except errors.InsufficientPrivilege as error:
        raise Unavailable(
            f"the database's user lacks a right: {_message(error)}", code="database_read_only"
        ) from error
    except PASSING as error:
        raise Unavailable(f"the database is busy ({_message(error)}); try again in a moment", code="busy") from error
    except errors.DiskFull as error:
        raise Unavailable(
            "the disk of the database is full; try again once some space is free", code="storage_full"
        ) from error
    except psycopg.Error as error:
        if isinstance(error, psycopg.OperationalError):  # the connection is lost, or the server stops
            raise Unavailable(f"the database is away: {_message(error)}; try again", code="database_away") from error
        raise RuntimeError(f"a statement failed: {_message(error)}") from error
