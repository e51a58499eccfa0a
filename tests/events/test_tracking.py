"""POST /api/v1/events, over real HTTP, and what is read strictly."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httpclient import HTTPResponse
from tornado.ioloop import IOLoop

from abtest.bootstrap import wired
from abtest.domain.events import Event
from abtest.errors import InvalidEvent, InvalidJson
from abtest.events import TrackingService
from abtest.events.parsing import parse_amount, parse_events
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import experiment, new, until

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    opened = SQLiteStore(new(tmp_path / "abtest.db"))
    io_loop.run_sync(opened.open)
    io_loop.run_sync(lambda: opened.add([experiment("color", "1", "1")], 1))
    io_loop.run_sync(lambda: opened.enrol(["phone", "tablet"], 1))
    yield opened
    io_loop.run_sync(opened.close)


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings()))


async def send(client: Client, body: Any, token: str = "phone", headers: dict[str, str] = JSON) -> HTTPResponse:
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return await client.fetch(
        "/api/v1/events", method="POST", body=content, headers=headers | {"Device-Token": token}
    )


def event(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "name": "purchase"} | more


def shown(value: Any) -> dict[str, Any]:
    return {"id": "a", "name": "exposure", "experiment": "color", "value": value}


async def stored(store: SQLiteStore) -> list[tuple[Any, ...]]:
    read = "SELECT device_id, event_id, name, experiment, amount, at, value FROM event ORDER BY id"
    return await store.read(lambda connection: connection.execute(read).fetchall())


@pytest.mark.parametrize("value", ["", "a" * 257, "é" * 4_096])
async def test_an_exposure_may_say_any_text(client: Client, store: SQLiteStore, value: str) -> None:
    assert (await send(client, {"events": [shown(value)]})).code == 202
    assert [row[-1] for row in await stored(store)] == [value]


async def test_no_more_is_stored_of_a_text_than_a_value_can_take(client: Client, store: SQLiteStore) -> None:
    assert (await send(client, {"events": [shown("a" * 10_000)]})).code == 202
    assert [row[-1] for row in await stored(store)] == ["a" * 4_096]


async def test_events_are_stored_with_exact_amounts_and_both_times(client: Client, store: SQLiteStore) -> None:
    sent = [
        event("a", amount="9.99", at="2026-11-23T10:00:00Z"),
        event("b", amount=0.1, at="2026-11-23T12:00:00.5+02:00"),
        event("c", amount="-999999999999.9999"),
        {"id": "d", "name": "exposure", "experiment": "color"},
        {"id": "e", "name": "exposure", "experiment": "color", "value": "gr\u00fcn"},
    ]
    answer = await send(client, {"events": sent})
    assert (answer.code, msgspec.json.decode(answer.body)) == (202, {"accepted": 5, "duplicates": 0})
    assert await stored(store) == [
        (1, "a", "purchase", None, 99_900, 1_795_428_000_000, None),
        (1, "b", "purchase", None, 1_000, 1_795_428_000_500, None),
        (1, "c", "purchase", None, -9_999_999_999_999_999, None, None),
        (1, "d", "exposure", "color", None, None, None),
        (1, "e", "exposure", "color", None, None, "gr\u00fcn"),
    ]


async def test_a_repeat_is_harmless_and_the_first_one_wins(client: Client, store: SQLiteStore) -> None:
    await send(client, {"events": [event("a", amount=1)]})
    again = await send(client, {"events": [event("a", amount=2), event("b"), event("b")]})
    assert msgspec.json.decode(again.body) == {"accepted": 1, "duplicates": 2}
    other = await send(client, {"events": [event("a", amount=3)]}, token="tablet")
    assert msgspec.json.decode(other.body) == {"accepted": 1, "duplicates": 0}
    assert [row[4] for row in await stored(store)] == [10_000, None, 30_000]


async def test_one_bad_event_leaves_nothing_of_its_request(client: Client, store: SQLiteStore) -> None:
    answer = await send(client, {"events": [event("a"), event("b", amount="1.23456")]})
    problem = msgspec.json.decode(answer.body)
    assert (answer.code, problem["code"]) == (422, "invalid_field")
    assert "events[1].amount" in problem["detail"]
    assert await stored(store) == []


async def test_a_device_that_never_asked_is_unknown_and_stays_so(client: Client, store: SQLiteStore) -> None:
    answer = await send(client, {"events": [event("a")]}, token="stranger")
    assert (answer.code, msgspec.json.decode(answer.body)["code"]) == (404, "unknown_device")
    assert (await store.find(["stranger"])).variants == {}
    assert await stored(store) == []


async def test_requests_that_come_together_share_a_transaction(client: Client, store: SQLiteStore) -> None:
    commits: list[str] = []
    store._connections[-1]._conn.set_trace_callback(commits.append)
    answers = await asyncio.gather(*(send(client, {"events": [event(str(n))]}) for n in range(10)))
    store._connections[-1]._conn.set_trace_callback(None)
    assert {answer.code for answer in answers} == {202}
    assert commits.count("COMMIT") < 10
    assert len(await stored(store)) == 10


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "multipart/form-data"}, 415),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Type": "Application/JSON; charset=UTF-8"}, 202),
    ],
)
async def test_the_content_type_must_be_json(client: Client, headers: dict[str, str], code: int) -> None:
    assert (await send(client, {"events": []}, headers=headers)).code == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"events":[],"events":[]}',
        b'{"events":[],"\\ud800":1}',
        b'{"events":[{"id":"a","name":"x","\\ud800":1}]}',
        '{"events":[]}'.encode("utf-16"),
        b'\xef\xbb\xbf{"events":[]}',
        b'{"events":[{"id":"a","id":"b","name":"x"}]}',
        b'{"events":[{"id":"a","name":"x","amount":NaN}]}',
        b'{"events":[{"id":"a","name":"x","amount":' + b"9" * 5_000 + b"}]}",
        b'{"events":[{"id":"a","name":"x","amount":1e99999999999999999999}]}',
        b"[" * 50_000,
    ],
)
async def test_a_body_that_is_not_json_is_400(client: Client, body: bytes) -> None:
    answer = await send(client, body)
    assert (answer.code, msgspec.json.decode(answer.body)["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ([], "body"),
        ({}, "events"),
        ({"events": {}}, "events"),
        ({"events": [], "more": 1}, "more"),
        ({"events": [event(str(n)) for n in range(501)]}, "events"),
        ({"events": [{"name": "x"}]}, "events[0]"),
        ({"events": [event("")]}, "events[0].id"),
        ({"events": [event("sp ace")]}, "events[0].id"),
        ({"events": [event("a\n")]}, "events[0].id"),
        ({"events": [event("a" * 65)]}, "events[0].id"),
        ({"events": [event("a"), event("b", name="Purchase")]}, "events[1].name"),
        ({"events": [event("a", name="x\n")]}, "events[0].name"),
        ({"events": [event("a", amount="1e3")]}, "events[0].amount"),
        ({"events": [event("a", amount="")]}, "events[0].amount"),
        ({"events": [event("a", amount="\u0661")]}, "events[0].amount"),
        ({"events": [event("a", amount=True)]}, "events[0].amount"),
        ({"events": [event("a", amount=10**12)]}, "events[0].amount"),
        ({"events": [event("a", amount=1e300)]}, "events[0].amount"),
        ({"events": [event("a", amount=1e-5)]}, "events[0].amount"),
        ({"events": [event("a", at="yesterday")]}, "events[0].at"),
        ({"events": [event("a", at="2026-11-23T10:00:00")]}, "events[0].at"),
        ({"events": [event("a", at=1)]}, "events[0].at"),
        ({"events": [event("a", experiment="color")]}, "events[0].experiment"),
        ({"events": [{"id": "a", "name": "exposure"}]}, "events[0].experiment"),
        ({"events": [{"id": "a", "name": "exposure", "experiment": "No Key"}]}, "events[0].experiment"),
        ({"events": [event("a", colour="red")]}, "colour"),
        ({"events": [event("a", value="red")]}, "events[0].value"),
        ({"events": [shown(10)]}, "events[0].value"),
        (b'{"events":[{"id":"a","name":"exposure","experiment":"color","value":"\\ud800"}]}', "events[0].value"),
    ],
)
async def test_a_field_that_is_wrong_is_named(client: Client, store: SQLiteStore, body: Any, where: str) -> None:
    answer = await send(client, body)
    problem = msgspec.json.decode(answer.body)
    assert (answer.code, problem["code"]) == (422, "invalid_field")
    assert where in problem["detail"]
    assert await stored(store) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "body: must be an object, not a list"),
        ({}, "events: must be given"),
        ({"events": [1]}, "events[0]: must be an object, not a whole number"),
        ({"events": [event(str(n)) for n in range(501)]}, "events: must be a list of at most 500 items"),
        ({"events": [{"name": "x"}]}, "events[0].id: must be given"),
        ({"events": [{"id": 1.5, "name": "x"}]}, "events[0].id: must be a text, not a number"),
        ({"events": [event("sp ace")]}, "events[0].id: must be 1 to 64 visible ASCII characters (0x21-0x7E)"),
        (
            {"events": [shown("\ud800")]},
            "events[0].value: must be a text without U+0000 and without halves of surrogate pairs",
        ),
        (
            {"events": [shown("a\0b")]},
            "events[0].value: must be a text without U+0000 and without halves of surrogate pairs",
        ),
        (
            {"events": [event("a", value="x")]},
            "events[0].value: may be given for an exposure, and for no other event",
        ),
        (
            {"events": [event("a", name="Buy")]},
            "events[0].name: must be 1 to 64 characters from a-z, 0-9, '_', '.' and '-', "
            "and begin with a letter or a digit",
        ),
        (
            {"events": [event("a", at="2026-11-23T10:00:00")]},
            "events[0].at: must be a time with its time zone, such as 2026-11-23T10:00:00Z",
        ),
        ({"events": [event("a", at=1)]}, "events[0].at: must be a time, not a whole number"),
        ({"events": [event("a", colour="red")]}, "events[0].colour: there is no such field"),
    ],
)
def test_refusals_are_in_plain_words(body: Any, said: str) -> None:
    with pytest.raises(InvalidEvent) as raised:
        parse_events(json.dumps(body).encode())
    assert str(raised.value) == said


async def test_reading_events_is_not_allowed(client: Client) -> None:
    answer = await client.fetch("/api/v1/events", headers={"Device-Token": "phone"})
    assert (answer.code, answer.headers["Allow"]) == (405, "POST")


@given(st.integers(-(10**16) + 1, 10**16 - 1))
def test_every_amount_is_read_exactly(units: int) -> None:
    whole, part = divmod(abs(units), 10_000)
    text = f"{'-' if units < 0 else ''}{whole}.{part:04d}"
    assert parse_amount(text) == units
    body = b'{"events":[{"id":"a","name":"x","amount":' + text.encode() + b"}]}"
    assert parse_events(body) == (Event("a", "x", amount=units),)


VALUES = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists)


@given(st.binary(max_size=200) | VALUES)
def test_any_body_is_parsed_or_refused(body: Any) -> None:
    content = body if isinstance(body, bytes) else msgspec.json.encode({"events": [body]})
    try:
        parse_events(content)
    except (InvalidEvent, InvalidJson) as error:
        assert len(str(error)) <= 250


async def test_requests_that_wait_for_the_database_are_counted(store: SQLiteStore) -> None:
    tracking = TrackingService(store, queue=10, deadline=60)
    body = msgspec.json.encode({"events": [event("a")]})
    sending = [asyncio.create_task(tracking.track(token, body)) for token in ("phone", "tablet")]
    await asyncio.sleep(0)
    assert tracking.waiting == 2
    await asyncio.gather(*sending)
    await until(lambda: not tracking.waiting)
