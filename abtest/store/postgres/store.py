"""The store in one PostgreSQL database."""

from collections.abc import Mapping, Sequence
from operator import attrgetter

from abtest.domain import Attributes, Event
from abtest.store.enrolment import NOTHING_SAID, Enrolment
from abtest.store.postgres import enrolling, tracking
from abtest.store.postgres.database import MOST_CONNECTIONS, Database
from abtest.store.relational.enrolling import NOTHING, Catalogue, Kept
from abtest.store.relational.store import RelationalStore
from abtest.store.relational.summarising import Decided


class PostgresStore(Database, RelationalStore):
    """Implements the Protocols of enrolment, events, the catalogue, people, the journal and the figures."""

    batches_at_once = MOST_CONNECTIONS - 1  # one connection is left for everything else that writes

    def __init__(self, url: str, patience: float | None = None, connections: int = MOST_CONNECTIONS) -> None:
        """`patience`, `connections`: see Database."""
        super().__init__(url, patience, connections)
        self._catalogue = NOTHING
        self._kept = Kept()
        self._decided = Decided()

    async def enrol(
        self, tokens: Sequence[str], now: int, attributes: Mapping[str, Attributes] = NOTHING_SAID
    ) -> Enrolment:
        """See EnrolmentStore.enrol."""
        catalogue, kept = self._catalogue, self._kept.known()
        catalogue, enrolment, profiles = await self.run(
            0, lambda connection: enrolling.enrol(connection, catalogue, kept, tokens, now, attributes)
        )
        self._learn(catalogue)
        self._kept.learn(profiles)
        return enrolment

    async def find(self, tokens: Sequence[str]) -> Enrolment:
        """See EnrolmentStore.find."""
        catalogue = self._catalogue
        catalogue, enrolment = await self.run(1, lambda connection: enrolling.find(connection, catalogue, tokens))
        self._learn(catalogue)
        return enrolment

    async def track(self, requests: Sequence[tuple[str, Sequence[Event]]], now: int) -> list[int | None]:
        """See EventStore.track."""
        return await self.run(0, lambda connection: tracking.track(connection, requests, now))

    def _learn(self, catalogue: Catalogue) -> None:
        """Several requests are under way: one that began earlier may end later."""
        self._catalogue = max(self._catalogue, catalogue, key=attrgetter("config_version"))
