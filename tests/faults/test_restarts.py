"""SIGTERM under load, again and again: no request that was accepted fails, and every end takes at most 10 seconds."""

import asyncio
import signal
import time
from pathlib import Path

from msgspec import Struct, field

from tests.faults.clients import GONE, Ledger, ask_all, connected, named
from tests.faults.parts import Part
from tests.faults.servers import create, free_port, serve, verify

CLIENTS = 8
REQUESTS = 20
LONGEST_END = 10


class Failures(Struct):
    """What got no answer: requests on connections that had been answered before, and connections that never were.

    The kernel resets a connection whose handshake is under way when the process that it chose closes the port; its
    client may have sent the first request already. No server has accepted it.
    """

    requests: list[str] = field(default_factory=list)
    connections: int = 0


def rolling_restarts(folder: Path, restarts: int, defect: str = "") -> tuple[dict[str, int], list[str]]:
    """Two processes share the port; one after the other is replaced. The figures, and which requests failed."""
    database, port, ledger = folder / f"{defect or 'sound'}.db", free_port(), Ledger()
    create(database)
    failures, slowest = asyncio.run(_roll(database, port, ledger, restarts, defect))
    with serve(database, port):
        asyncio.run(ask_all(port, ledger, list(ledger.answers)))
    assert (ledger.lost, ledger.changed) == ([], [])
    assert verify(database) == ""
    refused = sum(ledger.refused.values())
    assert all(b"draining" in body for body in ledger.refused)
    assert slowest <= LONGEST_END
    figures = {"restarts": restarts, "devices": len(ledger.answers), "refused_as_draining": refused}
    figures |= {"connections_reset": failures.connections, "slowest_end_ms": int(1000 * slowest)}
    return figures, failures.requests


def sound(folder: Path, restarts: int) -> dict[str, int]:
    """No request that reached a server fails; of the connections hardly any is reset."""
    figures, failed = rolling_restarts(folder, restarts)
    assert figures["connections_reset"] <= 1 + restarts // 20
    assert failed == [], failed
    return figures


def control(folder: Path) -> dict[str, int]:
    """Servers that end at once must fail some."""
    _, failed = rolling_restarts(folder, 3, defect="ends-connections")
    assert failed
    return {"control_failed": len(failed)}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return sound(folder, part.of(100)) | control(folder)


def test_a_rolling_restart_fails_no_request(tmp_path: Path) -> None:
    sound(tmp_path, 3)


def test_servers_that_end_at_once_would(tmp_path: Path) -> None:
    control(tmp_path)


async def _roll(database: Path, port: int, ledger: Ledger, restarts: int, defect: str) -> tuple[Failures, float]:
    stop, failures = asyncio.Event(), Failures()
    running = [serve(database, port, defect=defect) for _ in range(2)]
    clients = [asyncio.create_task(_client(port, ledger, f"{number}", stop, failures)) for number in range(CLIENTS)]
    slowest = 0.0
    try:
        for _ in range(restarts):
            old = running.pop(0)
            before = len(ledger.answers)
            while len(ledger.answers) < before + 50:  # noqa: ASYNC110  # another process's work
                await asyncio.sleep(0.005)
            began = time.monotonic()
            old.send(signal.SIGTERM)
            await asyncio.to_thread(old.wait)
            slowest = max(slowest, time.monotonic() - began)
            old.__exit__(None, None, None)
            running.append(await asyncio.to_thread(serve, database, port, defect=defect))
    finally:
        stop.set()
        await asyncio.gather(*clients)
        for each in running:
            each.__exit__(None, None, None)
    return failures, slowest


async def _client(port: int, ledger: Ledger, name: str, stop: asyncio.Event, failures: Failures) -> None:
    """Asks until stopped, on a connection for a few requests each."""
    names = named(name)
    while not stop.is_set():
        request = -1
        try:
            async with connected(port) as connection:
                for request in range(REQUESTS):  # noqa: B007  # told when it fails
                    token = next(names)
                    reply = await connection.ask(token)
                    ledger.note(token, reply)
                    if reply.header(b"Connection") == b"close":
                        break
        except GONE as error:
            if request < 1:
                failures.connections += 1
            else:
                failures.requests.append(f"request {request} of a connection: {error!r}")
