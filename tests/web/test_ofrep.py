"""The OpenFeature Remote Evaluation Protocol, over real HTTP."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado.httpclient import HTTPResponse
from tornado.ioloop import IOLoop

from abtest.bootstrap import wired
from abtest.domain import Type
from abtest.domain.experiments import NewExperiment, Variant
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import experiment, new

FLAGS = "/ofrep/v1/evaluate/flags"
JSON = {"Content-Type": "application/json; charset=utf-8"}
TYPES = {Type.STRING: "#FF0000", Type.NUMBER: "10", Type.BOOLEAN: "true", Type.JSON: '{"b":[1, 9.5],"a":"é"}'}


@pytest.fixture
def settings() -> Settings:
    return Settings(body_limit=8_192)


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    """An experiment of each type, whose first variant everybody gets, and one that takes no devices."""
    store = SQLiteStore(new(tmp_path / "abtest.db"))
    io_loop.run_sync(store.open)
    others = {Type.STRING: "red", Type.NUMBER: "9.5", Type.BOOLEAN: "false", Type.JSON: "[]"}
    experiments = [
        NewExperiment(
            key=f"a_{type}", type=type, variants=(Variant(value, Decimal(1)), Variant(others[type], Decimal(0)))
        )
        for type, value in TYPES.items()
    ]
    io_loop.run_sync(lambda: store.add([*experiments, experiment("later", "1", "1", draft=True)], 1))
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def app(store: SQLiteStore, settings: Settings) -> HotServer:
    return make_app(wired(store, settings))


async def ask(
    client: Client, key: str = "", token: str = "device", headers: dict[str, str] = JSON, **context: Any
) -> HTTPResponse:
    body = msgspec.json.encode({"context": {"targetingKey": token} | context})
    return await client.fetch(f"{FLAGS}{key}", method="POST", headers=JSON | headers, body=body)


async def send(client: Client, body: bytes | str, key: str = "", headers: dict[str, str] = JSON) -> HTTPResponse:
    return await client.fetch(f"{FLAGS}{key}", method="POST", headers=headers, body=body)


def failure(answer: HTTPResponse) -> tuple[int, str]:
    document = msgspec.json.decode(answer.body)
    assert document["errorDetails"]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    return answer.code, document["errorCode"]


async def test_all_flags_of_a_device_have_values_of_their_types(client: Client) -> None:
    for path in ("", "/", "?flagConfigEtag=%22a%22&unknown"):
        answer = await ask(client, path)
        assert (answer.code, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.body.decode() == (
            '{"flags":['
            '{"key":"a_boolean","value":true,"reason":"SPLIT","variant":"true"},'
            '{"key":"a_json","value":{"b":[1,9.5],"a":"é"},"reason":"SPLIT",'
            '"variant":"{\\"b\\":[1, 9.5],\\"a\\":\\"é\\"}"},'
            '{"key":"a_number","value":10,"reason":"SPLIT","variant":"10"},'
            '{"key":"a_string","value":"#FF0000","reason":"SPLIT","variant":"#FF0000"}]}'
        )


async def test_one_flag(client: Client) -> None:
    for path in ("/a_number", "/a_number/", "/a_number?a=b"):
        answer = await ask(client, path)
        assert (answer.code, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.body == b'{"key":"a_number","value":10,"reason":"SPLIT","variant":"10","metadata":{}}'
        assert "ETag" not in answer.headers


async def test_a_flag_without_a_value_is_the_default_of_the_code(client: Client) -> None:
    for token in ("device", "another"):
        answer = await ask(client, "/later", token)
        assert (answer.code, answer.body) == (200, b'{"key":"later","reason":"DEFAULT","variant":""}')


@pytest.mark.parametrize("key", ["nothing", "%2F", "A" * 100, "caf%C3%A9"])
async def test_an_unknown_flag_is_not_found_but_the_device_is_registered(client: Client, key: str) -> None:
    for _ in range(2):
        answer = await ask(client, f"/{key}")
        assert failure(answer) == (404, "FLAG_NOT_FOUND")
        assert msgspec.json.decode(answer.body)["key"] == key
    known = await client.fetch("/api/v1/experiments", method="HEAD", headers={"Device-Token": "device"})
    assert known.code == 200


async def test_both_ways_of_asking_are_the_same_first_request(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("color", *["1"] * 20)], 1)
    for token, plain_first in (("a", True), ("b", False)):
        asked = [lambda token=token: plain(client, token), lambda token=token: flags(client, token)]
        first, second = [await each() for each in (asked if plain_first else reversed(asked))]
        assert first == second
        assert first["color"]


async def plain(client: Client, token: str) -> dict[str, str]:
    answer = await client.fetch("/api/v1/experiments", headers={"Device-Token": token})
    return msgspec.json.decode(answer.body, type=dict[str, str])


async def flags(client: Client, token: str) -> dict[str, str]:
    answer = msgspec.json.decode((await ask(client, token=token)).body)
    return {each["key"]: each["variant"] for each in answer["flags"]}


async def test_an_unchanged_answer_is_304(client: Client) -> None:
    tag = (await ask(client)).headers["ETag"]
    assert tag.startswith('"')
    for given in (tag, f"W/{tag}", f'"a", {tag}', "*"):
        again = await ask(client, headers={"If-None-Match": given})
        assert (again.code, again.body, again.headers["ETag"]) == (304, b"", tag)
    for other in ('"a"', tag[1:-1]):
        assert (await ask(client, headers={"If-None-Match": other})).code == 200


async def test_an_etag_belongs_to_a_device_and_its_answer(client: Client, store: SQLiteStore) -> None:
    tag = (await ask(client)).headers["ETag"]
    other = await ask(client, token="another", headers={"If-None-Match": tag})
    assert (other.code, other.headers["ETag"] != tag) == (200, True)
    await store.add([experiment("color", "1", "1")], 1)
    newer = await ask(client, token="newer", headers={"If-None-Match": tag})
    assert (newer.code, len(msgspec.json.decode(newer.body)["flags"])) == (200, 5)


async def test_one_flag_is_never_304(client: Client) -> None:
    assert (await ask(client, "/a_number", headers={"If-None-Match": "*"})).code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "PARSE_ERROR"),
        (b"{", "PARSE_ERROR"),
        (b'{"context":{"targetingKey":"a"}} x', "PARSE_ERROR"),
        (b'{"context":{"targetingKey":"a","b":NaN}}', "PARSE_ERROR"),
        (b'{"context":{"targetingKey":"a","b":' + b"[" * 4_000 + b"]" * 4_000 + b"}}", "PARSE_ERROR"),
        (b"[]", "INVALID_CONTEXT"),
        (b'{"context":null}', "INVALID_CONTEXT"),
        (b'{"context":"a"}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":7}}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":"sp ace"}}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":"caf\xc3\xa9"}}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":"\xff"}}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":"\x01"}}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":"\\ud800"}}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":"%s"}}' % (b"a" * 129), "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":"a","targetingKey":"b"}}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":"a","\\u0074argetingKey":"b"}}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":"a"},"context":{}}', "INVALID_CONTEXT"),
        (b"{}", "TARGETING_KEY_MISSING"),
        (b'{"context":{}}', "TARGETING_KEY_MISSING"),
        (b'{"context":{"targetingKey":null}}', "TARGETING_KEY_MISSING"),
        (b'{"context":{"targetingKey":""}}', "TARGETING_KEY_MISSING"),
        (b'{"context":{"user":"targetingKey"}}', "TARGETING_KEY_MISSING"),
    ],
)
async def test_a_bad_request_says_what_is_wrong(client: Client, store: SQLiteStore, body: bytes, code: str) -> None:
    bulk, one = await send(client, body), await send(client, body, "/a_string")
    assert failure(bulk) == failure(one) == (400, code)
    assert "key" not in msgspec.json.decode(bulk.body)
    assert msgspec.json.decode(one.body)["key"] == "a_string"
    assert (await store.ledger()).devices == 0


@pytest.mark.parametrize(
    "context",
    [
        {"nested": {"targetingKey": "b", "context": {}}, "list": [1, None, "a\\b"]},
        {"platform": "ios", "app_version": 3.1, "beta": True, "é": "é\n"},
    ],
)
async def test_any_attribute_is_accepted(client: Client, context: dict[str, Any]) -> None:
    assert (await ask(client, "/a_string", "device", {}, **context)).code == 200
    assert (await ask(client, "/a_string", "device", {}, **context)).code == 200


@pytest.mark.parametrize(
    ("context", "kept"),
    [
        ('"platform":"ios","app_version":3.10,"os_version":17,"country":true', ["3.10", "true", "17", "ios"]),
        ('"platform":"ios","platform":"ios","country":"DE"', ["DE"]),
        ('"platform":["ios"],"language":{"a":1},"country":null,"shoe_size":46', []),
        ('"app_version":1e9999999999999999999,"country":"D\\u00e9"', ["1e9999999999999999999", "Dé"]),
        ('"platform":"\\ud800","country":"DE"', ["DE"]),
        (f'"os_version":{"1" * 6_000},"country":"DE"', ["DE"]),
    ],
)
async def test_the_first_request_says_what_the_device_is(
    client: Client, store: SQLiteStore, context: str, kept: list[str]
) -> None:
    assert (await send(client, f'{{"context":{{"targetingKey":"a",{context}}}}}')).code == 200
    assert [value for _, value in (await store.device("a")).attributes.pairs] == kept
    assert (await ask(client, token="a", platform="android")).code == 200
    assert [value for _, value in (await store.device("a")).attributes.pairs] == kept


@pytest.mark.parametrize("text", [b"\xff", b"a\xc3", b"a\x01b", b"a\nb", b'\\"\xff'])
async def test_an_attribute_that_can_not_be_read_is_missing_for_new_and_known_devices(
    client: Client, store: SQLiteStore, text: bytes
) -> None:
    body = b'{"context":{"targetingKey":"a","platform":"%b","%b":1,"country":"DE"}}' % (text, text)
    assert [(await send(client, body)).code for _ in range(2)] == [200, 200]
    assert dict((await store.device("a")).attributes.pairs) == {"country": "DE"}


async def test_unknown_members_of_the_request_are_ignored(client: Client) -> None:
    assert (await send(client, '{"context":{"targetingKey":"a"},"later":[{"context":1}]}')).code == 200


async def test_a_token_in_the_header_must_be_the_targeting_key(client: Client) -> None:
    assert (await ask(client, headers={"Device-Token": "device"})).code == 200
    assert failure(await ask(client, headers={"Device-Token": "other"})) == (400, "INVALID_CONTEXT")
    assert (await client.fetch("/api/v1/experiments", method="HEAD", headers={"Device-Token": "other"})).code == 404


async def test_two_tokens_in_headers_are_not_the_targeting_key(client: Client) -> None:
    body = b'{"context":{"targetingKey":"a,b"}}'
    twice = b"Device-Token: a\r\nDevice-Token: b\r\n"
    head = f"POST {FLAGS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\n".encode()
    answer = await client.send(head + twice + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"INVALID_CONTEXT" in answer


async def test_credentials_are_neither_needed_nor_refused(client: Client) -> None:
    for credential in ({"Authorization": "Bearer a"}, {"X-API-Key": "a"}, {"Cookie": "_xsrf=a"}):
        assert (await ask(client, headers=credential)).code == 200


async def test_other_types_methods_and_paths(client: Client) -> None:
    for type in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/json; charset=latin-1"}):
        assert failure(await send(client, '{"context":{"targetingKey":"a"}}', headers=type)) == (415, "GENERAL")
    got = await client.fetch(f"{FLAGS}/a_string")
    assert (failure(got), got.headers["Allow"]) == ((405, "GENERAL"), "POST")
    assert msgspec.json.decode(got.body)["key"] == "a_string"
    assert (await client.fetch(FLAGS)).headers["Allow"] == "POST"
    for path in ("/a/b", "//", "/a//", "//a"):
        assert failure(await send(client, "{}", path)) == (404, "FLAG_NOT_FOUND")
    assert (await send(client, "{}", "x")).code == 404


@pytest.mark.parametrize("key", ["", "/a_string", "/%ff"])
async def test_what_tornado_refuses_has_the_shape_of_the_protocol(
    client: Client, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    form = {"Content-Type": "multipart/form-data"}
    for options in ({"method": "PROPFIND", "allow_nonstandard_methods": True}, {"method": "GET"}):
        assert failure(await client.fetch(f"{FLAGS}{key}", **options))[1] == "GENERAL"
    broken = await client.fetch(f"{FLAGS}{key}", method="PUT", headers=form, body=b"a")
    assert failure(broken)[1] == "GENERAL"
    large = await client.fetch(f"{FLAGS}{key}", method="PUT", headers=JSON, body=b"a" * 9_000)
    assert failure(large) == (413, "GENERAL")
    for answer in (broken, large):
        assert msgspec.json.decode(answer.body).get("key", "") == key[1:]
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_long_body_is_refused_in_the_shape_of_the_protocol(client: Client) -> None:
    long = b'{"context":{"targetingKey":"a","b":"' + b"b" * 9_000 + b'"}}'
    assert failure(await send(client, long)) == (413, "GENERAL")
    chunks = iter([long[:5_000], long[5_000:]])
    chunked = await client.fetch(
        FLAGS, method="POST", headers=JSON, body_producer=lambda write: _produce(write, chunks), body=None
    )
    assert failure(chunked) == (413, "GENERAL")


async def _produce(write: Any, chunks: Iterator[bytes]) -> None:
    for chunk in chunks:
        await write(chunk)


async def test_a_request_in_pieces_and_the_last_of_a_connection_are_answered(client: Client) -> None:
    body = b'{"context":{"targetingKey":"a"}}'
    head = f"POST {FLAGS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\n".encode()
    pieces = b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + body[:5] + b"\r\n%x\r\n" % len(body[5:]) + body[5:]
    answer = await client.send(head + pieces + b"\r\n0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in answer


LIMITED = Settings(trusted_proxies="127.0.0.1", new_per_source=0.01, new_per_source_burst=1)


@pytest.mark.parametrize("settings", [LIMITED])
async def test_too_many_new_devices_are_told_when_to_ask_again(client: Client) -> None:
    phone = {"X-Forwarded-For": "192.0.2.1"}
    assert (await ask(client, token="a", headers=phone)).code == 200
    refused = await ask(client, "/a_string", "b", phone)
    assert failure(refused) == (429, "GENERAL")
    assert refused.headers["Retry-After"].isdecimal()
    assert (await ask(client, token="a", headers=phone)).code == 200


async def test_a_server_that_stops_says_so(client: Client, app: HotServer) -> None:
    app.enrolment.draining = True
    refused = await ask(client)
    assert failure(refused) == (503, "GENERAL")
    assert refused.headers["Retry-After"].isdecimal()
