"""Events in PostgreSQL."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from psycopg import AsyncConnection
from tornado.ioloop import IOLoop

from abtest.domain import Event, read_attributes, scoped
from abtest.store.postgres import PostgresStore
from abtest.store.postgres.connection import Connection
from tests.scenes import experiment, tokens
from tests.store.postgres.trips import trips_and_statements

BOUGHT = Event("1", "purchase")

COUNTED = "SELECT duplicate_events, unknown_device_events, unknown_experiment_events FROM app WHERE id = 1"


@pytest.fixture
def store(database: str, io_loop: IOLoop) -> Iterator[PostgresStore]:
    opened = PostgresStore(database, connections=1)
    io_loop.run_sync(opened.open)
    io_loop.run_sync(lambda: opened.add([experiment("color", "1", "1")], 1))
    yield opened
    io_loop.run_sync(opened.close)


def rows(statement: str) -> Any:
    def read(connection: Connection) -> list[Any]:
        return connection.execute(statement).fetchall()

    return read


async def test_an_event_is_stored_once_and_numbers_have_no_gaps(store: PostgresStore) -> None:
    await store.enrol(["a", "b"], 1)
    bought = Event("1", "purchase", amount=-7, at=5)
    shown = Event("2", "exposure", "color", value="color-1")
    strange = Event("3", "exposure", "colour")
    assert await store.track([("a", [bought, bought, shown]), ("b", [strange, bought]), ("c", [bought])], 9) == [
        *(2, 2, None)
    ]
    assert await store.track([("a", [bought]), ("b", [strange, Event("4", "open")])], 10) == [0, 1]
    stored = await store.read(rows("SELECT id, device_id, event_id FROM event ORDER BY id"))
    assert stored == [(1, 1, "1"), (2, 1, "2"), (3, 2, "1"), (4, 2, "3"), (5, 2, "4")]
    assert await store.read(rows("SELECT amount, at, received_at FROM event WHERE id = 1")) == [(-7, 5, 9)]
    assert await store.read(rows(COUNTED)) == [(3, 1, 1)]


async def test_events_of_a_test_device_are_not_stored(store: PostgresStore) -> None:
    await store.add_test_device("a", {"color": "color-1"}, "mine", 1)
    assert await store.track([("a", [Event("1", "open")])], 1) == [1]
    assert await store.read(rows("SELECT count(*) FROM event")) == [(0,)]


@pytest.mark.parametrize("telling", [True, False])
async def test_rows_of_apps_are_changed_in_one_order(store: PostgresStore, database: str, telling: bool) -> None:
    """Otherwise two transactions could wait for each other."""
    await store.add_app("staging", 1)
    staging, default = scoped(2, "a"), "a"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with await AsyncConnection.connect(database, autocommit=True) as looking:
        async with await AsyncConnection.connect(database) as other:
            await other.execute("SELECT FROM app WHERE id = 1 FOR NO KEY UPDATE")
            if telling:
                work: Coroutine[Any, Any, Any] = store.track([(staging, [BOUGHT]), (default, [BOUGHT])], 1)
            else:
                said = read_attributes([("platform", "ios")])
                work = store.enrol([staging, default], 1, {staging: said, default: said})
            task = asyncio.create_task(work)
            while (await (await looking.execute(waiting)).fetchone()) != (1,):  # noqa: ASYNC110  # PostgreSQL does not tell
                await asyncio.sleep(0.01)
            await other.execute("SELECT FROM app WHERE id = 2 FOR NO KEY UPDATE NOWAIT")
        await task


@pytest.mark.parametrize("size", [1, 100])
async def test_a_batch_of_events_is_two_trips_whatever_its_size(store: PostgresStore, size: int) -> None:
    asked = tokens("a", size)
    await store.enrol(asked, 1)
    for number in range(8):  # afterwards statements are prepared, as in a server that runs
        await store.track([(asked[0], [Event(f"before-{number}", "open")])], 1)
    told = [(token, [Event(str(number), "open") for number in range(5)]) for token in asked]
    assert await trips_and_statements(store, lambda: store.track(told, 1)) == (2, 9)
