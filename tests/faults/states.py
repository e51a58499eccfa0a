"""What the real store finds after a power cut, compared with every answer that was given before."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from abtest.errors import AbtestError
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust.verification import VerificationService
from tests.faults.recordings import ACKNOWLEDGED, DATABASE, WAL, Disk, Record, lay_out
from tests.faults.shims import in_memory
from tests.scenes import values_of

Answer = tuple[str, dict[str, str]]
VERIFIED = 20
"""In one of so many states, all promises are recomputed as well."""


class Outcome(Struct):
    """How many states were examined, how many of them were bad, and how many answers were lost or changed."""

    states: int = 0
    with_unsynced_changes: int = 0
    bad: int = 0
    lost: int = 0
    changed: int = 0
    corrupt: int = 0
    verified: int = 0

    def add(self, other: "Outcome") -> None:
        """Add the counts of another outcome."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def figures(self, prefix: str = "") -> dict[str, int]:
        """The counts by name."""
        return {prefix + name: getattr(self, name) for name in self.__struct_fields__}


def examine(
    folder: Path, before: bytes, log: Sequence[Record], points: Iterable[int], each: int, chance: random.Random
) -> Outcome:
    """Examine `each` states at every point, which is the number of records after which the power fails."""
    outcome = Outcome()
    disk = Disk(before)
    acknowledged: list[Answer] = []
    done = 0
    with in_memory(folder) as states, asyncio.Runner() as runner:
        for point in sorted(points):
            for record in log[done:point]:
                if record.kind == ACKNOWLEDGED:
                    token, body = msgspec.json.decode(record.data)
                    acknowledged.append((token, msgspec.json.decode(body)))
                else:
                    disk.apply(record)
            done = point
            for _ in range(each):
                lay_out(disk.after_power_loss(chance), states / "abtest.db")
                outcome.with_unsynced_changes += any(disk.unsynced(file) for file in (DATABASE, WAL))
                runner.run(_examine(states / "abtest.db", acknowledged, outcome))
    return outcome


async def _examine(database: Path, acknowledged: Sequence[Answer], outcome: Outcome) -> None:
    outcome.states += 1
    store = SQLiteStore(database)
    lost = changed = corrupt = 0
    try:
        await store.open(create=False)
        enrolment = await store.enrol([token for token, _ in acknowledged], 1)
        for token, answer in acknowledged:
            found = values_of(enrolment, token)
            lost += token in enrolment.new
            changed += token not in enrolment.new and found != answer
        corrupt = bool(await store.check())
        if outcome.states % VERIFIED == 0:
            outcome.verified += 1
            corrupt |= bool((await VerificationService(store).verify()).broken)
    except (AbtestError, RuntimeError):
        corrupt = True
    finally:
        await store.close()
    outcome.lost += lost
    outcome.changed += changed
    outcome.corrupt += corrupt
    outcome.bad += bool(lost or changed or corrupt)
