"""A database in trouble: new devices are refused with its code, known ones are answered, and it passes by itself."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tornado.ioloop import IOLoop

from abtest.errors import StorageError, Unavailable
from abtest.store.postgres import PostgresStore
from abtest.store.postgres.connection import Connection
from tests.scenes import experiment

PATIENCE = 0.5

Trouble = Callable[[str, str], AbstractContextManager[None]]


@pytest.fixture
def store(database: str, io_loop: IOLoop) -> Iterator[PostgresStore]:
    opened = PostgresStore(database, PATIENCE)
    io_loop.run_sync(opened.open)
    io_loop.run_sync(lambda: opened.add([experiment("color", "1", "1")], 1))
    io_loop.run_sync(lambda: opened.enrol(["known"], 1))
    yield opened
    io_loop.run_sync(opened.close)


@contextmanager
def locked(server: str, url: str) -> Iterator[None]:
    """Somebody else holds the enrolment lock, and hangs."""
    with psycopg.connect(url) as other:
        other.execute("SELECT FROM last_number FOR UPDATE")
        yield


@contextmanager
def read_only(server: str, url: str) -> Iterator[None]:
    with altered(server, url, "SET default_transaction_read_only = on", "RESET default_transaction_read_only"):
        yield


@contextmanager
def closed(server: str, url: str) -> Iterator[None]:
    """The database takes no connections."""
    with altered(server, url, "ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true"):
        yield


@contextmanager
def altered(server: str, url: str, begin: str, end: str) -> Iterator[None]:
    """Change a setting of the database, within a block. All connections are new, so that they have it."""
    name = conninfo_to_dict(url)["dbname"]
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} {begin}".encode())
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        yield
        admin.execute(f"ALTER DATABASE {name} {end}".encode())
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


@contextmanager
def without_rights(server: str, url: str) -> Iterator[None]:
    """The user of new connections may read everything and change nothing."""
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("CREATE ROLE reader IN ROLE pg_read_all_data")
        with altered(server, url, "SET role = reader", "RESET role"):
            yield
        admin.execute("DROP ROLE reader")


async def code_of(store: PostgresStore) -> str:
    """The code with which a new device is refused; empty if it is not."""
    try:
        await store.enrol(["new"], 1)
    except Unavailable as error:
        return error.code
    return ""


async def until_code(store: PostgresStore, code: str) -> None:
    """Wait until new devices are refused with this code: ended connections are noticed one after the other."""
    while await code_of(store) != code:
        pass


async def found(store: PostgresStore) -> list[str]:
    """Which devices are known, once there is a connection."""
    while True:
        with suppress(Unavailable):
            return sorted((await store.find(["known", "new"])).variants)


@pytest.mark.parametrize(
    ("trouble", "code", "knows"),
    [
        (locked, "busy", True),
        (read_only, "database_read_only", True),
        (without_rights, "database_read_only", True),
        (closed, "database_away", False),
    ],
)
async def test_new_devices_are_refused_and_the_trouble_passes(
    postgres: str, database: str, store: PostgresStore, trouble: Trouble, code: str, knows: bool
) -> None:
    with trouble(postgres, database):
        await until_code(store, code)
        if knows:
            assert await found(store) == ["known"]
    await until_code(store, "")


async def test_the_log_says_once_why_there_is_no_connection_and_that_there_is_one_again(
    postgres: str, database: str, store: PostgresStore, caplog: pytest.LogCaptureFixture
) -> None:
    with closed(postgres, database):
        for _ in range(3):
            await until_code(store, "database_away")
    await until_code(store, "")
    *lost, found_again = caplog.messages
    assert sum("not currently accepting connections" in each for each in lost) == 1
    assert len(set(lost)) == len(lost)  # the end of an idle connection may be reported too
    assert all(each.startswith("no connection to the database: ") for each in lost)
    assert found_again.startswith("connected to the database again, at ")


async def test_the_log_says_reasons_that_alternate_once_each(
    postgres: str, database: str, store: PostgresStore, caplog: pytest.LogCaptureFixture
) -> None:
    with closed(postgres, database):
        await until_code(store, "database_away")
        for reason in ("no route", "timed out", "no route", "timed out"):
            logging.getLogger("psycopg.pool").warning("error connecting: %s", psycopg.OperationalError(reason))
    said = [each.removeprefix("no connection to the database: ") for each in caplog.messages]
    assert [each for each in said if each in {"no route", "timed out"}] == ["no route", "timed out"]


async def test_a_statement_that_times_out_is_refused_as_busy(database: str) -> None:
    store = PostgresStore(make_conninfo(database, options="-c statement_timeout=100"), patience=5)
    await store.open()
    with locked("", database):
        assert await code_of(store) == "busy"
    assert await code_of(store) == ""
    await store.close()


async def test_a_process_that_hangs_loses_the_lock(
    store: PostgresStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abtest.store.postgres.database.HANGING_SECONDS", 0.1)
    hanging = PostgresStore(database)
    await hanging.open()
    goes_on = threading.Event()
    has_lock = threading.Event()

    def hang(connection: Connection) -> None:
        has_lock.set()
        goes_on.wait()
        connection.execute("DELETE FROM device")

    lost = asyncio.create_task(hanging.write(hang))
    await asyncio.to_thread(has_lock.wait)
    await until_code(store, "")
    goes_on.set()
    with pytest.raises(Unavailable):
        await lost
    assert await found(hanging) == ["known", "new"]
    await hanging.close()


async def test_a_process_that_hangs_between_statements_sent_together_loses_the_lock(
    store: PostgresStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abtest.store.postgres.database.HANGING_SECONDS", 0.1)
    with pytest.raises(psycopg.OperationalError), psycopg.connect(database) as other, other.pipeline():
        other.execute("SELECT FROM last_number FOR UPDATE").fetchall()
        await until_code(store, "")


async def test_a_copy_that_waits_for_its_rows_keeps_its_locks(
    store: PostgresStore, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abtest.store.postgres.database.HANGING_SECONDS", 0.1)
    with psycopg.connect(database) as other, other.cursor() as cursor:
        other.execute("SELECT FROM last_number FOR UPDATE")
        with cursor.copy("COPY device FROM STDIN"):
            assert [await code_of(store) for _ in range(2)] == ["busy", "busy"]
    assert await code_of(store) == ""


async def test_figures_are_not_written_to_a_read_only_database(
    postgres: str, database: str, store: PostgresStore
) -> None:
    with read_only(postgres, database):
        await until_code(store, "database_read_only")
        with pytest.raises(Unavailable, match="read-only"):
            await store.write_figures(lambda connection: connection.execute("DELETE FROM summary"))


async def test_a_read_only_database_is_not_opened_in_vain(postgres: str, bare_database: str) -> None:
    with read_only(postgres, bare_database), pytest.raises(StorageError, match="read-only"):
        await PostgresStore(bare_database).open()


async def test_when_one_connection_breaks_the_others_are_ended_too(store: PostgresStore, database: str) -> None:
    def own(connection: Connection) -> int:
        connection.execute("SELECT pg_sleep(0.2)")  # so that each has a connection of its own
        return connection.raw.info.backend_pid

    there = await asyncio.gather(*(store.run(0, own) for _ in range(3)))
    assert len(set(there)) == 3
    with pytest.raises(Unavailable):
        await store.run(0, lambda connection: connection.execute("SELECT pg_terminate_backend(pg_backend_pid())"))
    with psycopg.connect(database, autocommit=True) as other:
        while other.execute("SELECT FROM pg_stat_activity WHERE pid = ANY (%s)", (there,)).rowcount:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_function_that_waited_longer_than_its_time_is_not_begun(database: str) -> None:
    store = PostgresStore(database, connections=1)
    await store.open()
    goes_on, begun = threading.Event(), list[Connection]()
    first = asyncio.create_task(store.run(0, lambda connection: goes_on.wait()))
    second = asyncio.create_task(store.run(0, begun.append, longest=0.01))
    await asyncio.sleep(0.1)
    goes_on.set()
    await first
    with pytest.raises(Unavailable, match="took too long"):
        await second
    assert begun == []
    await store.close()


async def test_closing_does_not_wait_for_ever_for_a_cancelled_function(database: str) -> None:
    store = PostgresStore(database)
    await store.open()
    begun, ended = threading.Event(), list[psycopg.Error]()

    def hang(connection: Connection) -> None:
        begun.set()
        try:
            connection.execute("SELECT pg_sleep(5)")
        except psycopg.OperationalError as error:
            ended.append(error)

    hanging = asyncio.create_task(store.run(0, hang, longest=0.5))
    await asyncio.to_thread(begun.wait)
    hanging.cancel()
    await store.close()
    assert len(ended) == 1
