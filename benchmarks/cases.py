"""What is measured. Every case also checks the answers: a wrong one fails the benchmark."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from urllib.request import urlopen

from benchmarks.load import Compared, Figures, finish, load, start
from benchmarks.servers import HERE, Server, abtest, ask, bare, create, folder, obvious, product

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """One line of the report. `goal` and `met` are None where the project has none."""

    name: str
    value: float
    unit: str
    goal: str | None = None
    met: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """How long and how often. Seconds per measurement, rounds of A B, and which sizes."""

    seconds: float
    rounds: int
    connections: tuple[int, ...]
    sizes: tuple[int, ...]
    million: bool
    soak: float


QUICK = Plan(seconds=2, rounds=2, connections=(32,), sizes=(10_000, 100_000), million=False, soak=0)
FULL = Plan(
    seconds=4, rounds=3, connections=(1, 32, 64, 256), sizes=(10_000, 1_000_000, 10_000_000), million=True, soak=600
)

RATE_GOALS = {("known", 32): 1.9, ("new", 32): 1.35, ("new", 64): 1.45, ("mixed", 32): 1.65}
P99_GOALS = {("known", 32): 0.6, ("new", 32): 0.9, ("mixed", 32): 0.7}


def against_bare(plan: Plan, say: Say) -> Iterator[Result]:
    """Known, new, and known while 16 connections enrol, at each number of connections."""
    with folder() as path, ExitStack() as running:
        create(path / "abtest.db")
        yardstick = running.enter_context(bare())
        server = running.enter_context(product(path / "abtest.db"))
        load(server, "known", 32, 1)
        before = [ask(server, f"known-{number:030d}") for number in range(50)]
        for case in ("known", "new", "mixed"):
            for connections in plan.connections:
                say(f"{case}, {connections} connections")
                compared = _rounds(plan, yardstick, partial(_product, plan, server, case, connections), connections)
                yield from _compared(f"{case} devices, {connections} connections", compared, case, connections)
        assert before == [ask(server, f"known-{number:030d}") for number in range(50)], "an answer changed"
        _verify(server)


def against_obvious(plan: Plan, say: Say) -> Iterator[Result]:
    """The obvious implementation, on a fast and on a slow disk."""
    for slow, cases in ((False, (("known", 32, 2.3), ("new", 32, 9.0))), (True, (("new", 32, 18.0),))):
        with folder() as path, ExitStack() as running:
            create(path / "abtest.db")
            yardstick = running.enter_context(obvious(path, slow=slow))
            server = running.enter_context(product(path / "abtest.db", slow=slow))
            for case, connections, goal in cases:
                disk = " on a 4 ms disk" if slow else ""
                say(f"{case} devices{disk} against the obvious implementation")
                for each in (yardstick, server):
                    load(each, "known", connections, 2)
                compared = _rounds(
                    plan, yardstick, partial(_product, plan, server, case, connections), connections, case
                )
                name = f"{case} devices{disk}, {connections} connections, against the obvious implementation"
                yield _ratio(name, compared, goal)
            _verify(server)


def slow_disk(plan: Plan, say: Say) -> Iterator[Result]:
    """New devices on a disk that takes 4 ms to sync, beside a bare server that stores nothing."""
    with folder() as path, ExitStack() as running:
        create(path / "abtest.db")
        yardstick = running.enter_context(bare())
        server = running.enter_context(product(path / "abtest.db", slow=True))
        for connections, goal in ((32, None), (256, 1.5)):
            say(f"new devices on a 4 ms disk, {connections} connections")
            compared = _rounds(plan, yardstick, partial(_product, plan, server, "new", connections), connections)
            yield _ratio(f"new devices on a 4 ms disk, {connections} connections", compared, goal)
        _verify(server)


def two_processes(plan: Plan, say: Say) -> Iterator[Result]:
    """Two server processes beside the load, nothing pinned, against one bare process."""
    with folder() as path, ExitStack() as running:
        create(path / "abtest.db")
        yardstick = running.enter_context(bare(core=None))
        server = running.enter_context(product(path / "abtest.db", core=None, processes=2))
        load(server, "known", 64, 1, core=None)
        for case, goal in (("known", 2.9), ("new", 1.75)):
            say(f"two processes, {case} devices")
            compared = _rounds(plan, yardstick, partial(load, server, case, 64, plan.seconds, None), 64, core=None)
            yield _ratio(f"two processes, {case} devices, 64 connections", compared, goal)
            if case == "new":
                yield _p99("two processes, new devices, 64 connections", compared, 0.7)
        _verify(server)


def experiments(plan: Plan, say: Say) -> Iterator[Result]:
    """New devices with one and with ten running experiments."""
    for number in (1, 10):
        with folder() as path, ExitStack() as running:
            create(path / "abtest.db", number)
            yardstick = running.enter_context(bare())
            server = running.enter_context(product(path / "abtest.db"))
            say(f"new devices, {number} experiments")
            compared = _rounds(plan, yardstick, partial(_product, plan, server, "new", 32), 32)
            yield _ratio(
                f"new devices, 32 connections, {number} experiment{'s' if number > 1 else ''}", compared, None
            )
            _verify(server)


def sizes(plan: Plan, say: Say) -> Iterator[Result]:
    """Database bytes, worker tick, pages and start-up as the number of devices grows."""
    with folder() as path:
        database = path / "abtest.db"
        create(database)
        for size in plan.sizes:
            say(f"{size:,} devices")
            line = [sys.executable, "-m", "benchmarks.fill", str(database), str(size)]
            filled = json.loads(
                subprocess.run(line, check=True, capture_output=True, text=True, cwd=HERE.parent).stdout
            )
            name = f"{size:,} devices"
            goal = 5.0
            yield Result(
                f"worker tick per 10,000 new, {name}", filled["tick_ms"], "ms", "<= 5", filled["tick_ms"] <= goal
            )
            if size >= 1_000_000:
                per_million = database.stat().st_size / size
                yield Result(f"database per million devices, {name}", per_million, "MB", "<= 125", per_million <= 125)
            began = time.monotonic()
            with product(database) as server:
                yield Result(f"start-up, {name}", time.monotonic() - began, "s")
                for page in ("/", "/api/v1/stats"):
                    yield Result(f"{page}, {name}", _page(server, page), "ms")


def memory(plan: Plan, say: Say) -> Iterator[Result]:
    """What one process holds after it answered a million known devices."""
    if not plan.million:
        return
    with folder() as path:
        database = path / "abtest.db"
        create(database)
        line = [sys.executable, "-m", "benchmarks.fill", str(database), "1000000"]
        subprocess.run(line, check=True, capture_output=True, cwd=HERE.parent)
        with product(database) as server:
            say("memory after a million known devices")
            load(server, "million", 64, 1_000_000 / 12_000 + 15)
            asked = server.metric('abtest_answer_seconds_count{source="store"}')
            assert asked >= 1_000_000, f"only {asked:,.0f} devices were asked"
            resident = server.memory() / 1e6
            yield Result("memory after a million known devices", resident, "MB", "<= 150", resident <= 150)


def soak(plan: Plan, say: Say) -> Iterator[Result]:
    """Known and new devices for a long time: memory and the write-ahead log stay bounded."""
    if not plan.soak:
        return
    with folder() as path, ExitStack() as running:
        database = path / "abtest.db"
        create(database)
        server = running.enter_context(product(database))
        say(f"soak of {plan.soak:g} s")
        loads = [start(server, case, 16, plan.soak) for case in ("known", "new")]
        early, log = 0, 0
        began = time.monotonic()
        while loads[0].poll() is None:
            time.sleep(1)
            if not early and time.monotonic() - began > plan.soak / 4:
                early = server.memory()
            log = max(log, Path(f"{database}-wal").stat().st_size)
        for each in loads:
            finish(each)
        growth = (server.memory() - early) / 1e6
        yield Result("soak: memory growth in the last three quarters", growth, "MB", "<= 30", growth <= 30)
        yield Result("soak: largest write-ahead log", log / 1e6, "MB", "<= 32", log <= 32e6)
        _verify(server)


CASES = (against_bare, against_obvious, slow_disk, two_processes, experiments, sizes, memory, soak)


def _rounds(
    plan: Plan,
    yardstick: Server,
    measure: Callable[[], Figures],
    connections: int,
    case: str = "known",
    core: int | None = 1,
) -> Compared:
    pairs = [(load(yardstick, case, connections, plan.seconds, core), measure()) for _ in range(plan.rounds)]
    return Compared(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def _product(plan: Plan, server: Server, case: str, connections: int) -> Figures:
    if case != "mixed":
        return load(server, case, connections, plan.seconds)
    enrolling = start(server, "new", 16, plan.seconds)
    figures = load(server, "known", connections, plan.seconds)
    enrolled = finish(enrolling)
    # What wrk counts for the devices that enrol is work of the same server in the same time.
    return Figures(figures.rate + enrolled.rate, figures.p99)


def _compared(name: str, compared: Compared, case: str, connections: int) -> Iterator[Result]:
    yield _ratio(name, compared, RATE_GOALS.get((case, connections)))
    yield _p99(name, compared, P99_GOALS.get((case, connections)))


def _ratio(name: str, compared: Compared, goal: float | None) -> Result:
    ratio = compared.rate_ratio
    note = f"{compared.rate:,.0f}/s; yardstick's spread {100 * compared.spread:.0f} %"
    return Result(f"{name}: requests/s", ratio, "x", goal and f">= {goal:g}", goal and ratio >= goal, note)


def _p99(name: str, compared: Compared, goal: float | None) -> Result:
    ratio = compared.p99_ratio
    return Result(
        f"{name}: p99", ratio, "x", goal and f"<= {goal:g}", goal and ratio <= goal, f"{compared.p99:.2f} ms"
    )


def _verify(server: Server) -> None:
    assert server.database is not None
    abtest(server.database, "worker", "--once")
    verified = json.loads(abtest(server.database, "verify", "--json"))
    assert verified["broken"] == 0, verified["findings"]


def _page(server: Server, path: str) -> float:
    """Milliseconds, median of 20."""
    times = []
    for _ in range(20):
        began = time.perf_counter()
        with urlopen(f"http://127.0.0.1:{server.port}{path}") as answer:
            answer.read()
        times.append(1000 * (time.perf_counter() - began))
    return median(times)
