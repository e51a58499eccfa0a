"""The store in one SQLite file."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from abtest import clock
from abtest.domain import Attributes, Event
from abtest.errors import Unavailable
from abtest.store.audit import Ledger
from abtest.store.copying import CopyStore, Progress
from abtest.store.enrolment import NOTHING_SAID, Enrolment
from abtest.store.relational import auditing, upkeep
from abtest.store.relational.enrolling import NOTHING, Kept
from abtest.store.relational.methods import reading, writing
from abtest.store.relational.store import RelationalStore
from abtest.store.relational.summarising import Decided
from abtest.store.sqlite import backup, copying, enrolling, events, log, migrations, tokens
from abtest.store.sqlite.database import Database
from abtest.store.sqlite.driver import Raw, fixed_driver
from abtest.store.upkeep import Process, Upkeep, is_full

TRIES, PAUSE_SECONDS = 100, 0.02

STOPPING_SECONDS = 1.0
"""How long a process that stops waits for other writers."""


def _check(connection: Raw) -> list[str]:
    """What SQLite itself finds wrong with the file; empty when it is sound."""
    found = [line for (line,) in connection.execute("PRAGMA integrity_check(20)") if line != "ok"]
    return found + [
        f"row {row} of {table} refers to a row of {parent} that does not exist"
        for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(20)
    ]


def _ledger(connection: Raw) -> Ledger:
    """See AuditStore.ledger."""
    return auditing.ledger(connection, connection.execute(auditing.TOKENS))


def _upkeep(connection: Raw) -> Upkeep:
    """See UpkeepStore.upkeep."""
    engine, schema = f"SQLite {fixed_driver().sqlite_version}", migrations.version(connection)
    return upkeep.upkeep(connection, engine, schema, migrations.newest(), backups_known=True)


class SQLiteStore(Database, RelationalStore):
    """Implements every Protocol of the store: a database, with functions on its connections as methods."""

    batches_at_once = 1

    def __init__(self, path: Path, free_disk: float = 0, patience: float | None = None) -> None:
        """`free_disk`: megabytes of free disk below which no device is enrolled. `patience`: see Database."""
        super().__init__(path, patience)
        self._free_disk = free_disk
        self._catalogue = NOTHING
        self._kept = Kept()
        self._decided = Decided()

    async def enrol(
        self, tokens: Sequence[str], now: int, attributes: Mapping[str, Attributes] = NOTHING_SAID
    ) -> Enrolment:
        """See EnrolmentStore.enrol."""
        self._require_room()
        self._catalogue, enrolment, profiles = await self.write(
            enrolling.enrol, self._catalogue, self._kept.known(), tokens, now, attributes
        )
        self._kept.learn(profiles)
        return enrolment

    async def find(self, tokens: Sequence[str]) -> Enrolment:
        """See EnrolmentStore.find."""
        self._catalogue, enrolment = await self.read(enrolling.find, self._catalogue, tokens)
        return enrolment

    async def track(self, requests: Sequence[tuple[str, Sequence[Event]]], now: int) -> list[int | None]:
        """See EventStore.track."""
        self._require_room()
        return await self.write(events.track, requests, now)

    tokens = tokens.tokens
    ledger = reading(_ledger)
    upkeep = reading(_upkeep)
    mark_restored = writing(backup.mark_restored)
    check = reading(_check)

    async def now(self) -> int:
        """See UpkeepStore.now."""
        return clock.now()

    async def boot(self) -> None:
        """Commit once before the first answer.

        After kill -9, this process can read what another one wrote but never synced; the sync of this commit makes
        all of that durable. On a full disk the files are synced without a commit.
        """
        try:
            await self.write(upkeep.boot)
        except Unavailable as error:
            if error.code != "storage_full":
                raise
            await self.alone(self._sync)

    async def remove_process(self, process: Process) -> None:
        """See UpkeepStore.remove_process."""
        await self.write_within(STOPPING_SECONDS, upkeep.remove_process, process)

    async def empty_log(self) -> bool:
        """See ErasureStore.empty_log."""
        await self.outside(log.write_log_back)
        for _ in range(TRIES):
            if await self.alone(log.truncate_log):
                return True
            await asyncio.sleep(PAUSE_SECONDS)
        return False

    async def copy(self, target: Path, progress: Callable[[int, int], None]) -> None:
        """Copy the database into a new file while it is used; see backup.copy."""
        await self.outside(backup.copy, target, progress)

    async def require_unused(self) -> None:
        """See CopyStore.require_unused."""
        await asyncio.to_thread(backup.require_unused, self.path)

    async def copy_to(self, target: CopyStore, progress: Progress) -> None:
        """See CopyStore.copy_to."""
        await asyncio.to_thread(self.apart, lambda connection: copying.copy_to(connection, target, progress))

    def fill(self, function: Callable[[copying.Target], None]) -> None:
        """See CopyStore.fill."""
        self.apart(lambda connection: function(copying.Target(connection)))

    def _sync(self, connection: Raw) -> None:
        upkeep.boots(connection)  # opens the log, whose content SQLite may move into the database
        for path in (self.path, self.log):
            if path.exists():
                backup.flush(path)

    def _require_room(self) -> None:
        if self._free_disk and is_full(self.free_disk(), self._free_disk):
            raise Unavailable("the disk is nearly full", code="storage_full")
