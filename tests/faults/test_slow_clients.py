"""Connections that trickle their headers or bodies: they are closed, and others hardly notice them."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from statistics import quantiles

from tests.faults.clients import GONE, Ledger, connected, named
from tests.faults.parts import Part
from tests.faults.servers import create, free_port, serve

HEADERS = b"GET /api/v1/experiments HTTP/1.1\r\nHost: a\r\n"
BODY = b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"


def slow_clients(folder: Path, number: int, requests: int, defect: str = "") -> dict[str, int]:
    """The p99 of normal clients alone and beside so many slow ones, in microseconds."""
    database, port = folder / f"{defect or 'sound'}.db", free_port()
    create(database)
    with serve(database, port, "--idle-timeout", "30", "--body-timeout", "30", defect=defect):
        alone, beside = asyncio.run(_measure(port, number, requests))
    return {"slow_clients": number, "p99_alone_us": alone, "p99_beside_us": beside}


def closed(folder: Path, number: int) -> dict[str, int]:
    """So many slow connections are closed by the server once their time is over."""
    database, port = folder / "closed.db", free_port()
    create(database)
    with serve(database, port, "--idle-timeout", "0.5", "--body-timeout", "0.5"):
        asyncio.run(_wait_for_the_end(port, number))
    return {"closed": number}


def control(folder: Path, number: int) -> dict[str, int]:
    """Where reading takes longer beside many connections, normal clients must notice."""
    figures = slow_clients(folder, number, 1_000, defect="reads-slowly")
    assert figures["p99_beside_us"] > 2 * figures["p99_alone_us"], figures
    return {f"control_{name}": figure for name, figure in figures.items()}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    number = part.of(1_000)
    figures = slow_clients(folder, number, part.of(20_000))
    assert figures["p99_beside_us"] <= 2 * figures["p99_alone_us"], figures
    return figures | closed(folder, number) | control(folder, number)


def test_slow_connections_are_closed(tmp_path: Path) -> None:
    closed(tmp_path, 50)


async def _measure(port: int, number: int, requests: int) -> tuple[int, int]:
    await _p99(port, requests // 4, "warm")
    alone = await _p99(port, requests, "alone")
    slow = [asyncio.create_task(_trickle(port, HEADERS if each % 2 else BODY, 0.5)) for each in range(number)]
    await asyncio.sleep(1)
    beside = await _p99(port, requests, "beside")
    for each in slow:
        each.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    return alone, beside


async def _p99(port: int, requests: int, name: str) -> int:
    ledger, names, took = Ledger(), named(name), []
    async with connected(port) as connection:
        for _ in range(requests):
            token = next(names)
            began = time.perf_counter()
            ledger.note(token, await connection.ask(token))
            took.append(time.perf_counter() - began)
    assert not ledger.refused
    return int(1_000_000 * quantiles(took, n=100)[98])


async def _trickle(port: int, begin: bytes, pause: float) -> None:
    """One byte at a time, for ever or until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(*GONE):
        writer.write(begin)
        while not reader.at_eof():
            await asyncio.sleep(pause)
            writer.write(b"a")
            await writer.drain()
    writer.close()


async def _wait_for_the_end(port: int, number: int) -> None:
    async with asyncio.timeout(30):
        await asyncio.gather(*(_trickle(port, HEADERS if each % 2 else BODY, 0.1) for each in range(number)))
