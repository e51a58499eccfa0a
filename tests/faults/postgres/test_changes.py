"""Experiments change under load in PostgreSQL: no device is enrolled wrongly, and every server notices."""

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from abtest import bootstrap
from abtest.domain import NewExperiment, Variant
from abtest.management import ExperimentService
from tests.faults import test_changes
from tests.faults.clients import OK, Connection, connected, named
from tests.faults.parts import Part
from tests.faults.postgres.clusters import alone
from tests.faults.postgres.machines import Machine, machines
from tests.faults.servers import create
from tests.scenes import ANNA

NOTICED_SECONDS = 1.0


def noticed(changes: int) -> dict[str, int]:
    """Archive experiments under load: two servers must then answer known devices without them."""
    with alone() as server:
        create(server.url)
        with machines([server.url] * 2) as both:
            took = asyncio.run(_archived(server.url, both, changes))
    assert not any(each.ledger.lost or each.ledger.changed for each in both)
    return {"archived": len(took), "noticed_ms": round(1000 * max(took))}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    with alone() as server, alone() as other:
        figures = test_changes.sound(server.url, part.of(200), part.seed) | test_changes.control(other.url, 20)
    figures |= noticed(part.of(50))
    assert figures["noticed_ms"] <= 1000 * NOTICED_SECONDS, figures
    return figures


def test_changes_under_load_enrol_no_device_wrongly() -> None:
    with alone() as server:
        test_changes.sound(server.url, 20)


def test_processes_that_notice_no_change_enrol_wrongly() -> None:
    with alone() as server:
        test_changes.control(server.url, 6)


def test_a_change_under_load_reaches_every_server() -> None:
    noticed(3)


async def _archived(database: str, both: Sequence[Machine], changes: int) -> list[float]:
    """How many seconds after each change both servers knew of it."""
    variants = (Variant("on", Decimal(1)), Variant("off", Decimal(1)))
    took = []
    async with (
        bootstrap.opened(database) as store,
        both[0].asked(),
        both[1].asked(),
        connected(both[0].port) as one,
        connected(both[1].port) as other,
    ):
        service = ExperimentService(store, by=ANNA)
        for number in range(changes):
            key = f"change-{number}"
            await service.add([NewExperiment(key, variants)])
            device = await _with_value(one, key)
            assert await _has(other, device, key)
            await service.finish(key)
            await service.archive(key)
            began = time.monotonic()
            for each in (one, other):
                while await _has(each, device, key):  # noqa: ASYNC110  # another process notices
                    await asyncio.sleep(0.005)
            took.append(time.monotonic() - began)
    return took


async def _with_value(connection: Connection, key: str) -> str:
    """The name of a device that has a value of this experiment; some devices are held out."""
    for name in named(key):
        if await _has(connection, name, key):
            return name
    raise AssertionError


async def _has(connection: Connection, device: str, key: str) -> bool:
    reply = await connection.ask(device)
    assert reply.status == OK, reply
    return f'"{key}"'.encode() in reply.body
