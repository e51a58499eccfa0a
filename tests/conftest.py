"""Fixtures: real files, real loops. pytest-tornasync runs `async def` tests on the `io_loop` fixture."""

import asyncio
import gc
import os
import signal
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner, Result
from hypothesis import settings as hypothesis_settings
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.ioloop import IOLoop

from abtest.bootstrap import wired
from abtest.commands import abtest
from abtest.management import credentials
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from abtest.web.server import Server, listen, open_port, port_of, stop_serving
from tests.scenes import new

Run = Callable[..., Result]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it was written for pytest 5: two old marks, one old decorator
    from pytest_tornasync import plugin as tornasync

for hook in (tornasync.pytest_pycollect_makeitem, tornasync.pytest_pyfunc_call):
    hook.__dict__.pop("pytestmark", None)


pytest_plugins = ("tests.browsers", "tests.postgres", "tests.stores")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(tornasync, "tornasync-adapted")
    # How long an example takes depends on how busy the machine is.
    hypothesis_settings.register_profile("untimed", deadline=None)
    hypothesis_settings.load_profile("untimed")
    # With this setting of the machine, each of several hundred processes would compile the product anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # A shell lets what it starts in the background ignore SIGINT, and so would every process that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What all tests share stays until the end: searching it for garbage takes a tenth of a second each time."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def quick_passwords() -> Iterator[None]:
    """Make hashing a password cheap: at the product's cost, it was a tenth of the work of all tests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(credentials, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture
def io_loop(request: pytest.FixtureRequest) -> Iterator[IOLoop]:
    """A new loop for each test, never the "current" one; tests that use the browser get its loop."""
    if "browser" in request.fixturenames:
        yield request.getfixturevalue("browser_loop")
        return
    asyncio_loop = asyncio.new_event_loop()
    loop = IOLoop(asyncio_loop=asyncio_loop, make_current=False)
    yield loop
    loop.close(all_fds=True)


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    """A store of an empty database."""
    store = SQLiteStore(new(tmp_path / "abtest.db"))
    io_loop.run_sync(store.open)
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs command lines as typed, in the test's own folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(abtest, arguments)

    return run


class Client:
    """Asks one server; an error status is an answer, not an exception."""

    def __init__(self, server: Server, address: str) -> None:
        self.server = server
        self.address = address
        self._http = AsyncHTTPClient(force_instance=True)

    async def fetch(self, path: str, **options: Any) -> HTTPResponse:
        return await self._http.fetch(self.address + path, raise_error=False, follow_redirects=False, **options)

    async def send(self, request: bytes) -> bytes:
        """What the server sends back for these bytes until it closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.address.rpartition(":")[2]))
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer

    def close(self) -> None:
        self._http.close()


@asynccontextmanager
async def serving(store: SQLiteStore, settings: Settings) -> AsyncIterator[Client]:
    """A client of a server on this store, within a block."""
    sockets = open_port(settings.address, 0)
    server = listen(make_app(wired(store, settings)), settings, sockets)
    client = Client(server, f"http://127.0.0.1:{port_of(sockets)}")
    try:
        yield client
    finally:
        client.close()
        await stop_serving(server)


@pytest.fixture
def settings() -> Settings:
    """The settings of the server behind `client`. How long a request waits depends on how busy the machine is."""
    return Settings(deadline=600)


@pytest.fixture
def client(io_loop: IOLoop, app: HotServer, settings: Settings) -> Iterator[Client]:
    """A client of the `app` fixture behind a real port. Everything is made inside the test's own loop."""

    async def start() -> tuple[Server, Client]:
        sockets = open_port(settings.address, 0)
        server = listen(app, settings, sockets)
        return server, Client(server, f"http://127.0.0.1:{port_of(sockets)}")

    server, client = io_loop.run_sync(start)
    yield client
    client.close()
    io_loop.run_sync(lambda: stop_serving(server))
