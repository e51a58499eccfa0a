"""What is kept as the token of a device in one app is no token in another."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tornado.httpclient import HTTPResponse
from tornado.ioloop import IOLoop

from abtest.bootstrap import wired
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import experiment, new

PATH = "/api/v1/experiments"
FLAGS = "/ofrep/v1/evaluate/flags"
SECRET = "2 device"


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    """An experiment in the app `staging`, whose number is 2."""
    store = SQLiteStore(new(tmp_path / "abtest.db"))
    io_loop.run_sync(store.open)
    io_loop.run_sync(lambda: store.add_app("staging", 1))
    io_loop.run_sync(lambda: store.add([experiment("color", "1", "1")], 1, app="staging"))
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def app(store: SQLiteStore, settings: Settings) -> HotServer:
    return make_app(wired(store, settings))


async def get(client: Client, token: str, path: str = PATH, method: str = "GET") -> HTTPResponse:
    return await client.fetch(path, method=method, headers={"Device-Token": token})


async def flags(client: Client, token: str) -> HTTPResponse:
    body = msgspec.json.encode({"context": {"targetingKey": token}})
    return await client.fetch(FLAGS, method="POST", headers={"Content-Type": "application/json"}, body=body)


async def test_no_client_reaches_a_device_of_another_app(client: Client) -> None:
    there = await get(client, "device", f"/apps/staging{PATH}")
    assert b"color" in there.body
    for method in ("GET", "HEAD"):
        assert (await get(client, SECRET, method=method)).code == 400
    answer = await flags(client, SECRET)
    assert (answer.code, msgspec.json.decode(answer.body)["errorCode"]) == (400, "INVALID_CONTEXT")
    assert b"color" not in answer.body
