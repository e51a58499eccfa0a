"""Both stores, for the tests of what both must do."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from abtest.store.postgres import PostgresStore
from abtest.store.sqlite import SQLiteStore
from tests.scenes import new

only_in_sqlite = pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
"""What the store in PostgreSQL can't do yet."""


@pytest.fixture(params=["sqlite", "postgres"])
def each_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Any]:
    """Makes a store of an empty database of each kind: the same database each time."""
    if request.param == "sqlite":
        return partial(SQLiteStore, new(tmp_path / "abtest.db"))
    return partial(PostgresStore, request.getfixturevalue("database"))


@pytest.fixture
def each_store(each_database: Callable[[], Any], io_loop: IOLoop) -> Iterator[Any]:
    """A store of an empty database of each kind, open."""
    opened = each_database()
    io_loop.run_sync(opened.open)
    yield opened
    io_loop.run_sync(opened.close)


@pytest.fixture
def other_store(each_store: Any, each_database: Callable[[], Any], io_loop: IOLoop) -> Iterator[Any]:
    """Another store of the same database, as another process has it."""
    opened = each_database()
    io_loop.run_sync(opened.open)
    yield opened
    io_loop.run_sync(opened.close)
