"""kill -9 under load, of a server, the worker, the supervisor or all: no answer and no event is lost or changed."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.faults.clients import Ledger, ask_all, ask_and_tell, ask_and_tell_again, load, loaded, more, named, until
from tests.faults.parts import Part
from tests.faults.servers import Process, create, free_port, run, serve, up, verify

ATTEMPTS = 5

Victims = Mapping[str, Callable[[Process], object]]

VICTIMS: Victims = {
    "server": lambda running: os.kill(running.children()["serve"][0], signal.SIGKILL),
    "worker": lambda running: os.kill(running.children()["worker"][0], signal.SIGKILL),
    "supervisor": lambda running: running.stop(signal.SIGKILL),
    "all": Process.kill_all,
}


def kills(
    database: Path | str, cycles: int, acknowledgements: int, seed: int = 1, victims: Victims = VICTIMS
) -> dict[str, int]:
    """Run cycles of start, load, kill, load, kill all; then every device asks again."""
    port, ledger = free_port(), Ledger()
    create(database)
    chance, killed = random.Random(seed), Counter[str]()
    for cycle in range(cycles):
        with up(database, port) as running:
            victim = chance.choice(list(victims))
            killed[victim] += 1
            asyncio.run(_cycle(running, port, ledger, named(str(cycle)), acknowledgements, victims[victim]))
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
    return figures | {f"killed_{victim}": killed[victim] for victim in victims}


def control(
    database: Path | str,
    cycles: int,
    defect: str = "commits-late",
    kill: Callable[[Process], object] = lambda server: server.stop(signal.SIGKILL),
    prepare: Callable[[], object] = lambda: None,
) -> dict[str, int]:
    """Answers that are sent, and events that are accepted, before they are durable must be lost.

    `prepare`: what is done to the new database first.
    On a busy machine the last answers may be durable before the kill. So there are several attempts.
    """
    port, ledger = free_port(), Ledger()
    create(database)
    prepare()
    events: list[str] = []
    for attempt in range(ATTEMPTS):
        for cycle in range(cycles):
            with serve(database, port, defect=defect) as server:
                names = named(f"{attempt}-{cycle}")
                asyncio.run(load(port, ledger, names, more(ledger, 100), act=ask_and_tell))
                kill(server)
        with serve(database, port, defect=defect):
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
    return kills(folder / "abtest.db", part.of(2_000), 600, part.seed) | control(folder / "control.db", 5)


def test_answers_survive_kill_9(tmp_path: Path) -> None:
    kills(tmp_path / "abtest.db", 4, acknowledgements=200)


def test_answers_before_their_commit_are_lost(tmp_path: Path) -> None:
    control(tmp_path / "abtest.db", 2)


async def _cycle(
    running: Process,
    port: int,
    ledger: Ledger,
    names: Iterator[str],
    acknowledgements: int,
    kill: Callable[[Process], object],
) -> None:
    """Kill in the middle of the load, which goes on with the processes that survive."""
    async with loaded(port, ledger, names, act=ask_and_tell):
        await until(more(ledger, acknowledgements // 2))
        await asyncio.to_thread(kill, running)
        enough = more(ledger, acknowledgements // 2)
        await until(lambda: enough() or running.code is not None)
