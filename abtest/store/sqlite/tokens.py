"""Finds the tokens of devices: in the database, only the device of a token can be found."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from tempfile import NamedTemporaryFile

from abtest.domain import scoped, unscoped
from abtest.errors import StorageError
from abtest.store.sqlite import driver
from abtest.store.sqlite.database import Database
from abtest.store.sqlite.driver import Raw

NEXT_TOKENS = "SELECT device_id, token FROM device_token WHERE token > ? ORDER BY token LIMIT ?"

TOKENS_AT_ONCE = 1_000


class TokensByDevice:
    """The tokens of devices in a temporary file without a name, so that memory stays bounded.

    Depending on how SQLite was built, its own temporary database would be in memory.
    """

    TABLE = "CREATE TABLE found (device_id INTEGER PRIMARY KEY, token TEXT NOT NULL)"
    ADD = "INSERT OR REPLACE INTO found VALUES (?, ?)"
    OF_DEVICES = "SELECT device_id, token FROM json_each(?) AS asked CROSS JOIN found ON device_id = asked.value"

    def __init__(self) -> None:
        """Raises StorageError."""
        with _in_words(), NamedTemporaryFile(prefix="abtest-") as file:
            # Calls come from several threads, one after another.
            self._connection = driver.fixed_driver().connect(file.name, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = OFF")
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.execute(self.TABLE)

    def add(self, found: Sequence[tuple[int, str]]) -> None:
        """Keep some tokens. Raises StorageError."""
        with _in_words():
            self._connection.execute("BEGIN")
            self._connection.executemany(self.ADD, sorted(found))
            self._connection.execute("COMMIT")

    async def of(self, devices: Collection[int]) -> Mapping[int, str]:
        """See Tokens.of."""
        return await asyncio.to_thread(self.found, devices)

    def found(self, devices: Collection[int]) -> Mapping[int, str]:
        """The same as `of`, in this thread."""
        return dict(self._connection.execute(self.OF_DEVICES, (json.dumps(list(devices)),)).fetchall())

    def close(self) -> None:
        """Discard the file."""
        self._connection.close()


@asynccontextmanager
async def tokens(store: Database, app: int) -> AsyncIterator[TokensByDevice]:
    """See ExportStore.tokens. For the default app it keeps the tokens of all apps, which stand between its own."""
    by_device, prefix = TokensByDevice(), scoped(app, "")
    try:
        last = prefix
        while found := await store.read(_next_tokens, last):
            of_app = [(device, unscoped(token)) for device, token in found if token.startswith(prefix)]
            await asyncio.to_thread(by_device.add, of_app)
            if len(of_app) < len(found):
                break
            last = found[-1][1]
        yield by_device
    finally:
        by_device.close()


def _next_tokens(connection: Raw, last: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = connection.execute(NEXT_TOKENS, (last, TOKENS_AT_ONCE)).fetchall()
    return found


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (OSError, driver.fixed_driver().Error) as error:
        raise StorageError(f"cannot keep tokens in a temporary file: {error}") from error
