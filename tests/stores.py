"""Both stores, for tests of what each of them must do."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tornado.ioloop import IOLoop

from abtest import bootstrap
from abtest.settings import DATABASE
from abtest.store.sqlite.driver import open_raw
from abtest.store.sqlite.store import SQLiteStore
from tests.scenes import new

only_in_sqlite = pytest.mark.parametrize("each_url", ["sqlite"], indirect=True)
"""For tests that work on SQLite's file or its locks."""
run_in_sqlite = pytest.mark.parametrize("run", ["sqlite"], indirect=True)
"""The same for commands."""
run_without_a_database = pytest.mark.parametrize("run", ["sqlite", "bare postgres"], indirect=True)
"""For tests in which a command finds neither a file nor tables."""
only_in_postgres = pytest.mark.parametrize("each_url", ["postgres"], indirect=True)
"""For tests that work on PostgreSQL's rows."""

ASSIGNED = """
UPDATE device SET (phases, variants, positions) = (
  SELECT coalesce(array_agg(phase_id ORDER BY experiment_id), '{}'),
    coalesce(array_agg(variant_id ORDER BY experiment_id), '{}'),
    coalesce(array_agg(position ORDER BY experiment_id), '{}')
  FROM assignment WHERE device_id = device.id
)
"""


@pytest.fixture(params=["sqlite", "postgres"])
def each_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{new(tmp_path / 'abtest.db')}"
    return str(request.getfixturevalue("database"))


@pytest.fixture
def each_database(each_url: str) -> Callable[[], Any]:
    """Makes stores of an empty database of each kind: of the same database each time."""
    return partial(bootstrap.made_store, each_url)


@pytest.fixture
def each_store(each_database: Callable[[], Any], io_loop: IOLoop) -> Iterator[Any]:
    """An open store of an empty database of each kind."""
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


def url_of(store: Any) -> str:
    """The URL of a store's database."""
    return f"sqlite:///{store.path}" if isinstance(store, SQLiteStore) else str(store._primary.find())


def by_hand(store: Any, *statements: str) -> None:
    """Run statements as somebody who may do everything, and whom no foreign key or trigger stops."""
    if isinstance(store, SQLiteStore):
        with closing(open_raw(store.path)) as raw:
            raw.execute("PRAGMA foreign_keys = OFF")
            for (trigger,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
                raw.execute(f"DROP TRIGGER {trigger}")
            for statement in statements:
                raw.execute(statement)
    else:
        with psycopg.connect(url_of(store)) as raw:
            raw.execute("SET session_replication_role = replica")
            for statement in statements:
                if "assignment" in statement:  # a view: its rows are changed in the rows of the devices
                    raw.execute("CREATE TEMP TABLE assignment AS SELECT * FROM assignment")
                    raw.execute(f"{statement}; {ASSIGNED}".encode())
                else:
                    raw.execute(statement.encode())


@asynccontextmanager
async def own_store() -> AsyncIterator[Any]:
    """The store of the commands that a test runs in its own folder, open within a block."""
    async with bootstrap.opened(os.environ.get(DATABASE.variable, str(DATABASE.default))) as store:
        yield store
