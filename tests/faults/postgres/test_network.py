"""A network that is slow, cut, or silent between servers and PostgreSQL: nothing is lost, and all goes on."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.faults.clients import until
from tests.faults.parts import Part
from tests.faults.postgres.clusters import alone
from tests.faults.postgres.machines import Machine, every, machines, more_devices, settled
from tests.faults.postgres.namespaces import namespace
from tests.faults.postgres.proxies import Proxy, asked_something, asked_to_store, committed, proxied
from tests.faults.servers import create
from tests.postgres import Server

DELAYS = (0.001, 0.1)
"""How many seconds everything takes, each way."""
SILENT_SECONDS = 10.0
NOTICED_SECONDS = 5.0
BACK_SECONDS = 10.0


@contextmanager
def apart(server: Server, defect: str = "") -> Iterator[tuple[list[Machine], Sequence[Proxy]]]:
    """Two machines on a new database, each behind its own network."""
    create(server.url)
    with proxied(server) as one, proxied(server) as other, machines([one.url, other.url], defect) as both:
        yield both, (one, other)


def slow(devices: int) -> dict[str, int]:
    """Everything takes longer, each way."""
    with alone() as server, apart(server) as (both, proxies):
        for delay in DELAYS:
            for proxy in proxies:
                proxy.delay = delay
            asyncio.run(more_devices(both, devices))
        for proxy in proxies:
            proxy.delay = 0
        settled(server.url, both)
    return {"devices_delayed": sum(len(each.ledger.answers) for each in both)}


def cuts(number: int) -> dict[str, int]:
    """Connections are cut before a request arrives, or after a commit whose answer never arrives."""
    with alone() as server, apart(server) as (both, proxies):
        asyncio.run(_cut(both, proxies, [asked_something, committed] * number))
        settled(server.url, both)
    return {"cut": sum(proxy.cut for proxy in proxies), "devices": sum(len(each.ledger.answers) for each in both)}


def control(number: int) -> dict[str, int]:
    """With servers that answer although a commit failed, answers must be lost."""
    with alone() as server, apart(server, "ignores-failed-commits") as (both, proxies):
        asyncio.run(_cut(both, proxies, [asked_to_store] * number))
        stored = {token for (token,) in server.execute("SELECT token FROM device")}
    lost = sum(len(each.ledger.answers.keys() - stored) for each in both)
    assert lost
    return {"control_lost": lost}


def silence(times: int, seconds: float) -> dict[str, int]:
    """The network is silent: nothing passes, nothing is refused."""
    with alone() as server, apart(server) as (both, proxies):

        def be_silent(silent: bool) -> None:
            for proxy in proxies:
                proxy.silent = silent

        return _silent(server, both, be_silent, times, seconds, "silent")


def unplugged(times: int, seconds: float) -> dict[str, int]:
    """The wire between both machines and PostgreSQL is unplugged."""
    with namespace() as one, namespace() as other, alone() as server, proxied(server, one.host) as proxy:
        create(server.url)
        with machines([proxy.url] * 2, within=[one.within, other.within]) as both:

            def unplug(out: bool) -> None:
                for each in (one, other):
                    each.plug("down" if out else "up")

            return _silent(server, both, unplug, times, seconds, "unplugged")


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    figures = slow(part.of(2_000)) | cuts(part.of(50)) | control(5)
    figures |= silence(part.of(5), SILENT_SECONDS) | unplugged(part.of(5), SILENT_SECONDS)
    for name, seconds in (("noticed", NOTICED_SECONDS), ("back", BACK_SECONDS)):
        assert max(figures[f"silent_{name}_ms"], figures[f"unplugged_{name}_ms"]) <= 1000 * seconds, figures
    return figures


def test_a_slow_network_loses_nothing() -> None:
    slow(20)


def test_connections_that_are_cut_lose_nothing() -> None:
    cuts(2)


def test_commits_that_fail_and_are_answered_are_lost() -> None:
    control(1)


def test_a_silent_network_passes() -> None:
    silence(1, 0)


def test_a_wire_that_is_unplugged_passes() -> None:
    unplugged(1, 0)


async def _cut(both: list[Machine], proxies: Sequence[Proxy], cut: Sequence[Callable[[bytes, bool], bool]]) -> None:
    """Under load, cut each network before each of these, and wait until both machines are back."""
    async with both[0].asked(), both[1].asked():
        for what in cut:
            for proxy in proxies:
                back = every(each.stores(5) for each in both)
                await until(proxy.cuts(what))
                await until(back)


def _silent(
    server: Server, both: list[Machine], hush: Callable[[bool], None], times: int, seconds: float, name: str
) -> dict[str, int]:
    played = asyncio.run(_hush(both, hush, times, seconds))
    settled(server.url, both)
    noticed, back = (max(each) for each in zip(*played, strict=True))
    figures = {f"{name}_noticed_ms": round(1000 * noticed), f"{name}_back_ms": round(1000 * back)}
    return figures | {f"{name}_known_answered": sum(each.known for each in both)}


async def _hush(
    both: list[Machine], hush: Callable[[bool], None], times: int, seconds: float
) -> list[tuple[float, float]]:
    """Be silent for so many seconds and until noticed; returns seconds until then, and until devices are stored."""
    played = []
    async with both[0].asked(), both[1].asked():
        for _ in range(times):
            await until(every(each.stores(50) for each in both))
            noticed, began = every(each.refuses() for each in both), time.monotonic()
            hush(True)
            await until(noticed)
            took = time.monotonic() - began
            await asyncio.sleep(max(0, seconds - took))
            stored, began = every(each.stores(1) for each in both), time.monotonic()
            hush(False)
            await until(stored)
            played.append((took, time.monotonic() - began))
    return played
