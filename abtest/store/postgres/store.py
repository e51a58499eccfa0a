"""The store in one PostgreSQL database."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter

from abtest.domain import Attributes, By, Event
from abtest.errors import StorageError
from abtest.store.audit import Ledger
from abtest.store.copying import CopyStore, Progress
from abtest.store.enrolment import NOTHING_SAID, Enrolment
from abtest.store.postgres import copying, enrolling, migrations, tokens, tracking
from abtest.store.postgres.connection import Connection
from abtest.store.postgres.database import MOST_CONNECTIONS, Database
from abtest.store.postgres.primary import accept_loss
from abtest.store.relational import auditing, upkeep
from abtest.store.relational.enrolling import NOTHING, Catalogue, Kept, config_version
from abtest.store.relational.methods import reading
from abtest.store.relational.store import RelationalStore
from abtest.store.relational.summarising import Decided
from abtest.store.upkeep import Condition, Upkeep

NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT"

SIZE = "SELECT pg_database_size(current_database())"

# PostgreSQL must be able to use every index, and must have found every page that it read as it was written.
CHECK = """
SELECT 'the index ' || indexrelid::REGCLASS || ' is not valid: run REINDEX on it'
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = current_schema()::REGNAMESPACE AND NOT (indisvalid AND indisready)
UNION ALL
SELECT checksum_failures || ' pages did not have the checksum with which they were written'
FROM pg_stat_database WHERE datname = current_database() AND checksum_failures > 0
"""


def _ledger(connection: Connection) -> Ledger:
    return auditing.ledger(connection, connection.stream(auditing.TOKENS))


def _upkeep(connection: Connection) -> Upkeep:
    """See UpkeepStore.upkeep."""
    version = connection.raw.info.parameter_status("server_version") or ""
    ((schema,),) = connection.execute(migrations.VERSION)
    engine = f"PostgreSQL {version.partition(' ')[0]}"
    return upkeep.upkeep(connection, engine, schema, migrations.newest(), backups_known=False)


def _condition(connection: Connection) -> Condition:
    """See ConditionStore.condition."""
    ((size,),) = connection.execute(SIZE)
    return Condition(size, log_bytes=None, free_bytes=None)


def _now(connection: Connection) -> int:
    """See UpkeepStore.now."""
    ((now,),) = connection.execute(NOW)
    return int(now)


def _check(connection: Connection) -> list[str]:
    """What PostgreSQL itself has found wrong; empty where it found nothing."""
    return [line for (line,) in connection.execute(CHECK)]


class PostgresStore(Database, RelationalStore):
    """Implements every Protocol of the store: a database, with functions on its connections as methods."""

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
            0, lambda connection: enrolling.enrol(connection, catalogue, kept, tokens, now, attributes), self.hurry
        )
        self._learn(catalogue)
        self._kept.learn(profiles)
        return enrolment

    async def config_version(self) -> int:
        """See EnrolmentStore.config_version. After losses it raises, so that caches are kept."""
        return await self.run(1, config_version)

    async def find(self, tokens: Sequence[str]) -> Enrolment:
        """See EnrolmentStore.find."""
        catalogue = self._catalogue
        catalogue, enrolment = await self.run(
            1, lambda connection: enrolling.find(connection, catalogue, tokens), self.hurry
        )
        self._learn(catalogue)
        return enrolment

    async def ledger(self) -> Ledger:
        """See AuditStore.ledger."""
        return await self.read_long(_ledger)

    async def accept_loss(self, by: By, now: int) -> None:
        """Let the servers go on that have noticed that this database lacks what they stored."""
        await self.write(accept_loss, by, now)

    async def track(self, requests: Sequence[tuple[str, Sequence[Event]]], now: int) -> list[int | None]:
        """See EventStore.track."""
        return await self.run(0, lambda connection: tracking.track(connection, requests, now), self.hurry)

    failure: StorageError | None = None
    """Always None: a database that can't be reached comes back, and this process trusts no file."""

    tokens = tokens.tokens
    upkeep = reading(_upkeep)
    condition = reading(_condition)
    now = reading(_now)
    check = reading(_check)

    async def empty_log(self) -> bool:
        """See ErasureStore.empty_log. The log belongs to the whole server, which reuses its files by itself."""
        return True

    async def copy_to(self, target: CopyStore, progress: Progress) -> None:
        """See CopyStore.copy_to."""
        await asyncio.to_thread(self.apart, lambda connection: copying.copy_to(connection, target, progress))

    def fill(self, function: Callable[[copying.Target], None]) -> None:
        """See CopyStore.fill."""
        self.apart(lambda connection: function(copying.Target(connection)))

    def _learn(self, catalogue: Catalogue) -> None:
        """Keep the newest catalogue: of several requests under way, one that began earlier may end later."""
        self._catalogue = max(self._catalogue, catalogue, key=attrgetter("config_version"))
