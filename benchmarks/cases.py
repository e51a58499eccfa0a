"""What is measured. Every case also checks the answers: a wrong answer fails the benchmark.

A case is a generator of results. To add one, write a function here, list it in CASES, and put the wrk script of its
load beside the others; `rounds` runs any two servers under the same load.
"""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from urllib.request import urlopen

from benchmarks.load import ENROLLING, finish, start, warm
from benchmarks.plans import Plan, Result, Say, p99, plural, rate, rounds
from benchmarks.postgres import postgres
from benchmarks.servers import (
    Server,
    bare,
    checked,
    counting,
    create,
    create_with_audiences,
    fill,
    folder,
    limit,
    obvious,
    product,
)

LOADS = {
    "known": "known devices",
    "new": "new devices",
    "mixed": f"known devices while {ENROLLING} connections enrol",
}


SOAK_SECONDS = 600
EVENTS, EVENTS_GOAL = 20, 10
MILLION = 1_000_000
MANY = 50

RATE_GOALS = {("known", 32): 1.9, ("new", 32): 1.35, ("new", 64): 1.45, ("mixed", 32): 1.65}
P99_GOALS = {("known", 32): 0.6, ("new", 32): 0.9, ("mixed", 32): 0.7}
BOTH_GOALS = {("known", 64): 2.9, ("new", 64): 1.75}
BOTH_P99_GOALS = {("new", 64): 0.7}


@contextmanager
def _beside_bare() -> Iterator[tuple[Server, Server]]:
    """A bare handler, and a warm server with two experiments, on the same core."""
    with folder() as path, ExitStack() as running:
        create(path / "abtest.db")
        yardstick = running.enter_context(bare())
        server = running.enter_context(product(path / "abtest.db"))
        running.enter_context(checked(server))
        warm(server, 32)
        yield yardstick, server


def one_process(plan: Plan, say: Say) -> Iterator[Result]:
    """One process on one core, compared with a bare handler that answers a constant."""
    with _beside_bare() as (yardstick, server):
        for case, what in LOADS.items():
            for connections in plan.connections:
                name = f"{what}, {plural(connections)}"
                say(name)
                compared = rounds(plan, yardstick, server, case, connections)
                yield rate(name, compared, RATE_GOALS.get((case, connections)))
                yield p99(name, compared, P99_GOALS.get((case, connections)))


def attributes(plan: Plan, say: Say) -> Iterator[Result]:
    """Devices with five attributes in the query, compared with a bare handler at the same URL."""
    yield from _both_kinds(
        plan, say, "with five attributes", ("known_with_attributes", "new_with_attributes"), (2.3, 1.4), None
    )


def openfeature(plan: Plan, say: Say) -> Iterator[Result]:
    """All flags by OFREP, compared with a bare handler that parses the same body and answers a constant."""
    yield from _both_kinds(plan, say, "by OFREP", ("known_flags", "new_flags"), (1.9, 1.3), 0.6)


def _both_kinds(
    plan: Plan, say: Say, how: str, loads: tuple[str, str], goals: tuple[float, float], known_p99: float | None
) -> Iterator[Result]:
    with _beside_bare() as (yardstick, server):
        for kind, case, goal, p99_goal in zip(("known", "new"), loads, goals, (known_p99, None), strict=True):
            name = f"{kind} devices {how}, 32 connections"
            say(name)
            compared = rounds(plan, yardstick, server, case, 32)
            yield rate(name, compared, goal)
            yield p99(name, compared, p99_goal)


def who_takes_part(plan: Plan, say: Say) -> Iterator[Result]:
    """Two experiments with three conditions each, in a group, after a holdout; then 50 experiments with audiences."""
    with folder() as path, ExitStack() as running:
        databases = path / "together.db", path / "many.db"
        for database, number, together in zip(databases, (2, MANY), (True, False), strict=True):
            create_with_audiences(database, number, together)
        yardstick = running.enter_context(bare())
        two, many = (running.enter_context(product(database)) for database in databases)
        running.enter_context(checked(two))
        running.enter_context(checked(many))
        warm(two, 32)
        for kind, case, goal, p99_goal in (
            ("known", "known_with_attributes", 2.3, None),
            ("new", "new_with_attributes", 1.3, 0.9),
        ):
            name = f"{kind} devices with audiences, a group and a holdout, 32 connections"
            say(name)
            compared = rounds(plan, yardstick, two, case, 32)
            yield rate(name, compared, goal)
            yield p99(name, compared, p99_goal)
        name = f"new devices, {MANY} experiments with audiences, compared with those two"
        say(name)
        yield rate(name, rounds(plan, two, many, "new_with_attributes", 32), 0.5)
    if plan.full:
        with folder() as path:
            create_with_audiences(path / "abtest.db", 2, together=True)
            yield from _grown(path / "abtest.db", (MILLION,), say, "with audiences, a group and a holdout", 150)


