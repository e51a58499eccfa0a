"""GET /api/v1/experiments and its neighbours, over real HTTP."""

import asyncio
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado.httpclient import HTTPResponse
from tornado.ioloop import IOLoop

from abtest.bootstrap import wired
from abtest.domain.experiments import NewExperiment, Variant
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from abtest.web.pages.handlers import STATIC
from abtest.web.reading import matches
from abtest.web.server import listen, open_port, stop_serving
from tests.conftest import Client
from tests.scenes import figure, new, until

PATH = "/api/v1/experiments"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def limits() -> dict[str, Any]:
    """Settings that a test changes."""
    return {}


@pytest.fixture
def store(tmp_path: Path, io_loop: IOLoop, limits: dict[str, Any]) -> Iterator[SQLiteStore]:
    store = SQLiteStore(new(tmp_path / "abtest.db"), limits.get("free_disk", 0))
    io_loop.run_sync(store.open)
    color = NewExperiment(key="color", variants=(Variant("red", Decimal(1)), Variant("blue", Decimal(1))))
    io_loop.run_sync(lambda: store.add([color], 1))
    yield store
    io_loop.run_sync(store.close)


@pytest.fixture
def app(store: SQLiteStore, limits: dict[str, Any]) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}", **limits)))


async def ask(client: Client, token: str | None = "device", path: str = PATH, **options: Any) -> HTTPResponse:
    headers = options.pop("headers", {}) | ({} if token is None else {"Device-Token": token})
    return await client.fetch(path, headers=headers, **options)


async def test_a_device_gets_its_experiments_and_keeps_them(client: Client) -> None:
    first, second = await ask(client), await ask(client)
    assert first.code == 200
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert first.headers["Vary"] == "Device-Token"
    assert msgspec.json.decode(first.body)["color"] in {"red", "blue"}
    assert (second.body, second.headers["ETag"]) == (first.body, first.headers["ETag"])


async def test_an_unchanged_answer_is_304(client: Client) -> None:
    tag = (await ask(client)).headers["ETag"]
    again = await ask(client, headers={"If-None-Match": tag})
    assert (again.code, again.body) == (304, b"")
    assert (await ask(client, headers={"If-None-Match": '"another"'})).code == 200


async def test_head_never_enrols(client: Client) -> None:
    assert (await ask(client, method="HEAD")).code == 404
    assert (await ask(client, method="HEAD")).code == 404
    got = await ask(client)
    head = await ask(client, method="HEAD")
    assert (head.code, head.headers["ETag"], head.body) == (200, got.headers["ETag"], b"")


@pytest.mark.parametrize("token", [None, "", "a" * 129, "sp ace", "caf\xe9"])
async def test_a_bad_token_is_refused(client: Client, token: str | None) -> None:
    answer = await ask(client, token)
    assert answer.code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert msgspec.json.decode(answer.body)["code"] == "invalid_token"


async def test_other_methods_and_paths(client: Client) -> None:
    posted = await ask(client, method="POST", body="{}")
    assert (posted.code, posted.headers["Allow"]) == (405, "GET, HEAD")
    missing = await ask(client, path="/nothing")
    assert (missing.code, msgspec.json.decode(missing.body)["code"]) == (404, "not_found")
    assert (await ask(client, path=PATH + "/")).code == 404


LAST = b"Connection: close\r\n\r\n"


async def test_a_token_given_twice_is_refused_and_not_stored(client: Client) -> None:
    twice = b"GET /api/v1/experiments HTTP/1.1\r\nHost: a\r\nDevice-Token: a\r\nDevice-Token: b\r\n" + LAST
    assert b"invalid_token" in await client.send(twice)
    for token in ("a", "b", "a,b"):
        assert (await ask(client, token, method="HEAD")).code == 404


@pytest.mark.parametrize("token", [b"a\x7fb", b"a\x00b", b"a\x1bb", b"a\rb"])
async def test_a_token_with_a_control_character_is_refused(client: Client, token: bytes) -> None:
    answer = await client.send(b"GET /api/v1/experiments HTTP/1.1\r\nHost: a\r\nDevice-token: " + token + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"X-Content-Type-Options: nosniff\r\n" in answer
    assert msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])["code"] == "invalid_token"


