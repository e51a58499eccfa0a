"""The power fails while devices are enrolled: no answer is lost or changed."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.clients import Ledger, load, named
from tests.faults.parts import Part
from tests.faults.recordings import SYNC_BEGINS, WRITE, Record, acknowledgements, records
from tests.faults.servers import Process, create, free_port, serve
from tests.faults.shims import COMPILER, WITHOUT_COMPILER, Shim
from tests.faults.states import Outcome, examine

pytestmark = pytest.mark.skipif(COMPILER is None, reason=WITHOUT_COMPILER)


def record(folder: Path, answers: int, defect: str = "") -> tuple[bytes, list[Record]]:
    """The database at the start, and all changes by a server and a worker until this many answers were given."""
    folder.mkdir()
    database = folder / "abtest.db"
    create(database)
    before = database.read_bytes()
    shim = Shim(folder, database, log=folder / "log")
    assert shim.log is not None
    port = free_port()
    with (
        acknowledgements(shim.log) as note,
        serve(database, port, shim=shim, defect=defect) as server,
        Process(database, "worker", "--interval", "0.1", shim=shim, defect=defect) as worker,
    ):
        ledger = Ledger(note)
        asyncio.run(load(port, ledger, named("a"), lambda: ledger.acknowledged >= answers))
        worker.stop()
        server.stop()
    return before, records(shim.log)


def power_cuts(
    folder: Path, recordings: int, answers: int, points: int, each: int, defect: str = "", seed: int = 1
) -> Outcome:
    """Examine several recordings: in each, `points` moments with `each` states, half of the moments inside a sync."""
    whole = Outcome()
    chance = random.Random(seed)
    for number in range(recordings):
        before, log = record(folder / f"{defect or 'sound'}-{number}", answers, defect)
        changes = [place + 1 for place, each in enumerate(log) if each.kind in (WRITE, SYNC_BEGINS)]
        inside = [place + 1 for place, each in enumerate(log) if each.kind == SYNC_BEGINS]
        moments = chance.choices(changes, k=points - points // 2) + chance.choices(inside or changes, k=points // 2)
        whole.add(examine(folder, before, log, moments, each, chance))
    return whole


def sound(folder: Path, recordings: int, answers: int, points: int, each: int, seed: int = 1) -> dict[str, int]:
    """No state may lose or change an answer."""
    outcome = power_cuts(folder, recordings, answers, points, each, seed=seed)
    assert (outcome.states, outcome.bad) == (recordings * points * each, 0), outcome
    return outcome.figures()


def control(folder: Path, answers: int, points: int) -> dict[str, int]:
    """With synchronous=NORMAL, most states in which something was not synced must be bad."""
    outcome = power_cuts(folder, 1, answers, points, 1, defect="syncs-seldom")
    assert 2 * outcome.bad > outcome.with_unsynced_changes > 0, outcome
    return outcome.figures("control_")


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    figures = sound(folder, part.of(10), answers=2_000, points=500, each=2, seed=part.seed)
    return figures | control(folder, 2_000, 300)


def test_answers_survive_a_power_cut(tmp_path: Path) -> None:
    sound(tmp_path, recordings=1, answers=1_000, points=250, each=2)


def test_with_synchronous_normal_they_are_lost(tmp_path: Path) -> None:
    control(tmp_path, answers=400, points=300)
