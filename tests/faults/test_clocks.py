"""Clocks that are wrong by more than a year, or jump: the database orders first requests, not a clock."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.clients import Ledger, ask_all, load, more, named
from tests.faults.parts import Part
from tests.faults.servers import create, run, several_serve, verify
from tests.faults.shims import COMPILER, WITHOUT_COMPILER, Shim

pytestmark = pytest.mark.skipif(COMPILER is None, reason=WITHOUT_COMPILER)

DAYS = 24 * 3600


def clocks(
    database: Path | str,
    folder: Path,
    steps: int,
    devices: int,
    days: tuple[int, int] = (400, -400),
    defect: str = "",
    seed: int = 1,
) -> tuple[dict[str, int], str]:
    """Run two processes with different clocks that jump, and a third one that creates experiments.

    `folder`: for the shims. `days`: by how many days the clocks of the two are wrong at the start.
    """
    ledger = Ledger()
    create(database)
    shims = [Shim(folder, folder / "abtest.db") for _ in range(3)]
    for shim, wrong in zip(shims, days, strict=False):
        shim.set("clock_seconds", wrong * DAYS)
    chance = random.Random(seed)
    with several_serve(database, shims[:2], defect) as port:
        for step in range(steps):
            asyncio.run(load(port, ledger, named(str(step)), more(ledger, devices)))
            shims[2].set("clock_seconds", chance.randint(-400, 400) * DAYS)
            arguments = ("experiments", "add", f"step-{step}", "--variant", "a=1", "--variant", "b=1")
            assert run(database, *arguments, shim=shims[2]).returncode == 0
            for shim in shims[:2]:
                shim.set("clock_seconds", chance.randint(-400, 400) * DAYS)
        asyncio.run(ask_all(port, ledger, list(ledger.answers)))
    assert (ledger.lost, ledger.changed) == ([], [])
    assert run(database, "worker", "--once", shim=shims[2]).returncode == 0
    return {"steps": steps, "devices": len(ledger.answers)}, verify(database)


def sound(folder: Path, steps: int, devices: int, seed: int = 1) -> dict[str, int]:
    """No promise may depend on a clock."""
    figures, broken = clocks(folder / "sound.db", folder, steps, devices, seed=seed)
    assert broken == ""
    return figures


def control(folder: Path, steps: int) -> dict[str, int]:
    """With servers that compare clocks, verify must find something broken. Both are slow: either may be asked."""
    _, broken = clocks(folder / "control.db", folder, steps, 40, (-400, -400), "compares-clocks")
    assert "broken" in broken
    return {"control_steps": steps}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return sound(folder, part.of(40), 500, part.seed) | control(folder, 6)


def test_wrong_clocks_change_nothing(tmp_path: Path) -> None:
    sound(tmp_path, 3, 40)


def test_a_server_that_compares_clocks_is_noticed(tmp_path: Path) -> None:
    control(tmp_path, 3)