@pytest.mark.parametrize("path", [b"/api/v1/experiments", b"/healthz", b"/", b"/static/abtest.css"])
@pytest.mark.parametrize("host", [b"", b"Host: a\r\nHost: b\r\n", b"Host: a/b\r\n"])
async def test_a_request_without_a_valid_host_gets_400(client: Client, path: bytes, host: bytes) -> None:
    answer = await client.send(b"GET " + path + b" HTTP/1.1\r\nDevice-Token: a\r\n" + host + LAST)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"code":"bad_request"' in answer


@pytest.mark.parametrize("host", [b"", b"[::1]:8080", b"a.example:80", b"192.0.2.1"])
async def test_a_host_may_be_a_name_an_address_or_empty(client: Client, host: bytes) -> None:
    request = b"GET /api/v1/experiments HTTP/1.1\r\nDevice-Token: a\r\nHost: " + host + b"\r\n" + LAST
    assert (await client.send(request)).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("line", [b"hello", b"GET / HTTP/1.1\r\nno colon", b"GET / HTTP/1.1\r\nHost: a\r\n b"])
async def test_bytes_that_are_no_request_are_refused_with_a_problem(client: Client, line: bytes) -> None:
    answer = await client.send(line + b"\r\nDevice-Token: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])["code"] == "bad_request"


async def test_headers_over_the_limit_are_431(client: Client) -> None:
    answer = await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + 17_000 * b"a" + b"\r\n" + LAST)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])["code"] == "headers_too_large"


async def test_a_body_over_the_limit_is_413(client: Client) -> None:
    declared = b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"
    chunk = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
    chunked = b"POST /nothing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + 3 * chunk + b"0\r\n\r\n"
    sent = b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n" + LAST + 2_000_000 * b"a"
    asking = declared.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    for request in (declared, chunked.replace(b"\r\n", b"\r\nConnection: close\r\n", 1), sent, asking):
        answer = await client.send(request)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"code":"too_large"' in answer
        assert b"100 (Continue)" not in answer
    below = b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n" + LAST + b"a" * 65536
    assert (await client.send(below)).startswith(b"HTTP/1.1 404 ")


async def test_old_and_closing_connections_are_answered_and_closed(client: Client) -> None:
    for line in (b"HTTP/1.0\r\n\r\n", b"HTTP/1.1\r\nHost: a\r\n" + LAST):
        answer = await client.send(b"GET /api/v1/experiments " + line.replace(b"\r\n", b"\r\nDevice-Token: a\r\n", 1))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b'{"color":' in answer


@pytest.mark.parametrize("limits", [{"idle_timeout": 0.1}])
async def test_a_connection_that_brings_no_request_is_closed(client: Client) -> None:
    idle, slow = client.send(b""), client.send(b"GET / HTTP/1.1\r\nHost:")
    assert set(await asyncio.gather(idle, slow)) == {b""}


@pytest.mark.parametrize("limits", [{"idle_timeout": 0.1}])
async def test_a_connection_that_reads_no_answer_is_closed(client: Client, app: HotServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.address.rpartition(":")[2]), limit=1)
    writer.write(20 * b"GET /static/swagger-ui/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: app.connections.answering)
    await until(lambda: not app.connections.answering)
    came = 0
    with suppress(OSError):
        while chunk := await reader.read(10_000_000):
            came += len(chunk)
    writer.close()
    assert came < 10 * (STATIC / "swagger-ui/swagger-ui-bundle.js").stat().st_size


async def test_requests_from_before_the_end_are_answered(client: Client, app: HotServer) -> None:
    asked = asyncio.create_task(client.fetch("/simulate?devices=20000"))
    await until(lambda: app.connections.answering)
    await app.drain()
    assert not app.connections.answering
    assert asked.done() or (await asked).code == 200
    assert b"20,000" in (await asked).body


async def test_every_answer_after_the_end_began_closes_its_connection(client: Client, app: HotServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.address.rpartition(":")[2]))
    stopping = asyncio.create_task(stop_serving(client.server))
    await until(lambda: app.connections.draining)
    for _ in range(2):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await stopping
    assert (answer.count(b"HTTP/1.1 200 OK"), answer.count(b"Connection: close\r\n")) == (1, 1)


