"""SIGTERM under load, again and again: no request fails, and every end takes at most 10 seconds."""

import asyncio
import os
import signal
import time
from pathlib import Path

from tests.faults.clients import GONE, Ledger, ask_all, connected, named
from tests.faults.parts import Part
from tests.faults.servers import Process, create, ended, free_port, up, verify

CLIENTS = 8
REQUESTS = 20
LONGEST_END = 10


def rolling_restarts(folder: Path, restarts: int, number: signal.Signals) -> tuple[dict[str, int], list[str]]:
    """Stop two server processes in turn, again and again; the supervisor starts them again.

    Returns the figures, and which requests failed.
    """
    database, port, ledger = folder / f"{number.name}.db", free_port(), Ledger()
    create(database)
    with up(database, port) as running:
        failed, slowest = asyncio.run(_roll(running, port, ledger, restarts, number))
        asyncio.run(ask_all(port, ledger, list(ledger.answers)))
    assert (ledger.lost, ledger.changed) == ([], [])
    assert verify(database) == ""
    assert ledger.refused == {}, ledger.refused
    assert slowest <= LONGEST_END
    figures = {"restarts": restarts, "devices": len(ledger.answers), "slowest_end_ms": int(1000 * slowest)}
    return figures, failed


def sound(folder: Path, restarts: int) -> dict[str, int]:
    """No request may fail, and no connection may be reset or refused."""
    figures, failed = rolling_restarts(folder, restarts, signal.SIGTERM)
    assert failed == []
    return figures


def control(folder: Path) -> dict[str, int]:
    """With servers that end at once, some requests must fail."""
    _, failed = rolling_restarts(folder, 3, signal.SIGKILL)
    assert failed
    return {"control_failed": len(failed)}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return sound(folder, part.of(100)) | control(folder)


def test_a_rolling_restart_fails_no_request(tmp_path: Path) -> None:
    sound(tmp_path, 4)


def test_servers_that_end_at_once_fail_requests(tmp_path: Path) -> None:
    control(tmp_path)


async def _roll(
    running: Process, port: int, ledger: Ledger, restarts: int, number: signal.Signals
) -> tuple[list[str], float]:
    stop, failed = asyncio.Event(), list[str]()
    clients = [asyncio.create_task(_client(port, ledger, f"{name}", stop, failed)) for name in range(CLIENTS)]
    slowest = 0.0
    servers = running.children()["serve"]
    try:
        for _ in range(restarts):
            before = len(ledger.answers)
            while len(ledger.answers) < before + 50:  # noqa: ASYNC110  # another process's work
                await asyncio.sleep(0.005)
            old = servers.pop(0)
            began = time.monotonic()
            os.kill(old, number)
            await asyncio.to_thread(ended, [old])
            slowest = max(slowest, time.monotonic() - began)
            while not (new := set(running.children()["serve"]) - {old, *servers}):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            servers += new
    finally:
        stop.set()
        await asyncio.gather(*clients)
    return failed, slowest


async def _client(port: int, ledger: Ledger, name: str, stop: asyncio.Event, failed: list[str]) -> None:
    """Ask until stopped, with a few requests on each connection."""
    names = named(name)
    while not stop.is_set():
        request = -1
        try:
            async with connected(port) as connection:
                for request in range(REQUESTS):  # noqa: B007  # named in the message if it fails
                    reply = await connection.ask(token := next(names))
                    ledger.note(token, reply)
                    if reply.header(b"Connection") == b"close":
                        break
        except GONE as error:
            failed.append(f"request {request} of a connection: {error!r}")
