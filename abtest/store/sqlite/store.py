"""The store in one SQLite file."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from abtest.domain.experiments import Change, Event, Experiment, Metric, NewExperiment
from abtest.errors import StorageError, Unavailable
from abtest.store.protocols import (
    NO_METRICS,
    Chunk,
    Condition,
    DeviceRecord,
    Enrolment,
    EventChunk,
    EventLedger,
    ExperimentRecord,
    Folded,
    Ledger,
    Measured,
    Summary,
)
from abtest.store.sqlite import auditing, backup, cataloguing, enrolling, erasing, events, measuring, summarising
from abtest.store.sqlite.database import Database
from abtest.store.sqlite.driver import Raw

BOOTS = "SELECT value FROM meta WHERE name = 'boots'"

TRIES, PAUSE_SECONDS = 100, 0.02

BOOT = "UPDATE meta SET value = value + 1 WHERE name = 'boots'"


class SQLiteStore:
    """Fulfils every Protocol of base.py. Open it after a fork, and close it always."""

    def __init__(self, path: Path, free_disk: float = 0, patience: float | None = None) -> None:
        """`free_disk` in megabytes: below it, no device is enrolled. `patience`: see Database."""
        self._database = Database(path, patience)
        self._free_disk = free_disk * 1_000_000
        self._catalogue = enrolling.NOTHING

    async def open(self, migrate: bool = False, create: bool = True) -> None:
        """See Database.open."""
        await self._database.open(migrate, create)

    async def close(self) -> None:
        """See Database.close."""
        await self._database.close()

    @property
    def failure(self) -> StorageError | None:
        """See ConditionStore.failure."""
        return self._database.failure

    async def boot(self) -> None:
        """Commit once before anything is answered.

        After kill -9, what other processes wrote and never synced can be read back; this commit's sync makes all
        of it durable. On a full disk the files are synced without a commit.
        """
        try:
            await self._database.write(_boot)
        except Unavailable as error:
            if error.code != "storage_full":
                raise
            await self._database.alone(self._sync)

    async def boots(self) -> int:
        """How often a server or a worker was started on this database."""
        return await self._database.read(_boots)

    async def enrol(self, tokens: Sequence[str], now: int) -> Enrolment:
        """See EnrolmentStore.enrol."""
        self._require_room()
        self._catalogue, enrolment = await self._database.write(enrolling.enrol, self._catalogue, tokens, now)
        return enrolment

    async def find(self, tokens: Sequence[str]) -> Enrolment:
        """See EnrolmentStore.find."""
        self._catalogue, enrolment = await self._database.read(enrolling.find, self._catalogue, tokens)
        return enrolment

    async def config_version(self) -> int:
        """See EnrolmentStore.config_version."""
        return await self._database.read(enrolling.config_version)

    async def experiments(self) -> list[Experiment]:
        """See ExperimentStore.experiments."""
        return await self._database.read(cataloguing.experiments)

    async def add(
        self,
        experiments: Sequence[NewExperiment],
        now: int,
        metrics: Mapping[str, tuple[Metric, ...]] = NO_METRICS,
    ) -> list[Experiment]:
        """See ExperimentStore.add."""
        return await self._database.write(cataloguing.add, experiments, now, metrics)

    async def change(self, key: str, rule: Callable[[Experiment], Change], now: int) -> Experiment:
        """See ExperimentStore.change."""
        return await self._database.write(cataloguing.change, key, rule, now)

    async def summary(self) -> Summary:
        """See SummaryStore.summary."""
        return await self._database.read(summarising.summary)

    async def enrolled_per_hour(self, experiment_id: int) -> list[tuple[int, int]]:
        """See SummaryStore.enrolled_per_hour."""
        return await self._database.read(summarising.per_hour, experiment_id)

    async def track(self, requests: Sequence[tuple[str, Sequence[Event]]], now: int) -> list[int | None]:
        """See EventStore.track."""
        self._require_room()
        return await self._database.write(events.track, requests, now)

    async def measured(self) -> list[Measured]:
        """See MeasureStore.measured."""
        return await self._database.read(measuring.all_measured)

    async def conclude(self, documents: Sequence[tuple[int, str]]) -> None:
        """See MeasureStore.conclude."""
        await self._database.write(measuring.conclude, documents)

    async def result(self, key: str) -> str | None:
        """See ResultStore.result."""
        return await self._database.read(summarising.result, key)

    async def results(self) -> dict[int, str]:
        """See ResultStore.results."""
        return await self._database.read(summarising.results)

    def condition(self) -> Condition:
        """See ConditionStore.condition."""
        return self._database.condition()

    def try_lease(self) -> bool:
        """See FoldingStore.try_lease."""
        return self._database.try_lease()

    async def fold(self, most: int, now: int) -> Folded:
        """See FoldingStore.fold."""
        return await self._database.write(summarising.fold, most, now)

    async def ledger(self) -> Ledger:
        """See AuditStore.ledger."""
        return await self._database.read(auditing.ledger)

    async def chunk(self, after: int, upto: int) -> Chunk:
        """See AuditStore.chunk."""
        return await self._database.read(auditing.chunk, after, upto)

    async def event_ledger(self) -> EventLedger:
        """See AuditStore.event_ledger."""
        return await self._database.read(auditing.event_ledger)

    async def event_chunk(self, after: int, upto: int) -> EventChunk:
        """See AuditStore.event_chunk."""
        return await self._database.read(auditing.event_chunk, after, upto)

    async def experiment_records(self) -> tuple[ExperimentRecord, ...]:
        """See AuditStore.experiment_records."""
        return await self._database.read(auditing.experiments)

    async def device(self, token: str) -> DeviceRecord:
        """See AuditStore.device."""
        return await self._database.read(auditing.device, token)

    async def forget(self, tokens: Sequence[str]) -> int:
        """See ErasureStore.forget."""
        return await self._database.write(erasing.forget, tokens)

    async def empty_log(self) -> bool:
        """See ErasureStore.empty_log."""
        await self._database.outside(erasing.write_log_back)
        for _ in range(TRIES):
            if await self._database.alone(erasing.truncate_log):
                return True
            await asyncio.sleep(PAUSE_SECONDS)
        return False

    async def copy(self, target: Path, progress: Callable[[int, int], None]) -> None:
        """Copy the database into a new file while it is used; see backup.copy."""
        await self._database.outside(backup.copy, target, progress)

    async def mark_restored(self, now: int) -> None:
        """See backup.mark_restored."""
        await self._database.write(backup.mark_restored, now)

    async def check(self) -> list[str]:
        """What SQLite itself finds wrong with the file; nothing when it is sound."""
        return await self._database.read(_check)

    def _sync(self, connection: Raw) -> None:
        _boots(connection)  # opens the log, which SQLite may make the database's content of
        for path in (self._database.path, self._database.log):
            if path.exists():
                backup.flush(path)

    def _require_room(self) -> None:
        if self._free_disk and self._database.free_disk() < self._free_disk:
            raise Unavailable("the disk is nearly full", code="storage_full")


def _check(connection: Raw) -> list[str]:
    found = [line for (line,) in connection.execute("PRAGMA integrity_check(20)") if line != "ok"]
    return found + [
        f"row {row} of {table} refers to a row of {parent} that is not there"
        for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(20)
    ]


def _boots(connection: Raw) -> int:
    (boots,) = connection.execute(BOOTS).fetchone()
    return int(boots)


def _boot(connection: Raw) -> None:
    connection.execute(BOOT)
