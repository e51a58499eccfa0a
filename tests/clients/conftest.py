"""Fixtures: a real server, a network in front of it, and phones of each language."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from abtest.domain.experiments import NewExperiment, Variant
from abtest.domain.values import Type
from abtest.store.sqlite.driver import open_raw
from tests.clients.driving import BUILDERS, Driver, Phone, command
from tests.clients.network import Network, network
from tests.processes import Abtest, wait_until_answering
from tests.scenes import experiment, opened

AWKWARD = ('{"a":"\\\\u0041\\"}\n\t\u2028\u00fc\U0001f600,' * 20)[:256]
TYPED = [
    ("price", Type.NUMBER, "9.50", "1"),
    ("free", Type.BOOLEAN, "true", "false"),
    ("page", Type.JSON, '{"a":[1,2]}', "0"),
    ("words", Type.STRING, "ten", "two"),
    ("awkward", Type.STRING, AWKWARD, "plain"),
]
EVENTS = """
SELECT name, amount, experiment, value, event_id FROM event JOIN device_token USING (device_id)
WHERE token = ? ORDER BY event.id
"""


class Product:
    """A server with the experiment `color`, whose two values have half of the devices each, and some of each type, in
    which every device gets the same value."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "abtest.db"
        asyncio.run(self._prepare())

    def events(self, token: str) -> list[tuple[Any, ...]]:
        """The stored events of a device: name, amount, experiment, value and id."""
        with closing(open_raw(self.database)) as connection:
            return list(connection.execute(EVENTS, (token,)).fetchall())

    async def _prepare(self) -> None:
        async with opened(self.database) as store:
            await store.add([experiment("color", "1", "1"), experiment("sure", "1", "0")], 1)
            for key, type, value, other in TYPED:
                variants = (Variant(value, Decimal(1)), Variant(other, Decimal(0)))
                await store.add([NewExperiment(key, variants, type=type)], 1)
            await store.add_app("staging", 1)
            await store.add([experiment("staged", "1", "0")], 1, app="staging")


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Product:
    return Product(tmp_path_factory.mktemp("product"))


@pytest.fixture(scope="session")
def port(product: Product) -> Iterator[int]:
    with Abtest(product.database, "serve", "--port", "0", "--processes", "1") as abtest:
        port = abtest.port()
        wait_until_answering(port)
        yield port


@pytest.fixture
def net(port: int) -> Iterator[Network]:
    with network(port) as made:
        yield made


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """The command of a language's driver, built once for all test processes."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return lambda language: command(language, shared)


@pytest.fixture(params=BUILDERS)
def language(request: pytest.FixtureRequest, drivers: Callable[[str], list[str]]) -> list[str]:
    """The command of each language's driver."""
    return drivers(request.param)


@pytest.fixture
def driver(language: list[str]) -> Iterator[Callable[[], Driver]]:
    """Starts processes of the language, and ends them after the test."""
    started: list[Driver] = []

    def start() -> Driver:
        started.append(Driver(language))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture
def phone(driver: Callable[[], Driver], net: Network, tmp_path: Path) -> Callable[..., Phone]:
    """Starts the app: each call is a new process on the same folder. `path`: of its app on the server."""

    def start(path: str = "", **settings: float) -> Phone:
        return Phone(driver(), net.url + path, tmp_path / "phone", **settings)

    return start
