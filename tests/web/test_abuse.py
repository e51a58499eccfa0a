"""What holds for every answer, whoever asks and however wrongly."""

import asyncio
import fcntl
import logging
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado.ioloop import IOLoop

from abtest.bootstrap import wired
from abtest.domain.experiments import NewExperiment, Variant
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from abtest.web.server import LISTENING
from tests.conftest import Client
from tests.scenes import new, until

DEVICE = "GET /api/v1/experiments HTTP/1.1"
PROXY = {"trusted_proxies": "127.0.0.1", "new_per_source": 0.01, "new_per_source_burst": 1}
MARK = "mark-of-the-asker"
"""What stands in every request, wherever the asker chooses the words."""

ANSWERS: dict[str, tuple[dict[str, Any], str, int]] = {
    "a device": ({}, f"{DEVICE}\r\nDevice-Token: {MARK}", 200),
    "a device that has the answer": ({}, f"{DEVICE}\r\nDevice-Token: {MARK}\r\nIf-None-Match: *", 304),
    "an unknown device": ({}, f"{DEVICE.replace('GET', 'HEAD')}\r\nDevice-Token: {MARK}", 404),
    "a bad token": ({}, f"{DEVICE}\r\nDevice-Token: {MARK} {MARK}", 400),
    "two tokens": ({}, f"{DEVICE}\r\nDevice-Token: {MARK}\r\nDevice-Token: {MARK}", 400),
    "too many new devices": (PROXY, f"{DEVICE}\r\nDevice-Token: {MARK}\r\nX-Forwarded-For: 192.0.2.1", 429),
    "a disk that is nearly full": ({"free_disk": 10**9}, f"{DEVICE}\r\nDevice-Token: {MARK}", 503),
    "one connection too many": ({"connections": 0}, f"{DEVICE}\r\nDevice-Token: {MARK}", 503),
    "another method": ({}, f"DELETE /api/v1/experiments HTTP/1.1\r\nDevice-Token: {MARK}", 405),
    "a method of nobody": ({}, f"{MARK.upper()} /api/v1/stats HTTP/1.1", 405),
    "a long body": ({}, f"POST /{MARK} HTTP/1.1\r\nContent-Length: 65537", 413),
    "flags of no device": (
        {},
        f"POST /ofrep/v1/evaluate/flags?{MARK} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 0",
        400,
    ),
    "flags in another type": ({}, f"POST /ofrep/v1/evaluate/flags HTTP/1.1\r\nContent-Type: {MARK}", 415),
    "flags by another method": ({}, f"GET /ofrep/v1/evaluate/flags?{MARK} HTTP/1.1", 405),
    "flags with a long body": ({}, "POST /ofrep/v1/evaluate/flags HTTP/1.1\r\nContent-Length: 65537", 413),
    "an unknown path": ({}, f"GET /{MARK}?{MARK} HTTP/1.1", 404),
    "an unknown path in a browser": ({}, f"GET /{MARK}?{MARK} HTTP/1.1\r\nAccept: text/html", 404),
    "an unknown experiment": ({}, f"GET /experiments/{MARK} HTTP/1.1", 404),
    "a path that is not UTF-8": ({}, f"GET /experiments/{MARK}%ff HTTP/1.1", 400),
    "a number that is none": ({}, f"GET /simulate/run?devices={MARK} HTTP/1.1", 422),
    "another site": ({}, f"GET /simulate?devices=1&a={MARK} HTTP/1.1\r\nSec-Fetch-Site: cross-site", 403),
    "a form of another site": ({}, f"POST /why?{MARK} HTTP/1.1\r\nContent-Length: 0", 403),
    "a file that is not there": ({}, f"GET /static/{MARK} HTTP/1.1", 404),
    "the statistics": ({}, f"GET /api/v1/stats?{MARK} HTTP/1.1", 200),
    "a page": ({}, f"GET /?{MARK} HTTP/1.1", 200),
    "a file": ({}, "GET /static/abtest.css HTTP/1.1", 200),
    "figures": ({}, f"GET /metrics?{MARK} HTTP/1.1", 200),
}
every_answer = pytest.mark.parametrize(
    ("limits", "request_text", "status"), ANSWERS.values(), ids=[name.replace(" ", "-") for name in ANSWERS]
)


@pytest.fixture
def settings(tmp_path: Path, limits: dict[str, Any]) -> Settings:
    return Settings(database=f"sqlite:///{tmp_path}/abtest.db", **limits)


