"""Both stores, for the tests of what both must do."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from abtest.store.postgres import PostgresStore
from abtest.store.sqlite import SQLiteStore
from tests.scenes import new

only_in_sqlite = pytest.mark.parametrize("each_store", ["sqlite"], indirect=True)
"""What the store in PostgreSQL can't do yet."""


@asynccontextmanager
async def another(store: Any) -> AsyncIterator[Any]:
    """The store of another process on the same database."""
    there = SQLiteStore(store.path) if isinstance(store, SQLiteStore) else PostgresStore(store._url)
    await there.open()
    try:
        yield there
    finally:
        await there.close()


@pytest.fixture(params=["sqlite", "postgres"])
def each_store(request: pytest.FixtureRequest, tmp_path: Path, io_loop: IOLoop) -> Iterator[Any]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        opened: SQLiteStore | PostgresStore = SQLiteStore(new(tmp_path / "abtest.db"))
    else:
        opened = PostgresStore(request.getfixturevalue("database"))
    io_loop.run_sync(opened.open)
    yield opened
    io_loop.run_sync(opened.close)
