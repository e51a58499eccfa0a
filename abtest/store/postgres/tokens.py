"""The tokens of an app's devices in PostgreSQL, where each stands in its device's row."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from abtest.domain import app_of, unscoped
from abtest.store.postgres.connection import Connection
from abtest.store.postgres.database import Database

TOKENS = "SELECT id, token FROM device WHERE id = ANY (?)"


class Tokens:
    """Implements the Protocol of this name."""

    def __init__(self, database: Database, app: int) -> None:
        self._database = database
        self._app = app

    async def of(self, devices: Collection[int]) -> Mapping[int, str]:
        """See Tokens.of."""
        found = await self._database.read(_tokens, devices)
        return {device: unscoped(token) for device, token in found.items() if app_of(token) == self._app}


@asynccontextmanager
async def tokens(store: Database, app: int) -> AsyncIterator[Tokens]:
    """See ExportStore.tokens."""
    yield Tokens(store, app)


def _tokens(connection: Connection, devices: Collection[int]) -> dict[int, str]:
    return dict(connection.execute(TOKENS, (list(devices),)).fetchall())