def limits(plan: Plan, say: Say) -> Iterator[Result]:
    """The limit of the design: a constant from the same kind of delegate, compared with the bare handler."""
    if not plan.full:
        return
    with bare() as yardstick, limit() as server:
        name = "a constant from a delegate, 32 connections"
        say(name)
        compared = rounds(plan, yardstick, server, "known", 32)
        yield rate(name, compared, None)
        yield p99(name, compared, None)


def two_processes(plan: Plan, say: Say) -> Iterator[Result]:
    """Two processes beside the load, nothing pinned, compared with one bare process."""
    with folder() as path, ExitStack() as running:
        create(path / "abtest.db")
        yardstick = running.enter_context(bare(core=None))
        server = running.enter_context(product(path / "abtest.db", core=None, processes=2))
        running.enter_context(checked(server))
        warm(server, 64, core=None)
        for case in LOADS if plan.full else ("known", "new"):
            for connections in plan.both:
                name = f"two processes, {LOADS[case]}, {plural(connections)}"
                say(name)
                compared = rounds(plan, yardstick, server, case, connections, core=None)
                yield rate(name, compared, BOTH_GOALS.get((case, connections)))
                yield p99(name, compared, BOTH_P99_GOALS.get((case, connections)))


def against_obvious(plan: Plan, say: Say) -> Iterator[Result]:
    """Compared with the obvious implementation, on a fast disk and on one that takes 4 ms longer to sync."""
    for slow, goals in ((False, {"known": 2.3, "new": 9.0}), (True, {"new": 18.0})):
        with folder() as path, ExitStack() as running:
            create(path / "abtest.db")
            yardstick = running.enter_context(obvious(path, slow=slow))
            server = running.enter_context(product(path / "abtest.db", slow=slow))
            running.enter_context(checked(server))
            for each in (yardstick, server) if "known" in goals else ():
                warm(each, 32)
            for case, goal in goals.items():
                name = f"{LOADS[case]}{' on a 4 ms disk' if slow else ''}, 32 connections, compared with the obvious"
                say(name)
                yield rate(name, rounds(plan, yardstick, server, case, 32), goal)


def slow_disk(plan: Plan, say: Say) -> Iterator[Result]:
    """New devices on a disk that takes 4 ms longer to sync, compared with a bare handler that stores nothing."""
    with folder() as path, ExitStack() as running:
        create(path / "abtest.db")
        yardstick = running.enter_context(bare())
        server = running.enter_context(product(path / "abtest.db", slow=True))
        running.enter_context(checked(server))
        for connections in plan.slow:
            name = f"new devices on a 4 ms disk, {plural(connections)}"
            say(name)
            compared = rounds(plan, yardstick, server, "new", connections)
            yield rate(name, compared, {256: 1.5}.get(connections))
            yield p99(name, compared, None)


def experiments(plan: Plan, say: Say) -> Iterator[Result]:
    """New devices by number of running experiments, compared with the bare handler."""
    for number in plan.experiments:
        with folder() as path, ExitStack() as running:
            create(path / "abtest.db", number)
            yardstick = running.enter_context(bare())
            server = running.enter_context(product(path / "abtest.db"))
            running.enter_context(checked(server))
            name = f"new devices, 32 connections, {number} experiment{'s' if number > 1 else ''}"
            say(name)
            yield rate(name, rounds(plan, yardstick, server, "new", 32), None)


def sizes(plan: Plan, say: Say) -> Iterator[Result]:
    """Worker, pages and start-up by number of devices, and the size of the database."""
    with folder() as path:
        create(path / "abtest.db")
        yield from _grown(path / "abtest.db", plan.sizes, say)


def ten_million(plan: Plan, say: Say) -> Iterator[Result]:
    """The same with 10 million devices."""
    if plan.full:
        with folder() as path:
            create(path / "abtest.db")
            yield from _grown(path / "abtest.db", (plan.sizes[0], 10 * MILLION), say)


def memory(plan: Plan, say: Say) -> Iterator[Result]:
    """Memory of one process after it has answered a million known devices, with the default cache."""
    if not plan.full:
        return
    with folder() as path:
        database = path / "abtest.db"
        create(database)
        fill(database, MILLION)
        with product(database) as server, checked(server):
            say("memory after a million known devices")
            asking = start(server, "million", 64, 300)
            while server.metric('abtest_answer_seconds_count{source="store"}') < MILLION:
                assert asking.poll() is None, "the load ended before a million devices were asked"
                time.sleep(1)
            asking.send_signal(signal.SIGINT)
            finish(asking)
            resident = server.memory() / 1e6
            yield Result("memory after a million known devices", resident, "MB", "<= 150", resident <= 150)


