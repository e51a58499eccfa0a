"""The store in one SQLite file."""

from collections.abc import Callable, Sequence
from pathlib import Path

from abtest.models import Change, Experiment, NewExperiment
from abtest.store import cataloguing, enrolling
from abtest.store.base import Enrolment
from abtest.store.database import Database
from abtest.store.driver import Raw

BOOT = "UPDATE meta SET value = value + 1 WHERE name = 'boots'"


class SQLiteStore:
    """Fulfils every Protocol of base.py. Open it after a fork, and close it always."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self._catalogue = enrolling.NOTHING

    async def open(self, migrate: bool = False) -> None:
        """See Database.open."""
        await self._database.open(migrate)

    async def close(self) -> None:
        """See Database.close."""
        await self._database.close()

    async def boot(self) -> None:
        """Commit once before anything is answered.

        After kill -9, what other processes wrote and never synced can be read back; this commit's sync makes all
        of it durable.
        """
        await self._database.write(_boot)

    async def enrol(self, tokens: Sequence[str], now: int) -> Enrolment:
        """See EnrolmentStore.enrol."""
        self._catalogue, enrolment = await self._database.write(enrolling.enrol, self._catalogue, tokens, now)
        return enrolment

    async def find(self, tokens: Sequence[str]) -> Enrolment:
        """See EnrolmentStore.find."""
        return await self._database.read(enrolling.find, self._catalogue, tokens)

    async def config_version(self) -> int:
        """See EnrolmentStore.config_version."""
        return await self._database.read(enrolling.config_version)

    async def experiments(self) -> list[Experiment]:
        """See ExperimentStore.experiments."""
        return await self._database.read(cataloguing.experiments)

    async def add(self, experiments: Sequence[NewExperiment], now: int) -> None:
        """See ExperimentStore.add."""
        await self._database.write(cataloguing.add, experiments, now)

    async def change(self, key: str, rule: Callable[[Experiment], Change], now: int) -> Experiment:
        """See ExperimentStore.change."""
        return await self._database.write(cataloguing.change, key, rule, now)


def _boot(connection: Raw) -> None:
    connection.execute(BOOT)
