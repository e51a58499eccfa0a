"""How much work is done: these fail when somebody makes the path longer. Nothing here is timed."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tornado.ioloop import IOLoop

import abtest
from abtest import clock, domain
from abtest.bootstrap import wired
from abtest.domain import Attributes, Audience, Change, read_attributes
from abtest.enrolment.answers import EnrolmentService, Limits
from abtest.management import keep_schedule
from abtest.results import worker
from abtest.results.reports import ReportService
from abtest.settings import Settings
from abtest.store.relational import rows
from abtest.store.relational.enrolling import catalogue
from abtest.store.sqlite.driver import Connection
from abtest.store.sqlite.store import SQLiteStore
from abtest.web import hot
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import experiment, new, opened, tokens

OURS = str(Path(abtest.__file__).parent)


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    opened = SQLiteStore(new(tmp_path / "abtest.db"))
    io_loop.run_sync(opened.open)
    io_loop.run_sync(lambda: opened.add([experiment("color", "1", "1"), experiment("price", "97", "3")], 1))
    yield opened
    io_loop.run_sync(opened.close)


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings()))


@contextmanager
def statements(store: SQLiteStore) -> Iterator[list[str]]:
    """The statements that the store's connections run; a row of executemany is one."""
    ran: list[str] = []
    for connection in store._connections:
        connection._conn.set_trace_callback(ran.append)
    yield ran
    for connection in store._connections:
        connection._conn.set_trace_callback(None)


