"""kill -9 of two processes that change an experiment at once: each change has its entry, and the chain holds."""

import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from abtest.store.sqlite.driver import open_raw
from tests.faults.parts import Part
from tests.faults.servers import COLOR, ROOT, SECONDS, create, verify

PHASES = "SELECT count(*) - 1 FROM phase"
ENTRIES = "SELECT count(*) - 1 FROM journal"  # one entry says that the experiment was added


def kills(folder: Path, cycles: int, defect: str = "", seed: int = 1) -> tuple[dict[str, int], str]:
    """Let two processes change an experiment and kill them, several times; returns figures, and what verify finds."""
    database, chance = folder / f"{defect or 'sound'}.db", random.Random(seed)
    create(database, COLOR)
    acknowledged = 0
    for _ in range(cycles):
        acknowledged += _cycle(database, defect, chance)
    with closing(open_raw(database)) as raw:
        changes, entries = (raw.execute(query).fetchone()[0] for query in (PHASES, ENTRIES))
    assert changes >= acknowledged
    figures = {"kills": 2 * cycles, "acknowledged": acknowledged, "changes": changes, "entries": entries}
    return figures, verify(database)


def sound(folder: Path, cycles: int, seed: int = 1) -> dict[str, int]:
    """There must be as many entries as changes, and verify must find nothing."""
    figures, broken = kills(folder, cycles, seed=seed)
    assert broken == ""
    assert figures["entries"] == figures["changes"]
    return figures


def control(folder: Path, cycles: int) -> dict[str, int]:
    """With entries in their own transactions, some must be missing."""
    figures, _ = kills(folder, cycles, defect="records-apart")
    missing = figures["changes"] - figures["entries"]
    assert missing > 0
    return {"control_kills": figures["kills"], "control_missing": missing}


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    return sound(folder, part.of(100), part.seed) | control(folder, 5)


def test_changes_and_their_entries_survive_kill_9_together(tmp_path: Path) -> None:
    sound(tmp_path, 3)


def test_entries_in_transactions_of_their_own_are_lost(tmp_path: Path) -> None:
    control(tmp_path, 3)


def _cycle(database: Path, defect: str, chance: random.Random) -> int:
    """Kill two processes once both have changed something; returns how many changes they know of."""
    said = [database.with_name(f"said-{time.monotonic_ns()}") for _ in range(2)]
    processes = []
    try:
        for each in said:
            command = [sys.executable, "-m", "tests.faults.changing", str(database), *([defect] if defect else [])]
            with each.open("wb") as output:
                processes.append(subprocess.Popen(command, stdout=output, cwd=ROOT))
        until = time.monotonic() + SECONDS
        while not all(each.stat().st_size for each in said):
            assert time.monotonic() < until, "nothing is changed"
            time.sleep(0.01)
        time.sleep(chance.random() / 4)
    finally:
        for process in processes:
            process.kill()
            process.wait(SECONDS)
    return sum(each.read_text(encoding="utf-8").count("\n") for each in said)
