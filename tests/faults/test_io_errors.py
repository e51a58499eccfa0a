"""A sync that fails: nothing more is acknowledged, the process ends, and no earlier answer changes."""

import asyncio
from pathlib import Path

import pytest

from tests.faults.clients import Ledger, ask_all, load, more, named
from tests.faults.parts import Part
from tests.faults.servers import Process, create, free_port, serve, verify
from tests.faults.shims import COMPILER, WITHOUT_COMPILER, Shim

pytestmark = pytest.mark.skipif(COMPILER is None, reason=WITHOUT_COMPILER)


def failing_syncs(folder: Path, cycles: int, defect: str = "") -> dict[str, int]:
    """Let syncs fail under load, several times; then every device asks again."""
    folder = folder / (defect or "sound")
    folder.mkdir()
    database, port, ledger = folder / "abtest.db", free_port(), Ledger()
    create(database)
    for cycle in range(cycles):
        shim = Shim(folder, database)
        with serve(database, port, shim=shim, defect=defect) as server:
            asyncio.run(_cycle(port, ledger, shim, server, str(cycle)))
            assert server.wait() == 1
            assert "disk I/O error" in server.messages()
    with serve(database, port):
        asyncio.run(ask_all(port, ledger, list(ledger.answers)))
    assert (ledger.lost, ledger.changed) == ([], [])
    assert verify(database) == ""
    return {"cycles": cycles, "devices": len(ledger.answers)}


def control(folder: Path) -> dict[str, int]:
    """A process that never syncs notices nothing and goes on answering."""
    with pytest.raises(AssertionError, match="answered after a sync had failed"):
        failing_syncs(folder, 1, defect="syncs-never")
    return {"control_noticed": 1}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return failing_syncs(folder, part.of(50)) | control(folder)


def test_a_failed_sync_ends_the_process_and_changes_nothing(tmp_path: Path) -> None:
    failing_syncs(tmp_path, 2)


def test_a_process_that_never_syncs_goes_on_answering(tmp_path: Path) -> None:
    control(tmp_path)


async def _cycle(port: int, ledger: Ledger, shim: Shim, server: Process, name: str) -> None:
    """Let every sync fail; no device that comes afterwards may be answered."""
    await load(port, ledger, named(name), more(ledger, 50))
    shim.set("sync_fails", 1)
    broken = len(ledger.answers)
    await load(port, ledger, named(f"{name}-late"), lambda: server.code is not None or len(ledger.answers) > broken)
    assert len(ledger.answers) == broken, "answered after a sync had failed"
