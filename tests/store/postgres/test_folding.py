"""Figures in PostgreSQL, while servers enrol: nothing is left out, counted twice, or counted too early."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import psycopg
import pytest
from tornado.ioloop import IOLoop

from abtest import clock
from abtest.domain import Event
from abtest.errors import Unavailable
from abtest.results import worker
from abtest.store.postgres import PostgresStore
from abtest.store.postgres.connection import Connection
from abtest.store.relational import summarising
from abtest.store.relational.numbers import last_device, last_event
from tests.scenes import experiment, tokens, until

END_HOLDER = """
SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE locktype = 'advisory' AND granted AND datname = current_database()
"""

READ = """
SELECT relname, seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables
WHERE relname IN ('device', 'event', 'exposed', 'metric_device')
"""


@pytest.fixture
def servers(database: str, io_loop: IOLoop) -> Iterator[list[PostgresStore]]:
    """Three stores of one database with an experiment, as three processes have them."""
    opened = [PostgresStore(database, patience=60) for _ in range(3)]
    for each in opened:
        io_loop.run_sync(each.open)
    io_loop.run_sync(lambda: opened[0].add([experiment("color", "1", "1", metrics=("conversion:purchase",))], 1))
    yield opened
    for each in opened:
        io_loop.run_sync(each.close)


async def come(server: PostgresStore, prefix: str, number: int, now: int = 1) -> None:
    """This many new devices, each of which shows its value and buys."""
    asked = tokens(prefix, number)
    await server.enrol(asked, now)
    await server.track([(token, [Event("1", "exposure", "color"), Event("2", "purchase")]) for token in asked], 1)


def meanwhile(task: Callable[[], Any]) -> Callable[[Connection], tuple[int, int, int, int]]:
    """A transaction that waits for the task: returns the last device and event that it sees before and after it."""
    loop = asyncio.get_running_loop()

    def transaction(connection: Connection) -> tuple[int, int, int, int]:
        before = last_device(connection), last_event(connection)
        asyncio.run_coroutine_threadsafe(task(), loop).result()
        return (*before, last_device(connection), last_event(connection))

    return transaction


async def test_each_device_is_counted_once_while_two_servers_enrol(servers: list[PostgresStore]) -> None:
    *both, folding = servers

    async def ask(server: PostgresStore) -> None:
        for batch in range(40):
            await come(server, f"of-{id(server)}-{batch}", 5)

    asking = [asyncio.create_task(ask(server)) for server in both]
    while not all(each.done() for each in asking):
        await folding.fold(7, 1)
        (measured,), summary = await folding.measured(), await folding.summary()
        assert sum(chain(*summary.counts.values())) >= sum(day.devices for day in measured.days)
        assert sum(day.exposed for day in measured.days) <= sum(day.devices for day in measured.days)
    while (await folding.fold(7, 1)).left:
        pass
    (measured,) = await folding.measured()
    assert (await folding.summary()).counts == {(1, 1): (200, 200)}
    assert [sum(getattr(day, name) for day in measured.days) for name in ("devices", "exposed")] == [400, 400]
    assert sum(each.sums.events for each in measured.metrics[0]) == 400


async def test_first_requests_do_not_wait_for_a_fold_and_a_fold_sees_one_moment(servers: list[PostgresStore]) -> None:
    enrolling, folding, _ = servers
    await come(enrolling, "before", 3)
    seen = await folding.write_figures(meanwhile(lambda: come(enrolling, "meanwhile", 4)))
    assert seen == (3, 6, 3, 6)
    folded = await folding.fold(100, 1)
    assert (folded.devices, folded.events) == (7, 14)


async def test_a_fold_does_not_wait_for_first_requests(servers: list[PostgresStore]) -> None:
    enrolling, folding, _ = servers
    await come(enrolling, "before", 3)
    assert await enrolling.write(meanwhile(lambda: folding.fold(100, 1))) == (3, 6, 3, 6)
    assert (await folding.summary()).devices == 3


async def test_stores_that_fold_at_once_count_each_device_once(servers: list[PostgresStore]) -> None:
    await come(servers[0], "a", 100)
    await asyncio.gather(*(server.fold(30, 1) for server in servers for _ in range(5)))
    (measured,) = await servers[0].measured()
    assert (await servers[0].summary()).counts == {(1, 1): (50, 50)}
    assert [sum(getattr(day, name) for day in measured.days) for name in ("devices", "exposed")] == [100, 100]


async def test_a_fold_reads_only_what_is_new_however_much_there_is(servers: list[PostgresStore]) -> None:
    server = servers[0]
    await come(server, "before", 3_000)
    while (await server.fold(10_000, 1)).left:
        pass
    for hour in (2, 3):
        await come(server, f"at-{hour}", 5, hour * clock.HOUR)

    def fold(connection: Connection) -> dict[str, int]:
        """How many rows a fold reads of each table that grows with the devices."""
        before = dict(connection.execute(READ).fetchall())
        summarising.fold(connection, summarising.Decided(), 10_000, 1)
        return {table: rows - before[table] for table, rows in connection.execute(READ)}

    read = await server.write_figures(fold)
    assert read["device"] >= 10
    assert read["event"] >= 20
    assert all(rows <= 200 for rows in read.values())


async def test_the_lease_ends_with_its_connection(servers: list[PostgresStore], database: str) -> None:
    first, second, _ = servers
    assert [await first.try_lease(), await second.try_lease()] == [True, False]
    with psycopg.connect(database) as administrator:
        administrator.execute(END_HOLDER)
    while not await second.try_lease():
        pass
    with pytest.raises(Unavailable, match="away"):
        await first.try_lease()
    assert [await first.try_lease(), await second.try_lease()] == [False, True]


async def test_a_worker_whose_connection_is_lost_lets_another_take_over(
    servers: list[PostgresStore], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LEASE_SECONDS", 0.05)
    said: tuple[list[str], list[str]] = ([], [])
    stop = asyncio.Event()
    first = asyncio.create_task(worker.work(servers[0], 1, said[0].append, stop))  # checks its lease each second
    while (await servers[2].summary()).as_of is None:
        pass
    second = asyncio.create_task(worker.work(servers[1], 0.05, said[1].append, stop))
    await until(lambda: said[1])
    with psycopg.connect(database) as administrator:
        administrator.execute(END_HOLDER)
    await until(lambda: len(said[0]) == 2)
    stop.set()
    await asyncio.gather(first, second)
    assert said[0][0].startswith("no new figures now: the database is away")
    assert said[0][1] == said[1][0] == "another worker is at work; waiting until it ends"
    assert said[1][1] == "the other worker ended; taking over"
