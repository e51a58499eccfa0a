"""A process notes that it runs, and nobody waits for it."""

import asyncio
import fcntl
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from abtest import clock
from abtest.errors import Unavailable
from abtest.settings import Settings
from abtest.store import Process
from abtest.store.sqlite.store import SQLiteStore
from abtest.upkeep import Heartbeat, SystemService
from tests.scenes import opened
from tests.stores import only_in_postgres, only_in_sqlite

SETTINGS = Settings(stats_interval=7, free_disk=0)


@contextmanager
def locked(store: SQLiteStore) -> Iterator[None]:
    """Another program writes all the time."""
    with Path(f"{store.path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def until_noted(store: SQLiteStore) -> None:
    """Return when this process is known."""
    while os.getpid() not in {each.pid for each in (await store.upkeep()).processes}:  # noqa: ASYNC110  # see `until`
        await asyncio.sleep(0.001)


async def noted(store: SQLiteStore, heartbeat: Heartbeat, waiting: int = 0) -> Process:
    """The one process, after it noted itself once more."""
    before = (await store.upkeep()).processes
    while (now := (await store.upkeep()).processes) == before:
        heartbeat.beat(waiting)
        await asyncio.sleep(0.001)
    (process,) = now
    return process


async def test_a_process_is_known_while_it_runs_and_forgotten_when_it_stops(store: SQLiteStore) -> None:
    heartbeat = Heartbeat(store, "server", SETTINGS)
    process = await noted(store, heartbeat)
    assert (process.kind, process.pid, process.stats_interval) == ("server", os.getpid(), 7)
    assert process.started_at <= process.seen_at <= clock.now()
    await heartbeat.stop()
    assert (await store.upkeep()).processes == ()


async def test_a_process_overwrites_what_it_noted_before(store: SQLiteStore) -> None:
    heartbeat = Heartbeat(store, "server", SETTINGS, every=0)
    first = await noted(store, heartbeat)
    second = await noted(store, heartbeat)
    assert second == structs.replace(first, seen_at=second.seen_at)
    assert second.seen_at > first.seen_at


async def test_it_is_not_noted_again_within_ten_seconds(store: SQLiteStore) -> None:
    heartbeat = Heartbeat(store, "server", SETTINGS)
    first = await noted(store, heartbeat)
    for _ in range(20):
        heartbeat.beat()
        await asyncio.sleep(0.001)
    assert (await store.upkeep()).processes == (first,)


async def test_the_longest_queue_since_the_last_note_is_noted(store: SQLiteStore) -> None:
    heartbeat = Heartbeat(store, "server", SETTINGS, every=0)
    for waiting in (3, 7, 2):
        heartbeat.beat(waiting)
    await until_noted(store)
    assert [each.waiting for each in (await store.upkeep()).processes] == [7]
    assert (await noted(store, heartbeat)).waiting == 0


async def test_refused_requests_are_noted_with_those_of_the_last_minutes(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = Counter[str]({"busy": 1})
    heartbeat = Heartbeat(store, "server", SETTINGS, refused, every=0)
    process = await noted(store, heartbeat)
    assert process.refused == process.refused_lately == {"busy": 1}
    monkeypatch.setattr("abtest.upkeep.heartbeat.LATELY_SECONDS", 0)
    refused["invalid_token"] += 2
    while process.refused_lately:  # the next note may have begun before, and the one after it counts the two
        process = await noted(store, heartbeat)
    assert process.refused == {"busy": 1, "invalid_token": 2}


async def test_a_killed_process_is_forgotten_by_the_others(store: SQLiteStore) -> None:
    now = clock.now()
    for pid, minutes in ((1, 11), (2, 9)):
        seen_at = now - minutes * 60_000
        await store.note_process(Process("server", "alpha", pid, "1", 1, seen_at, 5, 100), 1)
    heartbeat = Heartbeat(store, "server", SETTINGS)
    heartbeat.beat()
    await until_noted(store)
    assert [each.pid for each in (await store.upkeep()).processes if each.pid != os.getpid()] == [2]


@only_in_postgres  # SQLite is on one machine, which has one clock
async def test_machines_whose_clocks_differ_see_one_another(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = clock.now
    for kind, days in (("server", 0), ("worker", 400), ("server", -400)):
        with monkeypatch.context() as machine:
            machine.setattr("abtest.clock.now", lambda days=days: there() + days * clock.DAY)
            heartbeat = Heartbeat(store, kind, SETTINGS)
            heartbeat.beat()
            assert heartbeat._noting
            await heartbeat._noting
            assert all(each.running for each in (await SystemService(store).system()).processes)
    assert len((await store.upkeep()).processes) == 3


async def test_nobody_waits_for_it_while_others_write(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        heartbeat = Heartbeat(store, "server", SETTINGS, every=0)
        with locked(store):
            for _ in range(20):  # only one of them is in the queue
                heartbeat.beat()
                await asyncio.sleep(0.001)
                await store.config_version()
            assert (await store.upkeep()).processes == ()
        await heartbeat.stop()
        assert (await store.upkeep()).processes == ()


@only_in_sqlite
async def test_a_process_that_stops_waits_only_a_moment_for_others(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abtest.store.sqlite.store.STOPPING_SECONDS", 0.01)
    heartbeat = Heartbeat(store, "server", SETTINGS)
    process = await noted(store, heartbeat)
    with locked(store):
        with pytest.raises(Unavailable, match="locked"):
            await store.remove_process(process)
        await heartbeat.stop()
    assert (await store.upkeep()).processes == (process,)


@only_in_sqlite
async def test_nothing_is_written_on_a_full_disk(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abtest.upkeep.heartbeat.LEAST_ROOM", float("inf"))
    heartbeat = Heartbeat(store, "server", SETTINGS)
    heartbeat.beat()
    await heartbeat.stop()
    assert (await store.upkeep()).sizes == ()


async def test_the_size_of_the_database_is_kept_once_a_day_for_a_week(store: SQLiteStore) -> None:
    process: dict[str, Any] = {"kind": "server", "host": "alpha", "pid": 1, "version": "1", "started_at": 1}
    for hour in range(0, 24 * 20, 6):
        seen = Process(**process, seen_at=hour * clock.HOUR + 1, stats_interval=5, free_disk=100)
        await store.note_process(seen, 1_000 + hour)
    days = range(12, 20)
    assert (await store.upkeep()).sizes == tuple((day * clock.DAY + 1, 1_000 + 24 * day) for day in days)