@contextmanager
def hops(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The trips to a thread."""
    made: list[str] = []
    execute = Connection._execute

    async def counted(self: Connection, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        made.append(str(function))
        return await execute(self, function, *arguments, **named)  # type: ignore[no-untyped-call]

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_execute", counted)
        yield made


async def steps(store: SQLiteStore, work: Callable[[], Awaitable[Any]], unit: int = 100) -> int:
    """How many instructions SQLite's virtual machine runs for this, in units of so many."""
    ran = 0

    def count() -> int:
        nonlocal ran
        ran += 1
        return 0

    for connection in store._connections:
        connection._conn.set_progress_handler(count, unit)
    await work()
    for connection in store._connections:
        connection._conn.set_progress_handler(None, 0)
    return ran


async def test_a_batch_is_one_trip_to_the_thread(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    service = EnrolmentService(store, Limits(deadline=600))
    with hops(monkeypatch) as made:
        await asyncio.gather(*(service.answer(token) for token in tokens("a", 100)))
    assert len(made) == 1


def inserts(assignments: int) -> int:
    """The statements that add so many assignments."""
    return sum(divmod(assignments, rows.AT_ONCE))


async def test_the_statements_of_a_batch_grow_with_its_rows_alone(store: SQLiteStore) -> None:
    await store.enrol(tokens("first", 1), 1)
    for size in (1, 100):
        with statements(store) as ran:
            await store.enrol(tokens(f"of-{size}", size), 1)
        assert len(ran) == inserts(2 * size) + 10
    with statements(store) as ran:
        await store.enrol(tokens("of-100", 100), 1)
    assert len(ran) == 4  # begin, version, look up, commit


async def test_an_audience_costs_no_statement_and_is_decided_once_for_equal_attributes(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided: list[Attributes] = []

    def failed(audience: Audience, attributes: Attributes) -> tuple[int, ...]:
        decided.append(attributes)
        return domain.failed(audience, attributes)

    monkeypatch.setattr(catalogue, "failed", failed)
    await store.add([experiment("banner", "1", "1", audience=("platform=ios",))], 1)
    ios, android = (read_attributes([("platform", name)]) for name in ("ios", "android"))
    await store.enrol(["first", "second"], 1, {"first": ios, "second": android})
    assert decided == 3 * [ios] + 3 * [android]
    for attributes, experiments in ((ios, 3), (android, 2)):
        asked = tokens(attributes.pairs[0][1], 100)
        with statements(store) as ran:
            await store.enrol(asked, 1, dict.fromkeys(asked, attributes))
        assert len(ran) == inserts(100 * experiments) + experiments + 8
    assert len(decided) == 6


async def test_first_requests_that_come_together_share_two_batches(store: SQLiteStore) -> None:
    with statements(store) as ran:
        service = EnrolmentService(store, Limits(deadline=600))
        first = [asyncio.create_task(service.answer(token)) for token in tokens("a", 10)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        later = [asyncio.create_task(service.answer(token)) for token in tokens("b", 400)]
        await asyncio.gather(*first, *later)
    assert ran.count("COMMIT") == 2


QUERY = b"?platform=ios&app_version=3.10.0&os_version=17.2&country=DE&language=de"  # costs nothing
CONTEXT = b'{"context":{"targetingKey":"device","platform":"ios","app_version":"3.10.0","country":"DE"}}'
PLAIN = b"GET /api/v1/experiments" + QUERY + b" HTTP/1.1\r\nHost: a\r\nDevice-Token: device\r\n"
FLAGS = (
    b"POST /ofrep/v1/evaluate/flags HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n" % len(CONTEXT)
)
UNCHANGED = b"If-None-Match: *\r\n"
WAYS = {  # the request, the end of the answer, and the most calls
    "plain": (PLAIN + b"\r\n", b'"}', 19),
    "plain, unchanged": (PLAIN + UNCHANGED + b"\r\n", b"\r\n\r\n", 22),
    "flags": (FLAGS + b"\r\n" + CONTEXT, b"]}", 22),
    "flags, unchanged": (FLAGS + UNCHANGED + b"\r\n" + CONTEXT, b"\r\n\r\n", 24),
}
each_way = pytest.mark.parametrize(("request_", "end", "most"), WAYS.values(), ids=WAYS)


@asynccontextmanager
async def known_device(
    client: Client, app: HotServer, request: bytes, end: bytes
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Asks for the same device again and again, over one connection. Nothing of its first request is under way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.address.rpartition(":")[2]))

    async def ask() -> None:
        writer.write(request)
        await reader.readuntil(end)

    try:
        await ask()
        await app.enrolment.drain()  # on a busy machine it waits longer for other devices to share its batch
        yield ask
    finally:
        writer.close()
        await writer.wait_closed()


@each_way
async def test_a_known_device_costs_no_task_no_trip_and_no_statement(
    client: Client,
    app: HotServer,
    store: SQLiteStore,
    monkeypatch: pytest.MonkeyPatch,
    request_: bytes,
    end: bytes,
    most: int,
) -> None:
    loop = asyncio.get_running_loop()
    tasks: list[object] = []

    def counted(loop: asyncio.AbstractEventLoop, coroutine: Any, **named: Any) -> "asyncio.Task[Any]":
        tasks.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **named)

    async with known_device(client, app, request_, end) as ask:
        loop.set_task_factory(counted)
        with hops(monkeypatch) as made, statements(store) as ran:
            for _ in range(5):
                await ask()
        loop.set_task_factory(None)
    assert (tasks, made, ran) == ([], [], [])


@each_way
async def test_a_known_device_costs_no_change_in_what_is_listened_to(
    client: Client, app: HotServer, monkeypatch: pytest.MonkeyPatch, request_: bytes, end: bytes, most: int
) -> None:
    changes: list[int] = []
    async with known_device(client, app, request_, end) as ask:
        monkeypatch.setattr(type(IOLoop.current()), "update_handler", lambda loop, fd, events: changes.append(events))
        for _ in range(5):
            await ask()
    assert changes == []


@each_way
async def test_a_known_device_costs_few_calls_of_functions(
    client: Client, app: HotServer, monkeypatch: pytest.MonkeyPatch, request_: bytes, end: bytes, most: int
) -> None:
    monkeypatch.setattr(hot, "time", lambda: 0)  # the response has the Date, and is rendered when a second begins
    called: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            called[frame.f_code.co_name] += 1

    async with known_device(client, app, request_, end) as ask:
        await ask()  # renders the response
        sys.setprofile(count)
        for _ in range(10):
            await ask()
        sys.setprofile(None)
    assert called.total() <= 10 * most, called


async def test_a_cached_answer_is_given_without_waiting(store: SQLiteStore) -> None:
    service = EnrolmentService(store, Limits(deadline=600))
    answer = await service.answer("device")
    assert service.cached("device") is answer


async def test_a_tick_without_anything_due_asks_once_what_is(store: SQLiteStore) -> None:
    await store.change("color", lambda _: Change(schedule=(None, clock.now() + clock.DAY)), 1)
    with statements(store) as ran:
        await keep_schedule(store, print)
    assert len(ran) == 3  # begin, look, commit


async def test_a_tick_and_a_page_read_no_more_when_the_database_is_larger(tmp_path: Path) -> None:
    ticks, reports = [], []
    async with opened(tmp_path / "other.db") as store:
        await store.add([experiment("color", "1", "1")], 1)
        for size in (1_000, 20_000):
            await store.enrol(tokens(f"of-{size}", size), 1)
            await worker.tick(store)
            await store.enrol(tokens(f"after-{size}", 1_000), 1)
            ticks.append(await steps(store, lambda: worker.tick(store)))  # run at once
            await ReportService(store).report()  # prepares the statements
            reports.append(await steps(store, ReportService(store).report, unit=1))
    assert ticks[1] <= 1.02 * ticks[0] + 2
    assert reports[1] <= reports[0]


async def test_a_tick_and_a_page_ask_no_more_when_there_are_more_experiments(store: SQLiteStore) -> None:
    """Each statement is a trip where the database is on another machine."""
    asked = []
    for number in (1, 10):
        keys = [f"of-{number}-{each}" for each in range(number)]
        await store.add([experiment(key, "1", "1", metrics=["conversion:bought"]) for key in keys], 1)
        await worker.tick(store)
        with statements(store) as ran:
            await store.measured()
            await store.experiments()
            await ReportService(store).report()
        asked.append(len(ran))
    assert asked[0] == asked[1] < 100
