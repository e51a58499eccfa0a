"""When the demo page is on."""

from http.client import HTTPConnection
from pathlib import Path
from urllib.robotparser import RobotFileParser

import pytest

from abtest.bootstrap import prepare, wired, with_demo
from abtest.management.experiments import ExperimentService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.processes import SECONDS, Abtest, run, wait_until_answering
from tests.scenes import ANNA, experiment, opened


@pytest.fixture
def app(store: SQLiteStore, request: pytest.FixtureRequest) -> HotServer:
    return make_app(wired(store, Settings(demo=request.param)))


@pytest.mark.parametrize("app", ["auto", "off"], indirect=True)
async def test_a_server_alone_has_no_demo_unless_asked(client: Client) -> None:
    answer = await client.fetch("/demo")
    assert (answer.code, b'href="/demo"' in answer.body) == (404, False)
    assert b'href="/demo"' not in (await client.fetch("/")).body


@pytest.mark.parametrize("app", ["on"], indirect=True)
async def test_where_it_is_on_every_page_links_to_it(client: Client) -> None:
    assert (await client.fetch("/demo")).code == 200
    for path in ("/", "/plan", "/experiments/nothing"):
        assert b'href="/demo"' in (await client.fetch(path)).body


@pytest.mark.parametrize("app", ["on"], indirect=True)
async def test_crawlers_are_kept_from_making_devices(client: Client) -> None:
    demo, robots = await client.fetch("/demo"), await client.fetch("/robots.txt")
    assert demo.headers["X-Robots-Tag"] == "noindex"
    assert b"noindex" not in demo.body  # it is said once
    assert (robots.code, robots.headers["Content-Type"]) == (200, "text/plain; charset=UTF-8")
    parser = RobotFileParser()
    parser.parse(robots.body.decode().splitlines())
    for path in ("/demo", "/simulate?devices=600", "/api/v1/experiments", "/ofrep/v1/evaluate/flags"):
        assert not parser.can_fetch("anybody", path)
    assert parser.can_fetch("anybody", "/docs")


async def test_up_decides_by_its_demo_experiments(tmp_path: Path) -> None:
    settings = Settings(database=f"sqlite:///{tmp_path}/abtest.db")
    assert with_demo(settings, await prepare(settings, ANNA)).demo == "on"
    async with opened(tmp_path / "abtest.db") as store:
        await ExperimentService(store, by=ANNA).archive("price")
    there = await prepare(settings, ANNA)
    assert with_demo(settings, there).demo == "off"
    assert with_demo(Settings(demo="on"), there).demo == "on"


async def test_up_on_a_database_of_somebody_elses_experiments_has_no_demo(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("color", "1", "1")], 1)
    settings = Settings(database=f"sqlite:///{tmp_path}/abtest.db")
    assert with_demo(settings, await prepare(settings, ANNA)).demo == "off"


@pytest.mark.parametrize(("command", "status"), [("up", 200), ("serve", 404), ("serve --demo on", 200)])
def test_each_command_serves_it_as_it_says(tmp_path: Path, command: str, status: int) -> None:
    arguments = [*command.split(), "--port", "0", "--processes", "1"]
    with Abtest(tmp_path / "abtest.db", *arguments) as abtest:
        port = abtest.port()
        wait_until_answering(port)
        connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        connection.request("GET", "/demo")
        assert connection.getresponse().status == status
        connection.close()


def test_another_word_is_refused(tmp_path: Path) -> None:
    ended = run(tmp_path / "abtest.db", "serve", "--demo", "maybe")
    assert (ended.returncode, "'maybe' is not one of 'auto', 'on', 'off'" in ended.stderr) == (2, True)
