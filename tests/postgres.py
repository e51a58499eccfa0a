"""A throw-away PostgreSQL, for the tests that need one; without it they are skipped."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

USER = "postgres"
MEMORY = Path("/dev/shm")  # where a sync takes no time, and is done all the same
OPTIONS = "-c listen_addresses= -c max_connections=60 -c shared_buffers=32MB"

numbers = count()


def programs() -> Path:
    """The folder of PostgreSQL's own programs, of the newest version that there is."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found += [Path(path) for path in [shutil.which("initdb")] if path]
    if not found:
        pytest.skip("no PostgreSQL: install Debian's postgresql, or set ABTEST_TEST_POSTGRES to a server's URL")
    return max(found, key=lambda path: (path.parent.parent.name.isdigit(), path.parent.parent.name)).parent


@contextmanager
def running() -> Iterator[str]:
    """The URL of a server that may make databases: the one that is named, or a new one until the end of the block."""
    if named := os.environ.get("ABTEST_TEST_POSTGRES"):
        yield named
        return
    # PostgreSQL refuses to run as root.
    user = USER if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="abtest-postgres-", dir=MEMORY if MEMORY.is_dir() else None))
    if user:
        shutil.chown(folder, user)
    bin, data = programs(), folder / "data"

    def run(*command: object) -> None:
        subprocess.run([str(each) for each in command], user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    try:
        run(bin / "initdb", "-D", data, "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        run(bin / "pg_ctl", "start", "-w", "-D", data, "-l", folder / "log", "-o", f"{OPTIONS} -k {folder}")
        try:
            yield f"postgresql://{USER}@/postgres?host={folder}"
        finally:
            run(bin / "pg_ctl", "stop", "-w", "-m", "immediate", "-D", data)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The URL of an empty database."""
    with new_database(postgres) as url:
        yield url
