"""kill -9 under load, of a server, the worker, the supervisor or all: no answer and no event is lost or changed."""

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

from tests.faults.clients import Ledger, ask_all, ask_and_tell, ask_and_tell_again, load, more, named
from tests.faults.parts import Part
from tests.faults.servers import Process, create, free_port, run, serve, up, verify

VICTIMS = ("server", "worker", "supervisor", "all")


ATTEMPTS = 5


def kills(folder: Path, cycles: int, acknowledgements: int, seed: int = 1) -> dict[str, int]:
    """Cycles of start, load, kill, load, kill all; then every device asks again."""
    database, port, ledger = folder / "abtest.db", free_port(), Ledger()
    create(database)
    chance, killed = random.Random(seed), Counter[str]()
    for cycle in range(cycles):
        names = named(str(cycle))
        with up(database, port) as running:
            asyncio.run(load(port, ledger, names, more(ledger, acknowledgements // 2), act=ask_and_tell))
            victim = chance.choice(VICTIMS)
            killed[victim] += 1
            _kill(running, victim)
            if running.code is None:
                asyncio.run(load(port, ledger, names, more(ledger, acknowledgements // 2), act=ask_and_tell))
            running.kill_all()
    told = len(ledger.told)
    assert told
    with serve(database, port):
        asyncio.run(ask_all(port, ledger, list(ledger.answers), act=ask_and_tell_again))
    assert run(database, "worker", "--once").returncode == 0
    assert (ledger.lost, ledger.changed) == ([], [])
    assert ledger.told == set(ledger.answers)
    assert verify(database) == ""
    figures = {"cycles": cycles, "acknowledged": ledger.acknowledged, "devices": len(ledger.answers)}
    figures["events"] = 2 * told
    return figures | {f"killed_{victim}": killed[victim] for victim in VICTIMS}


def control(folder: Path, cycles: int) -> dict[str, int]:
    """Answers that are sent, and events that are accepted, before their commit must be lost.

    On a busy machine what was answered last may be durable before the kill: then it is tried once more.
    """
    database, port, ledger = folder / "control.db", free_port(), Ledger()
    create(database)
    events: list[str] = []
    for attempt in range(ATTEMPTS):
        for cycle in range(cycles):
            with serve(database, port, defect="commits-late") as server:
                names = named(f"{attempt}-{cycle}")
                asyncio.run(load(port, ledger, names, more(ledger, 100), act=ask_and_tell))
                server.stop(signal.SIGKILL)
        with serve(database, port):
            asyncio.run(ask_all(port, ledger, list(ledger.answers), act=ask_and_tell_again))
        events = [each for each in ledger.lost if each.startswith("events")]
        if len(ledger.lost) > len(events) > 0:
            break
    assert len(ledger.lost) > len(events) > 0
    return {
        "control_cycles": cycles,
        "control_lost": len(ledger.lost) - len(events),
        "control_lost_events": len(events),
    }


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return kills(folder, part.of(2_000), 600, part.seed) | control(folder, 5)


def test_answers_survive_kill_9(tmp_path: Path) -> None:
    kills(tmp_path, 4, acknowledgements=200)


def test_answers_before_their_commit_are_lost(tmp_path: Path) -> None:
    control(tmp_path, 2)


def _kill(running: Process, victim: str) -> None:
    if victim == "all":
        running.kill_all()
    elif victim == "supervisor":
        running.stop(signal.SIGKILL)
    else:
        os.kill(running.children()["serve" if victim == "server" else "worker"][0], signal.SIGKILL)
