"""First requests in PostgreSQL: how many trips they take, and what devices get that ask at once."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from abtest.domain import Attributes, Change, read_attributes
from abtest.store.postgres import PostgresStore
from abtest.store.postgres.connection import Connection
from abtest.store.postgres.enrolling import KNOWN
from tests.scenes import experiment, tokens
from tests.store.postgres.trips import trips_and_statements


@pytest.fixture
def store(database: str, io_loop: IOLoop) -> Iterator[PostgresStore]:
    opened = PostgresStore(database, connections=1)
    io_loop.run_sync(opened.open)
    io_loop.run_sync(lambda: opened.add([experiment("color", "1", "1", "1"), experiment("price", "97", "3")], 1))
    yield opened
    io_loop.run_sync(opened.close)


def version(number: int) -> Attributes:
    return read_attributes([("platform", "ios"), ("app_version", str(number))])


@pytest.mark.parametrize("size", [1, 100, 2_000])
async def test_a_batch_is_two_trips_whatever_its_size(store: PostgresStore, size: int) -> None:
    for number in range(8):  # afterwards statements are prepared, as in a server that runs
        await store.enrol([f"before-{number}"], 1)
    assert await trips_and_statements(store, lambda: store.enrol(tokens("a", size), 1)) == (2, 9)
    assert await trips_and_statements(store, lambda: store.enrol(tokens("a", size), 1)) == (2, 6)


@pytest.mark.parametrize("unseen", [1, 10, 200])
async def test_attributes_cost_no_trip_however_many_are_new(store: PostgresStore, unseen: int) -> None:
    for number in range(8):
        await store.enrol([f"before-{number}"], 1, {f"before-{number}": version(number)})
    asked = {token: version(100 + n % unseen) for n, token in enumerate(tokens("a", 200))}
    assert await trips_and_statements(store, lambda: store.enrol(list(asked), 1, asked)) == (2, 14)
    asked = {f"again-{token}": said for token, said in asked.items()}
    assert await trips_and_statements(store, lambda: store.enrol(list(asked), 1, asked)) == (2, 9)


async def test_another_config_version_is_one_trip_more(store: PostgresStore) -> None:
    known = tokens("a", 10)
    await store.enrol(known, 1)
    await store.find(known)
    assert await trips_and_statements(store, lambda: store.find(known), 1) == (2, 4)
    for key in ("banner", "page"):
        await store.add([experiment(key, "1", "2", stop_at=100)], 1)
        await store.change(key, lambda _: Change(weights=(Decimal(1), Decimal(1))), 1)
    assert await trips_and_statements(store, lambda: store.enrol(tokens("b", 100), 1)) == (3, 15)
    await store.add([experiment("button", "1", "2")], 1)
    assert await trips_and_statements(store, lambda: store.find(known), 1) == (3, 9)


async def test_devices_that_ask_8_times_at_once_in_4_processes_get_one_answer_and_exact_shares(
    store: PostgresStore, database: str
) -> None:
    await store.change("color", lambda _: Change(weights=(Decimal(1), Decimal(1), Decimal(2))), 1)
    command = [sys.executable, "-m", "tests.store.postgres.asking", database]
    asking = [await asyncio.create_subprocess_exec(*command, f"{number}", stdout=PIPE) for number in range(4)]
    printed = await asyncio.gather(*(process.communicate() for process in asking))
    answers = [answer for output, _ in printed for answer in json.loads(output)]
    assert len(answers) == 8
    assert all(each == answers[0] for each in answers)
    assert Counter(each["color"] for each in answers[0].values()) == {
        "color-0": 2500,
        "color-1": 2500,
        "color-2": 5000,
    }
    assert Counter(each["price"] for each in answers[0].values()) == {"price-0": 9700, "price-1": 300}

    def numbers(connection: Connection) -> list[Any]:
        return connection.execute("SELECT count(*), min(id), max(id) FROM device").fetchall()

    assert await store.read(numbers) == [(10_000, 1, 10_000)]


async def test_devices_are_found_by_their_index_before_there_are_statistics(
    store: PostgresStore,
) -> None:
    def plan(connection: Connection) -> str:
        return str(connection.execute(f"EXPLAIN {KNOWN}", (tokens("a", 500),)).fetchall())

    assert "Index Scan on device_token_excl" in await store.write(plan)


async def test_numbers_have_no_gaps_after_a_failure(store: PostgresStore) -> None:
    await store.enrol(["a"], 1)
    with pytest.raises(RuntimeError, match="exclusion constraint"):
        await store.enrol(["b", "b"], 1)
    await store.enrol(["c"], 1)

    def devices(connection: Connection) -> list[Any]:
        return connection.execute("SELECT device_id, token FROM device_token ORDER BY 1").fetchall()

    assert await store.read(devices) == [(1, "a"), (2, "c")]
