"""The primary is killed or hangs, and its standby takes its place: nothing is lost, or the servers say so."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from statistics import median

from tests.faults.clients import ask, ask_all, until
from tests.faults.parts import Part
from tests.faults.postgres.clusters import Cluster, cluster, hang, kill, kill_first
from tests.faults.postgres.machines import Machine, every, machines, more_devices, settled, some
from tests.faults.servers import create, run
from tests.postgres import Server

ENDS: tuple[Callable[[Server], object], ...] = (kill_first, hang, Server.stop, kill)
"""The ways in which a primary ends."""
NOTICED_SECONDS = 5.0
BACK_SECONDS = 10.0
LAG = 300
"""How many devices come to each machine that the standby lacks."""


def failovers(number: int, seed: int = 1) -> dict[str, int]:
    """Make one failover after another, under load; each old primary becomes a standby again."""
    with cluster() as pair:
        create(pair.url)
        pair.insist()
        with machines([pair.url] * 2) as both:
            played = asyncio.run(_under_load(pair, both, number, random.Random(seed)))
            settled(pair.url, both)
    figures = {"failovers": number, "devices": sum(len(each.ledger.answers) for each in both)}
    figures["known_answered"] = sum(each.known for each in both)
    for name, seconds in zip(("noticed_ms", "back_ms"), zip(*played, strict=True), strict=True):
        figures |= {name: round(1000 * median(seconds)), f"slowest_{name}": round(1000 * max(seconds))}
    return figures


@contextmanager
def losing(defect: str = "") -> Iterator[tuple[Cluster, list[Machine], set[str]]]:
    """Promote a standby that lacks some answers; then the devices that got them ask both machines again.

    Yields these devices too.
    """
    with cluster() as pair:
        create(pair.url)
        with machines([pair.url] * 2, defect) as both:
            asyncio.run(more_devices(both, 100))
            pair.catch_up()
            pair.deafen()
            asyncio.run(more_devices(both, LAG))
            kill(pair.primary)
            pair.promote()
            left = {token for (token,) in pair.primary.execute("SELECT token FROM device")}
            lost = {token for each in both for token in each.ledger.answers} - left
            asyncio.run(_ask_again(both, lost))
            yield pair, both, lost


def sound() -> dict[str, int]:
    """The servers must notice, and give no other answer until the loss is accepted."""
    with losing() as (pair, both, lost):
        assert len(lost) >= 2 * LAG
        for each in both:
            assert each.refused("answers_lost")
            assert (each.ledger.lost, each.ledger.changed) == ([], [])
        accepted = run(pair.url, "db", "accept-loss")
        assert accepted.returncode == 0, accepted.stderr
        for each in both:
            each.ledger.answers = {token: body for token, body in each.ledger.answers.items() if token not in lost}
        asyncio.run(more_devices(both, 100))
        settled(pair.url, both)
    return {"lost_and_said": len(lost), "refused_until_accepted": sum(each.refused("answers_lost") for each in both)}


def control() -> dict[str, int]:
    """With servers that don't notice, devices must get other answers than before."""
    with losing("ignores-losses") as (_, both, lost):
        changed = sum(len(each.ledger.changed) for each in both)
        assert changed
        return {"control_lost": len(lost), "control_changed": changed}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    figures = failovers(part.of(20), part.seed)
    assert figures["slowest_noticed_ms"] <= 1000 * NOTICED_SECONDS, figures
    assert figures["slowest_back_ms"] <= 1000 * BACK_SECONDS, figures
    return figures | sound() | control()


def test_nothing_is_lost_when_the_standby_takes_over() -> None:
    failovers(2)


def test_answers_that_the_standby_lacks_stop_the_servers_until_that_is_accepted() -> None:
    sound()


def test_servers_that_ignore_a_loss_change_answers() -> None:
    control()


async def _under_load(
    pair: Cluster, both: list[Machine], number: int, chance: random.Random
) -> list[tuple[float, float]]:
    """For each failover, seconds until the end was noticed, and from the promotion until devices were stored."""
    played = []
    async with AsyncExitStack() as stack:
        for each in both:
            await stack.enter_async_context(each.asked())
        for place in range(number):
            await until(every(each.stores(50) for each in both))
            noticed = every(each.refuses() for each in both)
            began = time.monotonic()
            await asyncio.to_thread(ENDS[place % len(ENDS)], pair.primary)
            await until(noticed)
            seconds = time.monotonic() - began
            await asyncio.sleep(chance.random())
            stored = every(each.stores(1) for each in both)
            began = time.monotonic()
            promoting = asyncio.create_task(asyncio.to_thread(pair.promote))
            await until(stored)
            played.append((seconds, time.monotonic() - began))
            await promoting
            await asyncio.to_thread(pair.rejoin, rewind=place % 2 == 0)
            await asyncio.to_thread(pair.insist)
    return played


async def _ask_again(both: list[Machine], lost: set[str]) -> None:
    """Once new devices are answered, or refused because of the loss, the lost devices ask both machines."""
    for each in both:
        await each.ask(some([each.stores(1), each.refuses("answers_lost")]))
    for each, other in zip(both, reversed(both), strict=True):
        of_each = lost & each.ledger.answers.keys()
        await ask_all(each.port, each.ledger, of_each)  # it has them in its cache
        await ask_all(other.port, each.ledger, of_each, act=ask)
