"""A throw-away PostgreSQL, for the tests that need one; without it they are skipped."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from abtest.store.postgres import PostgresStore

USER = "postgres"
MEMORY = Path("/dev/shm")  # a folder in memory, where a sync is done but takes no time
OPTIONS = "-c listen_addresses= -c max_connections=60 -c shared_buffers=32MB"

numbers = count()


def programs() -> Path:
    """The folder of PostgreSQL's own programs, of the newest version that is installed."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found += [Path(path) for path in [shutil.which("initdb")] if path]
    if not found:
        pytest.skip("no PostgreSQL: install Debian's postgresql, or set ABTEST_TEST_POSTGRES to a server's URL")
    return max(found, key=lambda path: (path.parent.parent.name.isdigit(), path.parent.parent.name)).parent


class Server:
    """A PostgreSQL server in a folder of its own, which also has its socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.url = f"postgresql://{USER}@/postgres?host={folder}"

    def make(self) -> "Server":
        """Make an empty cluster."""
        self.run(
            "initdb", "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "-k", "--no-sync", "-D", self.data
        )
        return self

    def follow(self, primary: "Server") -> "Server":
        """Make this a standby of another server, with all that it has."""
        self.run("pg_basebackup", "-d", primary.url, "-D", self.data, "-R", "-c", "fast", "--no-sync")
        return self

    def rewind(self, primary: "Server") -> None:
        """Make this stopped server, which was the primary, a standby: what only it has is dropped."""
        primary.execute("CHECKPOINT")  # before that, the other server's files don't say that it became the primary
        self.run("pg_rewind", "--source-server", primary.url, "-D", self.data, "-R", "--no-sync")

    def start(self) -> None:
        """Start the server, and wait until it is ready."""
        self.run(
            "pg_ctl", "start", "-w", "-D", self.data, "-l", self.folder / "log", "-o", f"{OPTIONS} -k {self.folder}"
        )

    def stop(self) -> None:
        """Stop as kill -9 does: what was not synced is lost, and nobody is told."""
        self.run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", self.data)

    def promote(self) -> None:
        """Make this standby the primary."""
        self.run("pg_ctl", "promote", "-w", "-D", self.data)

    def processes(self) -> list[int]:
        """The ids of its processes, beginning with the parent of all others; none when it is stopped."""
        found = []
        for each in Path("/proc").glob("[0-9]*/cwd"):
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if each.readlink() == self.data:
                    found.append(int(each.parent.name))
        with suppress(FileNotFoundError):
            first = int((self.data / "postmaster.pid").read_text().split()[0])
            found.sort(key=lambda pid: pid != first)
        return found

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement outside any transaction; returns its rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def configure(self, **settings: object) -> None:
        """Change these settings of the server."""
        for name, value in settings.items():
            self.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        self.execute("SELECT pg_reload_conf()")

    def run(self, program: str, *arguments: object) -> None:
        """Run one of PostgreSQL's programs; not as root, which they refuse."""
        subprocess.run(
            [programs() / program, *map(str, arguments)],
            user=USER if os.geteuid() == 0 else None,
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )


class Pair:
    """A primary and its standby. Commits wait for the standby only if they are told to."""

    def __init__(self, first: Path, second: Path) -> None:
        self.primary, self.standby = Server(first).make(), Server(second)
        self.primary.start()
        self.standby.follow(self.primary).start()
        self.url = f"{self.primary.url},{second}"

    def wait_for_standby(self, name: str = "*") -> None:
        """From now on, let commits wait until the standby has them too; without a name, no longer."""
        self.primary.configure(synchronous_standby_names=name)

    def catch_up(self) -> None:
        """Wait until the standby has all that the primary has."""
        ((end,),) = self.primary.execute("SELECT pg_current_wal_insert_lsn()")
        while self.standby.execute(f"SELECT pg_last_wal_replay_lsn() < '{end}'") == [(True,)]:
            time.sleep(0.01)

    def fail_over(self) -> None:
        """Kill the primary; the standby takes its place."""
        self.primary.stop()
        self.standby.promote()

    def stop(self) -> None:
        """Stop the servers that run."""
        for each in (self.standby, self.primary):
            if each.processes():
                each.stop()


@contextmanager
def new_folder() -> Iterator[Path]:
    """A folder in which PostgreSQL may write, until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="abtest-postgres-", dir=MEMORY if MEMORY.is_dir() else None))
    if os.geteuid() == 0:
        shutil.chown(folder, USER)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running() -> Iterator[str]:
    """The URL of a server that can create databases: of ABTEST_TEST_POSTGRES, or of a new one for the block."""
    if named := os.environ.get("ABTEST_TEST_POSTGRES"):
        yield named
        return
    with new_folder() as folder:
        server = Server(folder).make()
        server.start()
        try:
            yield server.url
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server."""
    with running() as url:
        yield url


@contextmanager
def new_database(server: str, template: str = "template1") -> Iterator[str]:
    """The URL of a new database until the end of the block."""
    name = f"abtest_{os.getpid()}_{next(numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        try:
            yield urlsplit(server)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """The name of a database with the store's tables: copying it takes a third of the time that making them takes."""

    async def make(store: PostgresStore) -> None:
        await store.open()
        await store.close()

    with new_database(postgres) as url:
        asyncio.run(make(PostgresStore(url)))
        yield urlsplit(url).path[1:]


@pytest.fixture
def bare_database(postgres: str) -> Iterator[str]:
    """The URL of a database without any tables."""
    with new_database(postgres) as url:
        yield url


@pytest.fixture
def database(postgres: str, template: str) -> Iterator[str]:
    """The URL of a database with the store's tables, and nothing in them."""
    with new_database(postgres, template) as url:
        yield url
