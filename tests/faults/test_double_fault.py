"""A kill, a restart, and then a power cut: answers from after the kill must survive too."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from tests.faults.clients import Ledger, connected, load, named
from tests.faults.parts import Part
from tests.faults.recordings import ACKNOWLEDGED, acknowledgements, records, syncing
from tests.faults.servers import Process, create, free_port, serve
from tests.faults.shims import COMPILER, WITHOUT_COMPILER, Shim
from tests.faults.states import Outcome, examine

pytestmark = pytest.mark.skipif(COMPILER is None, reason=WITHOUT_COMPILER)

SLOW_DISK = 100_000
"""How many microseconds a sync takes: long enough to be seen, and to kill the server during it."""
EACH = 5
"""How many states are examined at every answer after the restart."""


async def answers_again(port: int, ledger: Ledger) -> None:
    """Ask for the devices that the server knows, with HEAD, which never enrols."""
    async with connected(port) as connection:
        for token in ledger.asked[-200:]:
            if (await connection.ask(token, "HEAD")).status == 200:
                ledger.note(token, await connection.ask(token))


def double_fault(folder: Path, number: int, each: int, defect: str) -> Outcome:
    """Kill and restart once; then examine `each` states at every answer that came after the restart."""
    folder = folder / f"{defect or 'sound'}-{number}"
    folder.mkdir()
    database = folder / "abtest.db"
    create(database)
    before = database.read_bytes()
    shim = Shim(folder, database, log=folder / "log")
    assert shim.log is not None
    shim.set("sync_microseconds", SLOW_DISK)
    with acknowledgements(shim.log) as note:
        at_the_kill = _kill_and_ask(database, shim, Ledger(note), defect)
    log = records(shim.log)
    answers = [place + 1 for place in range(at_the_kill, len(log)) if log[place].kind == ACKNOWLEDGED]
    return examine(folder, before, log, answers, each, random.Random(number))


def _kill_and_ask(database: Path, shim: Shim, ledger: Ledger, defect: str) -> int:
    """Kill a server, then ask a new one and kill it too; returns how many records there were at the first kill."""
    port = free_port()
    assert shim.log is not None
    with serve(database, port, shim=shim, defect=defect) as server:
        asyncio.run(_kill_in_a_sync(port, ledger, server, shim.log))
    at_the_kill = len(records(shim.log))
    shim.set("sync_microseconds", 0)
    with serve(database, port, shim=shim, defect=defect) as server:
        asyncio.run(answers_again(port, ledger))
        server.stop(signal.SIGKILL)
    return at_the_kill


async def _kill_in_a_sync(port: int, ledger: Ledger, server: Process, log: Path) -> None:
    """Load the server until a commit is written but not yet synced, then kill it."""

    async def kill() -> None:
        while ledger.acknowledged < 40 or not syncing(log):  # noqa: ASYNC110  # another process's work
            await asyncio.sleep(0.001)
        server.stop(signal.SIGKILL)

    killing = asyncio.create_task(kill())
    await load(port, ledger, named("a"), killing.done, clients=16)
    await killing


def double_faults(folder: Path, kills: int, states: int, defect: str = "", seed: int = 1) -> tuple[int, Outcome]:
    """Make at least so many kills, and enough for so many states; returns the number of kills, and the outcome."""
    whole = Outcome()
    number = 0
    while number < kills or whole.states < states:
        whole.add(double_fault(folder, 1_000 * seed + number, EACH, defect))
        number += 1
        assert number <= 5 * kills, "no kill came between a commit's writes and their sync"
    return number, whole


def sound(folder: Path, kills: int, states: int, seed: int = 1) -> dict[str, int]:
    """No answer may be lost."""
    kills, outcome = double_faults(folder, kills, states, seed=seed)
    assert outcome.bad == 0, outcome
    return {"kills": kills} | outcome.figures()


def control(folder: Path, kills: int, states: int) -> dict[str, int]:
    """Without the commit at the start, answers must be lost if a kill came before a sync."""
    whole = Outcome()
    for seed in range(1, 10):
        whole.add(double_faults(folder, kills, states, defect="boots-without-commit", seed=seed)[1])
        if whole.lost:
            break
    assert whole.lost, whole
    return whole.figures("control_")


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    figures = sound(folder, part.of(20), part.of(500), part.seed)
    return figures | control(folder, part.of(5), part.of(50))


def test_answers_of_a_restarted_server_survive_a_power_cut(tmp_path: Path) -> None:
    sound(tmp_path, kills=2, states=4)


def test_without_the_commit_at_the_start_they_are_lost(tmp_path: Path) -> None:
    control(tmp_path, kills=1, states=2)