async def test_a_client_that_leaves_before_its_answer_is_no_error(
    client: Client, app: HotServer, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        _, writer = await asyncio.open_connection("127.0.0.1", int(client.address.rpartition(":")[2]))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nX: " + 17_000 * b"a" + b"\r\n\r\n")
        writer.transport.abort()
    await until(lambda: app.connections.open == 0)
    assert caplog.messages == []


async def test_a_process_accepts_more_connections_at_once_the_more_it_has(app: HotServer) -> None:
    sockets = open_port("127.0.0.1", 0)
    server = listen(app, Settings(), sockets)
    crowd = [socket.create_connection(sockets[0].getsockname()) for _ in range(80)]
    taken = [0]
    while taken[-1] < len(crowd):
        server._accept(sockets[0], 0)
        taken.append(app.connections.open)
    steps = [after - before for before, after in pairwise(taken)]
    assert (steps[0], steps[-2], len(steps)) == (2, 8, 23)
    for each in crowd:
        each.close()
    await stop_serving(server)


async def test_without_a_free_file_descriptor_accepting_pauses(
    client: Client, app: HotServer, caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = socket.socket()
    resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno() + 1, hard))
    try:
        waiting.setblocking(False)
        waiting.connect_ex(("127.0.0.1", int(client.address.rpartition(":")[2])))
        began = time.monotonic()
        await until(lambda: caplog.messages)
        await asyncio.sleep(0.1)
        most = 1 + (time.monotonic() - began)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert set(caplog.messages) == {"cannot accept connections for 1 s: Too many open files"}
    assert len(caplog.messages) <= most
    await until(lambda: app.connections.open == 1)
    waiting.close()


@pytest.mark.parametrize("length", ["65537", "9" * 5_000])
async def test_a_body_that_is_announced_as_too_long_is_refused_before_it_comes(client: Client, length: str) -> None:
    request = f"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n".encode() + LAST
    assert (await client.send(request)).startswith(b"HTTP/1.1 413 ")


async def test_a_whole_url_as_the_target_is_understood(client: Client) -> None:
    rest = b" HTTP/1.1\r\nHost: a\r\nDevice-Token: a\r\n" + LAST
    for target in (b"http://a.example/api/v1/experiments", b"HTTPS://a.example/api/v1/experiments?a=b"):
        assert (await client.send(b"GET " + target + rest)).startswith(b"HTTP/1.1 200 OK\r\n")
    for target in (b"http://a.example?/api/v1/experiments", b"http://a.example#/api/v1/experiments"):
        assert b"Vary: Device-Token" not in await client.send(b"GET " + target + rest)


@pytest.mark.parametrize("limits", [{"connections": 2}])
async def test_one_connection_too_many_is_refused_with_a_problem(client: Client) -> None:
    port = int(client.address.rpartition(":")[2])
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    refused = await client.send(b"")
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b'"code":"too_many_connections"' in refused
    for _, writer in held:
        writer.close()


@pytest.mark.parametrize(
    "limits",
    [{"trusted_proxies": "127.0.0.0/8", "new_per_source": 0.01, "new_per_source_burst": 2, "cache": 1}],
)
async def test_new_devices_of_one_source_are_limited_and_known_ones_are_not(client: Client) -> None:
    phone = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9"}
    assert [(await ask(client, token, headers=phone)).code for token in ("a", "b", "a", "b")] == [200] * 4
    refused = await ask(client, "c", headers=phone)
    assert (refused.code, msgspec.json.decode(refused.body)["code"]) == (429, "too_many_new_devices")
    assert 1 <= int(refused.headers["Retry-After"]) <= 100
    assert [(await ask(client, token, headers=phone)).code for token in ("a", "b")] == [200] * 2
    assert (await ask(client, "c", method="HEAD")).code == 404
    assert (await ask(client, "c", headers={"X-Forwarded-For": "203.0.113.10"})).code == 200


