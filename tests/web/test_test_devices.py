"""Test devices, over real HTTP."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from tornado.httpclient import HTTPResponse
from tornado.ioloop import IOLoop

from abtest.bootstrap import wired
from abtest.domain import Type
from abtest.domain.experiments import NewExperiment, Variant
from abtest.management import TestDeviceService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA, answers, experiment, figure

PATH = "/api/v1/experiments"
FLAGS = "/ofrep/v1/evaluate/flags"
JSON = {"Content-Type": "application/json"}
CHOSEN = {"page": '{"b":[1, 9.5]}', "price": "9.5"}


@pytest.fixture
def settings() -> Settings:
    return Settings(trusted_proxies="127.0.0.1", new_per_source=0.01, new_per_source_burst=1)


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    """An experiment for iPhones, one with numbers, and a draft with JSON; `phone` has values of the last two."""
    store = SQLiteStore(tmp_path / "abtest.db")
    io_loop.run_sync(store.open)
    prices, pages = (
        tuple(Variant(value, Decimal(1)) for value in values) for values in (("10", "9.5"), ("[]", '{"b":[1, 9.5]}'))
    )
    made = [
        experiment("banner", "1", "1", audience=("platform=ios",)),
        NewExperiment("price", prices, type=Type.NUMBER),
        NewExperiment("page", pages, type=Type.JSON, draft=True),
    ]
    io_loop.run_sync(lambda: store.add(made, 1))
    io_loop.run_sync(lambda: TestDeviceService(store, by=ANNA).add("phone", CHOSEN, "Anna's <phone>"))
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def app(store: SQLiteStore, settings: Settings) -> HotServer:
    return make_app(wired(store, settings))


async def ask(client: Client, path: str = PATH, method: str = "GET", **headers: str) -> HTTPResponse:
    return await client.fetch(path, method=method, headers={"Device-Token": "phone"} | headers)


async def evaluate(client: Client, key: str = "") -> HTTPResponse:
    body = msgspec.json.encode({"context": {"targetingKey": "phone", "platform": "ios"}})
    return await client.fetch(f"{FLAGS}{key}", method="POST", headers=JSON, body=body)


async def test_it_is_known_and_its_attributes_change_nothing(client: Client) -> None:
    head = await ask(client, method="HEAD")
    got = await ask(client, f"{PATH}?platform=ios&country=DE")
    assert (head.code, head.body, got.code) == (200, b"", 200)
    assert list(msgspec.json.decode(got.body).items()) == list(CHOSEN.items())
    assert head.headers["ETag"] == got.headers["ETag"]


async def test_a_change_gives_another_etag_and_then_304(client: Client, store: SQLiteStore) -> None:
    before = await ask(client)
    assert (await ask(client, **{"If-None-Match": before.headers["ETag"]})).code == 304
    await TestDeviceService(store, by=ANNA).add("phone", {"price": "10"}, "")
    await client.server.app.enrolment.refresh()
    after = await ask(client, **{"If-None-Match": before.headers["ETag"]})
    assert (after.code, after.body) == (200, b'{"price":"10"}')
    assert (await ask(client, **{"If-None-Match": after.headers["ETag"]})).code == 304
    await TestDeviceService(store, by=ANNA).remove("phone")
    await client.server.app.enrolment.refresh()
    assert (await ask(client, method="HEAD", **{"If-None-Match": after.headers["ETag"]})).code == 404


async def test_flags_have_the_types_of_their_experiments(client: Client) -> None:
    all_flags = await evaluate(client)
    assert all_flags.body.decode() == (
        '{"flags":['
        '{"key":"page","value":{"b":[1,9.5]},"reason":"SPLIT","variant":"{\\"b\\":[1, 9.5]}"},'
        '{"key":"price","value":9.5,"reason":"SPLIT","variant":"9.5"}]}'
    )
    assert msgspec.json.decode((await evaluate(client, "/price")).body)["value"] == 9.5
    assert msgspec.json.decode((await evaluate(client, "/banner")).body)["reason"] == "DEFAULT"


async def test_limits_on_new_devices_do_not_count_it(client: Client) -> None:
    phone = {"X-Forwarded-For": "192.0.2.1"}
    for _ in range(3):
        client.server.app.enrolment._cache.clear()
        assert (await ask(client, **phone)).code == 200
    assert (await ask(client, **phone | {"Device-Token": "new"})).code == 200
    assert (await ask(client, **phone | {"Device-Token": "another"})).code == 429
    client.server.app.enrolment._cache.clear()
    assert (await ask(client, **phone)).code == 200
    assert figure((await client.fetch("/metrics")).body, "abtest_new_devices_total") == 1


async def test_its_events_are_answered_and_not_stored(client: Client, store: SQLiteStore) -> None:
    events = [{"id": "1", "name": "purchase"}, {"id": "2", "name": "exposure", "experiment": "price"}]
    for _ in range(2):
        body = msgspec.json.encode({"events": events})
        sent = await client.fetch(
            "/api/v1/events", method="POST", headers=JSON | {"Device-Token": "phone"}, body=body
        )
        assert (sent.code, msgspec.json.decode(sent.body)) == (202, {"accepted": 2, "duplicates": 0})
    assert (await store.event_ledger()).last_event == 0


async def test_the_page_of_an_experiment_says_how_many_there_are(client: Client, store: SQLiteStore) -> None:
    async def page(key: str) -> str:
        return " ".join((await client.fetch(f"/experiments/{key}")).body.decode().split())

    assert "1 test device has a value for it; it is not counted.</p>" in await page("price")
    assert "test device" not in await page("banner")
    await answers(store, ["a", "b"])
    for token, said in (
        (
            "a",
            "2 test devices have a value for it; they are not counted. 1 of them was a device before: it keeps its",
        ),
        ("b", "3 test devices have a value for it; they are not counted. 2 of them were devices before: they keep"),
    ):
        await TestDeviceService(store, by=ANNA).add(token, {"price": "10"}, "")
        assert said in await page("price")
