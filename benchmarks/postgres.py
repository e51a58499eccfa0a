"""What is measured with PostgreSQL, which runs on the same cores as everything else."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psycopg

from benchmarks.load import Compared, Figures, finish, load, start, warm
from benchmarks.plans import Plan, Result, Say, p99, rate, rounds
from benchmarks.servers import HERE, Server, abtest, bare, checked, create, fill, folder, product
from tests.postgres import USER, new_database
from tests.postgres import Server as Cluster

OPTIONS = "-c listen_addresses= -c max_connections=100 -c shared_buffers=256MB"
SOCKET = ".s.PGSQL.5432"
FAR = 0.001
"""How many seconds PostgreSQL is away, each way."""


def postgres(plan: Plan, say: Say) -> Iterator[Result]:
    """PostgreSQL on the same two cores: compared with SQLite, with the bare handler, and with itself 1 ms away."""
    with _cluster() as near, folder() as path, _away(near, path) as far:
        yield from _near(plan, say, near, path)
        yield from _far(plan, say, near, far)
        yield from _grown(plan, say, near, path)


def _near(plan: Plan, say: Say, near: str, path: Path) -> Iterator[Result]:
    with new_database(near) as url, ExitStack() as running:
        create(path / "abtest.db")
        create(url)
        yardstick = running.enter_context(bare())
        in_sqlite, server = (running.enter_context(product(each)) for each in (path / "abtest.db", url))
        running.enter_context(checked(server))
        for each in (in_sqlite, server):
            warm(each, 32)
        name = "known devices in PostgreSQL, 32 connections, compared with SQLite"
        say(name)
        yield rate(name, rounds(plan, in_sqlite, server, "known", 32), 0.95)
        name = "new devices in PostgreSQL, 64 connections"
        say(name)
        compared = rounds(plan, yardstick, server, "new", 64)
        yield rate(name, compared, 0.9)
        yield p99(name, compared, None)


def _far(plan: Plan, say: Say, near: str, far: str) -> Iterator[Result]:
    with new_database(near) as url, ExitStack() as running:
        create(url)
        away = url.replace(near.partition("?")[2], far.partition("?")[2])
        here, one, two = (running.enter_context(product(each, core=None)) for each in (url, away, away))
        for each in (one, two):
            running.enter_context(checked(each))
        name = "new devices, 256 connections, PostgreSQL 1 ms away, compared with it beside the server"
        say(name)
        yield rate(name, rounds(plan, here, one, "new", 256, core=None), 0.8)
        name = "two servers, 256 connections each, PostgreSQL 1 ms away, compared with one"
        say(name)
        pairs = [
            (load(one, "new", 256, plan.seconds, core=None), _both(one, two, plan.seconds))
            for _ in range(plan.rounds)
        ]
        yield rate(name, Compared(tuple(a for a, _ in pairs), tuple(b for _, b in pairs)), 1.5)


def _both(one: Server, two: Server, seconds: float) -> Figures:
    """Both servers under load at once."""
    found = [finish(each) for each in [start(each, "new", 256, seconds, core=None) for each in (one, two)]]
    return Figures(sum(each.rate for each in found), max(each.p99 for each in found), sum(e.requests for e in found))


def _grown(plan: Plan, say: Say, near: str, path: Path) -> Iterator[Result]:
    """Copying, verifying and the size of a database, with devices that have five attributes."""
    database, size = path / "grown.db", plan.sizes[-1]
    create(database)
    say(f"{size:,} devices in PostgreSQL")
    fill(database, size)
    with new_database(near) as url:
        took = _seconds(partial(abtest, database, "db", "copy", url))
        yield Result(f"db copy from SQLite to PostgreSQL with both verifications, {size:,} devices", took, "s")
        in_sqlite, here = (_seconds(partial(abtest, each, "verify")) for each in (database, url))
        ratio = here / in_sqlite
        title = f"abtest verify in PostgreSQL, compared with SQLite, {size:,} devices"
        yield Result(title, ratio, "x", "<= 2", ratio <= 2, f"{here:.1f} s", here)
        with psycopg.connect(url) as connection:
            ((held, devices),) = connection.execute(
                "SELECT pg_database_size(current_database()), number FROM last_number WHERE name = 'device'"
            )
        each = held / devices
        goal, met = ("<= 300", each <= 300) if plan.full else (None, None)
        yield Result(f"PostgreSQL per million devices, {size:,} devices", each, "MB", goal, met)


@contextmanager
def _cluster() -> Iterator[str]:
    """Run a PostgreSQL on the disk of the checkout; gives its URL."""
    with folder() as path:
        shutil.chown(path, USER)
        cluster = Cluster(path).make()
        options = f"{OPTIONS} -k {path}"
        cluster.run("pg_ctl", "start", "-w", "-D", cluster.data, "-l", path / "log", "-o", options)
        try:
            yield cluster.url
        finally:
            cluster.stop()


@contextmanager
def _away(near: str, path: Path) -> Iterator[str]:
    """Make the same PostgreSQL seem 1 ms away; gives that URL."""
    socket = Path(near.partition("host=")[2]) / SOCKET
    line = [sys.executable, "-m", "benchmarks.distance", path / SOCKET, socket, FAR]
    process = subprocess.Popen(list(map(str, line)), cwd=HERE.parent)
    try:
        while not (path / SOCKET).exists():
            time.sleep(0.02)
        yield near.replace(str(socket.parent), str(path))
    finally:
        process.terminate()
        process.wait()


def _seconds(function: Callable[[], object]) -> float:
    began = time.monotonic()
    function()
    return time.monotonic() - began
