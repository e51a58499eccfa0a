"""Bytes that no client would send to the HTTP port: no crash, no 5xx, no stored rubbish."""

import asyncio
import random
import re
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from abtest.domain.devices import TOKEN
from tests.faults.clients import GONE, Ledger, load, more, named
from tests.faults.parts import Part
from tests.faults.servers import Process, create, free_port, run, serve, verify

HANGS_SECONDS = 600
"""After so long without an answer, the server hangs: all its time-outs are below a second."""
LEAVES = 10
"""One client in so many closes its connection at once."""
HUGE = b"GET / HTTP/1.1\r\nHost: a\r\nPadding: " + b"a" * 17 * 1024
"""A head over the limit of 16 KiB, which the server answers with an error."""
WELL = b'GET /api/v1/experiments HTTP/1.1\r\nHost: a\r\nDevice-Token: fuzz-%d\r\nIf-None-Match: "a"\r\n\r\n'
PIECES = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b" ",
    b"\t",
    b":",
    b"Device-Token: a\r\n",
    b"Content-Length: 99\r\n",
    b"%00",
    b"\xff\xfe",
    b"Transfer-Encoding: chunked\r\n",
    b"HTTP/9.9",
    b"POST",
    b"Expect: 100-continue\r\n",
    b"Content-Length: -1\r\n",
    b"a" * 20000,
    b"Device-Token: \xc3\xa9\r\n",
    b"Connection: upgrade\r\n",
    b"Content-Encoding: gzip\r\n",
    b"/../../etc/passwd",
    b"?a=%zz",
)


def fuzz(folder: Path, requests: int, seed: int = 1, defect: str = "") -> dict[str, int]:
    """Send broken requests; then every promise must hold, and every stored token must be valid."""
    database, port, ledger = folder / f"{defect or 'sound'}.db", free_port(), Ledger()
    create(database)
    with serve(database, port, "--idle-timeout", "0.3", "--body-timeout", "0.3", defect=defect) as server:
        statuses = asyncio.run(_send_all(port, requests, random.Random(seed), server))
        asyncio.run(load(port, ledger, named("well"), more(ledger, 60)))
        assert not ledger.refused
        assert not re.search("Traceback|Uncaught exception", server.messages()), server.messages()
        assert server.stop() == 0
    assert statuses, "nothing was answered"
    assert not any(status.startswith(b"5") for status in statuses), statuses
    connection = sqlite3.connect(database)
    rubbish = [
        token for (token,) in connection.execute("SELECT token FROM device_token") if not TOKEN.fullmatch(token)
    ]
    connection.close()
    assert rubbish == [], "rubbish was stored"
    assert verify(database) == ""
    assert run(database, "db", "check").returncode == 0
    return {"requests": requests} | {
        f"answered_{status.decode()}": times for status, times in sorted(statuses.items())
    }


def control(folder: Path) -> dict[str, int]:
    """A server that takes any token must be noticed."""
    with pytest.raises(AssertionError, match="rubbish was stored"):
        fuzz(folder, 300, defect="takes-any-token")
    return {"control_noticed": 1}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return fuzz(folder, part.of(20_000), part.seed) | control(folder)


def test_broken_requests_break_nothing(tmp_path: Path) -> None:
    fuzz(tmp_path, 300)


def test_a_server_that_takes_any_token_stores_rubbish(tmp_path: Path) -> None:
    control(tmp_path)


async def _send_all(port: int, requests: int, chance: random.Random, server: Process) -> dict[bytes, int]:
    statuses: dict[bytes, int] = {}
    gate = asyncio.Semaphore(50)

    async def send(data: bytes) -> None:
        async with gate:
            for status in await _send(port, data):
                statuses[status] = statuses.get(status, 0) + 1

    async def send_and_leave(data: bytes) -> None:
        async with gate:
            await _send_and_leave(port, data)

    await asyncio.gather(
        *(
            send_and_leave(WELL % number + HUGE) if number % LEAVES == 0 else send(_broken(WELL % number, chance))
            for number in range(requests)
        )
    )
    assert server.code is None
    return statuses


def _broken(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data))
        way = chance.randrange(4)
        if way == 0:
            data = data[:at] + chance.choice(PIECES) + data[at:]
        elif way == 1:
            data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        elif way == 2:
            data = data[: max(1, at)]
        else:
            data = data + data[at:]
    return data


async def _send(port: int, data: bytes) -> list[bytes]:
    """The statuses that came back. Raises TimeoutError if neither an answer nor the end comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    async with asyncio.timeout(HANGS_SECONDS):
        with suppress(*GONE):
            writer.write(data)
            writer.write_eof()
            got = await reader.read()
    writer.close()
    return [line[9:12] for line in got.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


async def _send_and_leave(port: int, data: bytes) -> None:
    """Close at once without reading, so that the server writes to a connection that is gone."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.close()