def events(plan: Plan, say: Say) -> Iterator[Result]:
    """Thousands of events per second, 20 in each request, alone and while 16 other connections enrol; one process."""
    with folder() as path, ExitStack() as running:
        database = path / "abtest.db"
        create(database, metrics=("conversion:purchase", "amount:purchase"))
        server = running.enter_context(product(database))
        running.enter_context(checked(server))
        warm(server, 32)
        for enrolling in (False, True):
            name = "events in requests of 20, 32 connections" + (f", while {ENROLLING} enrol" if enrolling else "")
            say(name)
            before = _settled(server)
            beside = [start(server, "new", ENROLLING, plan.seconds)] if enrolling else []
            told = finish(start(server, "events", 32, plan.seconds))
            enrolled = sum(finish(each).rate for each in beside)
            _check_events(server.count("event") - before, told.requests)
            rate, note = EVENTS * told.rate / 1000, f"p99 {told.p99:.1f} ms"
            note += f"; beside them {enrolled:,.0f} new devices/s" if enrolling else ""
            goal = f">= {EVENTS_GOAL}" if enrolling else None
            yield Result(name, rate, "k/s", goal, rate >= EVENTS_GOAL if enrolling else None, note)


def soak(plan: Plan, say: Say) -> Iterator[Result]:
    """Ten minutes of known and new devices, 16 connections each, with the worker: memory and log stay bounded."""
    if not plan.full:
        return
    with folder() as path, ExitStack() as running:
        database = path / "abtest.db"
        create(database)
        server = running.enter_context(product(database))
        running.enter_context(checked(server))
        running.enter_context(counting(database))
        say(f"soak of {SOAK_SECONDS} s")
        loads = [start(server, case, 16, SOAK_SECONDS) for case in ("known", "new")]
        early, log = 0, 0
        began = time.monotonic()
        while loads[0].poll() is None:
            time.sleep(1)
            if not early and time.monotonic() - began > SOAK_SECONDS / 4:
                early = server.memory()
            log = max(log, Path(f"{database}-wal").stat().st_size)
        for each in loads:
            finish(each)
        growth = (server.memory() - early) / 1e6
        yield Result("soak: memory growth in the last three quarters", growth, "MB", "<= 30", growth <= 30)
        yield Result("soak: largest write-ahead log", log / 1e6, "MB", "<= 32", log <= 32e6)


CASES = (
    one_process,
    attributes,
    openfeature,
    who_takes_part,
    limits,
    two_processes,
    against_obvious,
    slow_disk,
    experiments,
    sizes,
    ten_million,
    memory,
    events,
    soak,
    postgres,
)


def _settled(server: Server) -> int:
    """The number of events, after those of the requests that were under way when the last load ended."""
    found, before = server.count("event"), -1
    while found != before:
        time.sleep(0.2)
        found, before = server.count("event"), found
    return found


def _check_events(stored: int, requests: int) -> None:
    """The events of every answered request must be stored; the events of requests still under way may be."""
    assert EVENTS * requests <= stored <= EVENTS * (requests + 32), f"{stored} events of {requests} requests"


def _grown(
    database: Path, sizes: Sequence[int], say: Say, how: str = "with five attributes", most_bytes: int = 106
) -> Iterator[Result]:
    """`most_bytes`: the goal, in bytes per device, so in megabytes per million devices."""
    first_tick = None
    for size in sizes:
        name = f"{size:,} devices {how}"
        say(name)
        filled = fill(database, size)
        bytes_then, ticks = filled["bytes"], filled["database_ms"]
        tick, enrolment = median(ticks), median(filled["enrolments_ms"])
        part = 100 * tick / enrolment
        note = f"{tick:.1f} ms ({min(ticks):.1f} to {max(ticks):.1f}) of {enrolment:.0f} ms"
        title = f"database time of a tick for 10,000 new devices, as a part of their enrolment time, {name}"
        yield Result(title, part, "%", "<= 1", part <= 1, note, tick)
        if first_tick is None:
            first_tick = tick
        else:
            grown = tick / first_tick
            goal, met = ("<= 1.2", grown <= 1.2) if size >= 10 * MILLION else (None, None)
            title = f"database time of a tick, compared with {sizes[0]:,} devices, {name}"
            yield Result(title, grown, "x", goal, met, note, tick)
        yield Result(f"whole tick for 10,000 new devices, {name}", median(filled["ticks_ms"]), "ms")
        if size >= MILLION:
            each = bytes_then / size
            yield Result(f"database per million devices, {name}", each, "MB", f"<= {most_bytes}", each <= most_bytes)
        began = time.monotonic()
        with product(database) as server:
            yield Result(f"start-up, {name}", time.monotonic() - began, "s")
            with checked(server):
                for page in ("/", "/api/v1/stats"):
                    yield Result(f"{page}, {name}", _page(server, page), "ms")


def _page(server: Server, path: str) -> float:
    """How many milliseconds the page takes, as the median of 20 requests."""
    times = []
    for _ in range(20):
        began = time.perf_counter()
        with urlopen(f"http://127.0.0.1:{server.port}{path}") as answer:
            answer.read()
        times.append(1000 * (time.perf_counter() - began))
    return median(times)