@pytest.mark.parametrize("limits", [{"free_disk": 10**9}])
async def test_new_devices_are_refused_before_the_disk_is_full(client: Client) -> None:
    refused = await ask(client)
    assert (refused.code, msgspec.json.decode(refused.body)["code"]) == (503, "storage_full")
    assert refused.headers["Retry-After"].isdecimal()
    ready = await ask(client, path="/readyz")
    answer = msgspec.json.decode(ready.body)
    assert (ready.code, answer["status"]) == (200, "ready")
    assert answer["detail"].startswith("new devices and events are refused: ")
    assert answer["detail"].endswith(" less than the 1,000,000,000 MB of ABTEST_FREE_DISK")


async def test_liveness_and_readiness(client: Client) -> None:
    assert (await ask(client, path="/healthz")).code == 200
    assert (await ask(client, path="/readyz")).code == 200


async def test_prometheus_reads_what_was_answered_and_refused(client: Client) -> None:
    for token in ("a", "a", "b", ""):
        await ask(client, token)
    await ask(client, "a", method="HEAD")
    await ask(client, "nobody", path="/api/v1/events", method="POST", body='{"events": []}', headers=JSON)
    await client.send(b"hello\r\n\r\n")
    page = await ask(client, path="/metrics")
    assert page.headers["Content-Type"].startswith("text/plain; version=")
    wanted = {
        'abtest_answer_seconds_count{source="store"}': 2,
        'abtest_answer_seconds_count{source="cache"}': 2,
        'abtest_refused_total{code="invalid_token"}': 1,
        'abtest_refused_total{code="unknown_device"}': 1,
        'abtest_refused_total{code="bad_request"}': 1,
        "abtest_new_devices_total": 2,
        "abtest_batch_devices_sum": 2,
        "abtest_counted_devices": 0,
    }
    assert {name: figure(page.body, name) for name in wanted} == wanted
    assert figure(page.body, "abtest_database_bytes") > 0
    assert (
        figure(
            (await ask(client, path="/metrics")).body, 'abtest_request_seconds_count{handler="Metrics",status="200"}'
        )
        == 1
    )


@pytest.mark.parametrize("log", [0, 65 * 1024 * 1024])
async def test_readiness_reports_a_large_log(client: Client, tmp_path: Path, log: int) -> None:
    await ask(client)
    with (tmp_path / "abtest.db-wal").open("ab") as file:
        file.truncate(log or file.tell())
    answer = msgspec.json.decode((await ask(client, path="/readyz")).body)
    assert ("detail" in answer) is (log > 0)


@pytest.mark.parametrize(
    ("header", "expected"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("a", False)],
)
def test_if_none_match(header: str, expected: bool) -> None:
    assert matches(header, '"a"') is expected


async def said(store: SQLiteStore, token: str) -> dict[str, str]:
    return dict((await store.device(token)).attributes.pairs)


async def test_the_first_request_says_what_the_device_is(client: Client, store: SQLiteStore) -> None:
    await ask(client, path=f"{PATH}?platform=ios&app_version=3.10.0&country=DE&os_version=17+beta&a=b")
    expected = {"app_version": "3.10.0", "country": "DE", "os_version": "17 beta", "platform": "ios"}
    assert await said(store, "device") == expected
    await ask(client, path=f"{PATH}?platform=android")
    assert await said(store, "device") == expected


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", {}),
        ("platform", {}),
        ("platform=", {}),
        ("&&=&platform=ios&", {"platform": "ios"}),
        ("platform=ios&platform=android", {}),
        ("platform=%ff&country=DE", {"country": "DE"}),
        (f"platform={'a' * 129}&country=DE", {"country": "DE"}),
        ("country=D%C3%A9&app%5Fversion=1=2", {"country": "Dé", "app_version": "1=2"}),
        ("platform=ios%00", {}),
    ],
)
async def test_an_attribute_that_can_not_be_read_is_missing_and_no_device_is_refused(
    client: Client, store: SQLiteStore, query: str, kept: dict[str, str]
) -> None:
    assert (await ask(client, path=f"{PATH}?{query}")).code == 200
    assert await said(store, "device") == kept


async def test_bytes_in_a_query_are_read_as_utf_8(client: Client, store: SQLiteStore) -> None:
    line = "GET /api/v1/experiments?country=Dé HTTP/1.1\r\nHost: a\r\nDevice-Token: a\r\n".encode()
    assert (await client.send(line + LAST)).startswith(b"HTTP/1.1 200 ")
    assert await said(store, "a") == {"country": "Dé"}
