"""A standby becomes the primary: nothing acknowledged is lost, or else the store says so and does not go on."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest
from tornado.ioloop import IOLoop

from abtest import clock
from abtest.domain import Event, Sought
from abtest.errors import Unavailable
from abtest.store.postgres import PostgresStore, enrolling
from abtest.store.postgres.connection import Connection, connect
from abtest.store.postgres.primary import Primary
from abtest.store.relational.enrolling import NOTHING
from abtest.store.upkeep import Process
from tests.postgres import Pair, new_folder
from tests.scenes import ANNA, experiment, tokens, values_of

PATIENCE = 1.0

PROCESS = Process("server", "alpha", 11, "0.1.0", 1, 1, stats_interval=5, free_disk=100)


@pytest.fixture
def pair() -> Iterator[Pair]:
    with new_folder() as first, new_folder() as second:
        made = Pair(first, second)
        yield made
        made.stop()


@pytest.fixture
def store(pair: Pair, io_loop: IOLoop) -> Iterator[PostgresStore]:
    opened = PostgresStore(pair.url, PATIENCE)
    io_loop.run_sync(opened.open)
    io_loop.run_sync(lambda: opened.add([experiment("color", "1", "1")], clock.now()))
    yield opened
    io_loop.run_sync(opened.close)


async def asked(store: PostgresStore, names: list[str]) -> dict[str, dict[str, str]]:
    """The values of these devices."""
    enrolment = await store.enrol(names, clock.now())
    return {name: values_of(enrolment, name) for name in names}


async def back(store: PostgresStore) -> None:
    """Wait until the store finds its primary."""
    while True:
        with suppress(Unavailable):
            await store.config_version()
            return


async def refused(store: PostgresStore, code: str) -> None:
    """Check that new devices are refused with this code."""
    with pytest.raises(Unavailable) as refusal:
        await asked(store, ["refused"])
    assert refusal.value.code == code


async def until_refused(store: PostgresStore, code: str) -> None:
    """Wait until the store refuses with this code."""
    seen = ""
    while seen != code:
        try:
            await store.config_version()
        except Unavailable as error:
            seen = error.code


def test_hosts_that_are_gone_are_waited_for_together() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [listening.getsockname()[1] for listening in (one, other)]
        url = "postgresql://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?connect_timeout=600".format(*ports)
        with ThreadPoolExecutor() as looking:
            found = looking.submit(Primary(url).find)
            taken = [one.accept()[0], other.accept()[0]]  # the second one comes although nobody answers the first
            for each in (one, other, *taken):
                each.close()
            with pytest.raises(psycopg.OperationalError):
                found.result()


async def test_nothing_is_lost_with_a_synchronous_standby(pair: Pair, store: PostgresStore) -> None:
    pair.wait_for_standby()
    names = tokens("a", 50)
    before = await asked(store, names)
    assert await store.track([(names[0], [Event(id="1", name="purchase")])], clock.now()) == [1]
    pair.primary.stop()
    await refused(store, "database_away")
    pair.standby.promote()
    await back(store)
    assert await asked(store, names) == before
    assert await store.track([(names[0], [Event(id="1", name="purchase")])], clock.now()) == [0]
    await asked(store, ["new"])
    assert pair.standby.execute("SELECT id FROM device WHERE token = 'new'") == [(51,)]


@pytest.mark.parametrize("kind", ["device", "event"])
async def test_what_an_asynchronous_standby_lacks_stops_everything_until_the_loss_is_accepted(
    pair: Pair, store: PostgresStore, kind: str
) -> None:
    await asked(store, ["first"])
    pair.catch_up()
    pair.standby.stop()
    if kind == "device":
        await asked(store, ["lost"])
    else:
        await store.track([("first", [Event(id="1", name="purchase")])], clock.now())
    pair.primary.stop()
    pair.standby.start()
    pair.standby.promote()
    other = PostgresStore(pair.standby.url, PATIENCE)  # it knows nothing of what was lost
    await other.open()
    await asked(other, ["another"])
    await other.track([("first", [Event(id="2", name="purchase")])], clock.now())
    await until_refused(store, "answers_lost")
    for again in (store.enrol(["first"], 1), store.find(["first"]), store.track([], 1), store.config_version()):
        with pytest.raises(Unavailable, match="'abtest db accept-loss'"):
            await again
    await store.note_process(PROCESS, 1)  # otherwise it would seem that no server runs
    assert (await store.upkeep()).processes == (PROCESS,)
    before = await other.config_version()
    await other.accept_loss(ANNA, clock.now())
    await asked(store, ["lost"])
    assert await store.config_version() > before + 1000  # caches are emptied, even of what the lost changes put there
    (entry,) = await other.entries(Sought(), 1)
    await other.close()
    assert (entry.action, entry.by) == ("database.accept_loss", ANNA)


async def test_a_standby_that_lacks_nothing_goes_on_even_if_its_newest_device_was_forgotten(
    pair: Pair, store: PostgresStore
) -> None:
    await asked(store, ["first"])
    await store.track([("first", [Event(id="1", name="purchase")])], clock.now())
    pair.primary.execute("DELETE FROM event; UPDATE device SET token = 'forgotten'")
    pair.catch_up()
    pair.fail_over()
    await back(store)
    await asked(store, ["second"])


async def test_without_its_synchronous_standby_a_server_can_still_start_and_say_that_it_runs(
    pair: Pair, store: PostgresStore
) -> None:
    await asked(store, ["known"])
    pair.wait_for_standby()
    pair.standby.stop()
    await store.boot()
    await store.note_process(PROCESS, 1)
    assert (await store.upkeep()).processes == (PROCESS,)
    assert list((await store.find(["known"])).variants) == ["known"]
    pair.standby.start()


async def test_an_old_primary_that_comes_back_is_never_written_to(pair: Pair, store: PostgresStore) -> None:
    await asked(store, ["first"])
    pair.catch_up()
    pair.fail_over()
    await back(store)
    pair.primary.start()
    await asked(store, ["second"])
    newcomer = PostgresStore(pair.url, PATIENCE)
    await newcomer.open()
    await asked(newcomer, ["third"])
    await newcomer.close()
    pair.standby.stop()
    await refused(store, "database_away")
    assert pair.primary.execute("SELECT token FROM device") == [("first",)]
    pair.standby.start()
    await back(store)
    assert len(pair.standby.execute("SELECT token FROM device")) == 3


async def test_connections_to_the_old_primary_end_when_a_new_one_is_met(pair: Pair, store: PostgresStore) -> None:
    await asked(store, ["first"])
    pair.catch_up()
    pair.standby.promote()  # while the old one goes on
    await asked(store, ["second"])
    reading = await store.read(lambda connection: connection.raw.info.backend_pid)
    pair.primary.execute(f"SELECT pg_terminate_backend({reading})")
    await until_refused(store, "answers_lost")
    await refused(store, "answers_lost")
    other = PostgresStore(pair.url, PATIENCE)
    await other.open()
    await other.accept_loss(ANNA, clock.now())
    await other.close()
    await asked(store, ["third"])
    for server, found in ((pair.primary, "second"), (pair.standby, "third")):
        assert server.execute("SELECT token FROM device WHERE id = 2") == [(found,)]


async def test_what_is_stored_while_a_new_primary_is_asked_is_not_acknowledged(
    pair: Pair, store: PostgresStore
) -> None:
    """The new primary was only asked for what had been stored before."""
    await asked(store, ["first"])
    pair.catch_up()
    committed, goes_on = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        try:
            enrolling.enrol(connection, NOTHING, {}, ["lost"], 1, {})
        finally:
            committed.set()
        goes_on.wait(20)

    writing = asyncio.create_task(store.run(0, slow))
    await asyncio.to_thread(committed.wait)
    pair.fail_over()
    with connect(pair.standby.url) as meeting, psycopg.connect(pair.standby.url) as other:
        other.execute("LOCK TABLE meta")
        met = asyncio.create_task(asyncio.to_thread(store._primary.meet, meeting, lambda: None))
        while not pair.standby.execute("SELECT pid FROM pg_locks WHERE NOT granted"):
            assert not met.done()
            await asyncio.sleep(0.01)
        goes_on.set()
        done, _ = await asyncio.wait([writing], timeout=0.2)
        other.rollback()
        await met
    assert not done
    with pytest.raises(Unavailable, match="another server became the primary"):
        await writing


@pytest.fixture
def hung(pair: Pair) -> Iterator[Callable[[], None]]:
    """Make every process of the primary hang, until the end of the test."""
    stopped: list[int] = []

    def hang() -> None:
        for pid in pair.primary.processes():
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)

    yield hang
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def test_a_worker_does_not_wait_for_ever_for_a_server_that_hangs(
    store: PostgresStore, hung: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abtest.store.postgres.connection.ANSWER_SECONDS", 0.1)
    assert await store.try_lease()
    hung()
    with pytest.raises(Unavailable):
        await store.try_lease()


async def test_a_worker_that_stops_does_not_wait_for_a_server_that_hangs(
    store: PostgresStore, hung: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abtest.store.postgres.connection.ANSWER_SECONDS", 0.1)
    assert await store.try_lease()
    hung()
    await asyncio.wait_for(asyncio.to_thread(store._lease.end), timeout=30)


async def test_a_primary_that_hangs_is_left_for_the_next_one(
    pair: Pair, store: PostgresStore, hung: Callable[[], None]
) -> None:
    await asked(store, ["first"])
    pair.catch_up()
    hung()
    await refused(store, "database_away")
    pair.standby.promote()
    await back(store)
    await asked(store, ["second"])
