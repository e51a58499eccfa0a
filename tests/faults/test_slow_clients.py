"""Connections that trickle their headers or bodies: they are closed, and others hardly notice them."""

import asyncio
import sys
import time
from pathlib import Path
from statistics import quantiles

from tests.faults.clients import Ledger, connected, named
from tests.faults.parts import Part
from tests.faults.servers import ROOT, create, free_port, serve
from tests.faults.trickling import trickle_all


def slow_clients(folder: Path, number: int, requests: int, defect: str = "") -> dict[str, int]:
    """The p99 of normal clients in microseconds, without slow clients and with this many."""
    database, port = folder / f"{defect or 'sound'}.db", free_port()
    create(database)
    with serve(database, port, "--idle-timeout", "90", "--body-timeout", "90", "--deadline", "60", defect=defect):
        alone, beside = asyncio.run(_measure(port, number, requests))
    return {"slow_clients": number, "p99_alone_us": alone, "p99_beside_us": beside}


def closed(folder: Path, number: int) -> dict[str, int]:
    """The server must close all slow connections once their time is over."""
    database, port = folder / "closed.db", free_port()
    create(database)
    with serve(database, port, "--idle-timeout", "0.5", "--body-timeout", "0.5"):
        asyncio.run(_wait_for_the_end(port, number))
    return {"closed": number}


def control(folder: Path, number: int) -> dict[str, int]:
    """With a server that reads more slowly the more connections it has, normal clients must notice."""
    figures = slow_clients(folder, number, 1_000, defect="reads-slowly")
    assert figures["p99_beside_us"] > 2 * figures["p99_alone_us"], figures
    return {f"control_{name}": figure for name, figure in figures.items()}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    number = part.of(1_000)
    figures = slow_clients(folder, number, part.of(20_000))
    assert figures["p99_beside_us"] <= 2 * figures["p99_alone_us"], figures
    return figures | closed(folder, number) | control(folder, 1_000)


def test_slow_connections_are_closed(tmp_path: Path) -> None:
    closed(tmp_path, 50)


async def _measure(port: int, number: int, requests: int) -> tuple[int, int]:
    await _p99(port, requests // 4, "warm")
    alone = await _p99(port, requests, "alone")
    slow = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.trickling", str(port), str(number), "0.5", cwd=ROOT
    )
    await asyncio.sleep(2)
    beside = await _p99(port, requests, "beside")
    assert slow.returncode is None
    slow.kill()
    await slow.wait()
    return alone, beside


async def _p99(port: int, requests: int, name: str) -> int:
    ledger, names, took = Ledger(), named(name), []
    async with connected(port) as connection:
        for _ in range(requests):
            token = next(names)
            began = time.perf_counter()
            ledger.note(token, await connection.ask(token))
            took.append(time.perf_counter() - began)
    assert not ledger.refused, ledger.refused
    return int(1_000_000 * quantiles(took, n=100)[98])


async def _wait_for_the_end(port: int, number: int) -> None:
    async with asyncio.timeout(30):
        await trickle_all(port, number, 0.1)
