"""Servers on two machines whose clocks are 400 days apart: every device has one value, and every value its share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import test_clocks
from tests.faults.parts import Part
from tests.faults.postgres.clusters import alone
from tests.faults.postgres.namespaces import namespace
from tests.faults.postgres.proxies import proxied
from tests.faults.servers import create, several_serve
from tests.faults.shims import COMPILER, WITHOUT_COMPILER, Shim
from tests.faults.test_first_requests import ask_at_once, check_shares
from tests.postgres import Server

pytestmark = pytest.mark.skipif(COMPILER is None, reason=WITHOUT_COMPILER)

PROCESSES = 4
APART_DAYS = 400


@contextmanager
def serving(server: Server, folder: Path, defect: str = "") -> Iterator[int]:
    """Server processes on two machines whose clocks are wrong. Gives the port that they share, once all answer.

    Each machine is a network namespace, with PostgreSQL at the other end of its wire.
    """
    shims = [Shim(folder, folder / "abtest.db") for _ in range(PROCESSES)]
    for place, shim in enumerate(shims):
        shim.set("clock_seconds", (place % 2 * APART_DAYS - APART_DAYS // 2) * test_clocks.DAYS)
    with namespace() as one, namespace() as other, proxied(server, one.host) as proxy:
        within = [one.within, other.within] * (PROCESSES // 2)
        with several_serve(proxy.url, shims, defect, within) as port:
            yield port


def sound(folder: Path, devices: int, steps: int, seed: int = 1) -> dict[str, int]:
    """`devices`: a multiple of 200; each asks 8 times at once. Then the clocks jump, and experiments are created."""
    with alone() as server:
        create(server.url)
        with serving(server, folder) as port:
            ledger = ask_at_once(port, devices)
        check_shares(server.url, ledger, devices)
    with alone() as server:
        jumped, broken = test_clocks.clocks(server.url, folder, steps, 100, seed=seed)
        assert broken == ""
    return {"devices": devices, "requests": ledger.acknowledged, "clock_steps": jumped["steps"]}


def control(folder: Path, devices: int) -> dict[str, int]:
    """Processes that draw separately, and processes that compare clocks, must be noticed."""
    with alone() as server:
        create(server.url)
        with serving(server, folder, "draws-anew") as port:
            ledger = ask_at_once(port, devices)
        assert ledger.changed
    with alone() as server:
        _, broken = test_clocks.clocks(server.url, folder, 3, 40, (-400, -400), "compares-clocks")
        assert "broken" in broken
    return {"control_changed": len(ledger.changed)}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return sound(folder, 200 * part.of(50), part.of(20), part.seed) | control(folder, 120)


def test_machines_with_wrong_clocks_give_a_device_one_value(tmp_path: Path) -> None:
    sound(tmp_path, 600, 3)


def test_machines_that_draw_separately_are_noticed(tmp_path: Path) -> None:
    control(tmp_path, 60)