@pytest.fixture
def app(tmp_path: Path, io_loop: IOLoop, settings: Settings) -> Iterator[HotServer]:
    store = SQLiteStore(new(tmp_path / "abtest.db"), settings.free_disk)
    io_loop.run_sync(store.open)
    color = NewExperiment(key="color", variants=(Variant("red", Decimal(1)), Variant("blue", Decimal(1))))
    io_loop.run_sync(lambda: store.add([color], 1))
    yield make_app(wired(store, settings))
    io_loop.run_sync(store.close)


async def told(client: Client, request: str) -> bytes:
    """All that comes back for a request with these first lines."""
    return await client.send(f"{request}\r\nHost: {MARK}\r\nConnection: close\r\n\r\n".encode())


async def last(client: Client, request: str, status: int) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body; a limit that lets some through is used up first."""
    if status == 429:
        await told(client, request.replace(MARK, "the-first"))
    head, _, body = (await told(client, request)).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return (
        int(first.split()[1]),
        {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)},
        body,
    )


@every_answer
async def test_every_answer_is_guarded(client: Client, request_text: str, status: int) -> None:
    found, headers, _ = await last(client, request_text, status)
    assert found == status
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src '" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers
    if status >= 400:
        assert headers["cache-control"] == "no-store"


@every_answer
async def test_no_answer_repeats_the_request(client: Client, request_text: str, status: int) -> None:
    _, headers, body = await last(client, request_text, status)
    assert MARK not in str(headers)
    assert MARK.encode() not in body.lower()


@every_answer
async def test_retry_after_is_in_whole_seconds(client: Client, request_text: str, status: int) -> None:
    _, headers, _ = await last(client, request_text, status)
    assert headers.get("retry-after", "").isdecimal() is (status in {429, 503})


@every_answer
async def test_no_line_of_a_log_has_a_token(
    client: Client, request_text: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await last(client, request_text, status)
    assert MARK not in caplog.text


async def problem(client: Client, token: str) -> tuple[int, str, bool]:
    """Status, code, and whether it is said in whole seconds when to ask again."""
    status, headers, body = await last(client, f"{DEVICE}\r\nDevice-Token: {token}", 0)
    return status, str(msgspec.json.decode(body)["code"]), headers["retry-after"].isdecimal()


@pytest.mark.parametrize("limits", [{"queue": 1, "deadline": 0.2}])
async def test_a_held_database_and_a_full_queue_are_told_apart(
    client: Client, app: HotServer, tmp_path: Path
) -> None:
    lock = os.open(tmp_path / "abtest.db.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    waiting = asyncio.create_task(problem(client, "first"))
    await until(lambda: app.enrolment.waiting)
    assert await problem(client, "second") == (503, "queue_full", True)
    assert await waiting == (503, "busy", True)
    os.close(lock)


@pytest.mark.parametrize("limits", [{}])
async def test_a_client_that_sends_on_before_its_answer_fills_no_memory(
    client: Client, app: HotServer, tmp_path: Path
) -> None:
    lock = os.open(tmp_path / "abtest.db.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    _, writer = await asyncio.open_connection("127.0.0.1", int(client.address.rpartition(":")[2]))
    writer.write(f"{DEVICE}\r\nHost: a\r\nDevice-Token: {MARK}\r\n\r\n".encode())
    try:
        await until(lambda: app.enrolment.waiting)
        ((connection, _),) = app.connections.answering.items()
        writer.write(b"a" * 1_000_000)
        await until(lambda: connection.stream._state != LISTENING)
        assert not connection.stream.closed()
        writer.close()
    finally:
        os.close(lock)


@pytest.mark.parametrize("limits", [{}])
async def test_a_server_that_stops_says_so_to_new_devices_and_answers_known_ones(
    client: Client, app: HotServer
) -> None:
    known = f"{DEVICE}\r\nDevice-Token: known"
    first = await last(client, known, 0)
    await app.drain()
    assert await problem(client, "new") == (503, "draining", True)
    assert (await last(client, known, 0))[2] == first[2]


@pytest.mark.parametrize("limits", [{"body_timeout": 0.1}])
async def test_a_body_that_does_not_come_ends_the_connection(client: Client) -> None:
    assert await told(client, f"POST /{MARK} HTTP/1.1\r\nContent-Length: 100") == b""


@pytest.mark.parametrize("limits", [{"header_limit": 2_048}])
async def test_headers_over_the_limit_end_the_connection_and_store_nothing(client: Client, app: HotServer) -> None:
    answer = await told(client, f"{DEVICE}\r\nDevice-Token: a\r\nX-Long: {'a' * 2_048}")
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"headers_too_large" in answer
    assert await app.enrolment.find("a") is None
    assert (await last(client, f"{DEVICE}\r\nDevice-Token: a\r\nX-Long: {'a' * 1_024}", 0))[0] == 200
