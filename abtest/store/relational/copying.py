"""Copying a whole database, table by table: functions on a connection, each run inside one transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from abtest.errors import StorageError
from abtest.store.copying import CopyStore, Progress, Rows, Target
from abtest.store.relational.connection import Connection

SEEDED = ("meta", "app", "journal_end", "summary", "summary_app")
"""Tables that have rows in a new database. The copied rows replace them."""

TABLES = (
    *SEEDED,
    "experiment",
    "variant",
    "phase",
    "status_change",
    "metric",
    "profile",
    "device",
    "event",
    "test_device",
    "test_value",
    "journal",
    "person",
    "sign_in_link",
    "session",
    "account",
    "access_token",
    "shared_link",
    "first_link",
    "erasing",
    "summary_variant",
    "summary_hour",
    "summary_winner",
    "summary_outside",
    "summary_day",
    "exposed",
    "metric_device",
    "summary_metric",
    "summary_happened",
    "summary_result",
)
"""In such an order that a row comes after those that it refers to."""

LEFT_OUT = ("process", "database_size")
"""What is true of one database alone."""

COPIED = {"meta": " WHERE name <> 'accepted_losses'"}
"""Which rows of a table are copied. Of the other tables, all are."""

UNVERIFIED = ("unverified", 1)
"""A row of `meta` that a copy has until it is verified."""

IS_UNVERIFIED = "SELECT 1 FROM meta WHERE name = 'unverified'"

NOTE_VERIFIED = "DELETE FROM meta WHERE name = 'unverified'"

LARGE = ("device", "event")

TOLD_EVERY = 1_000

Read = Callable[[str], tuple[Sequence[str], Rows]]
"""Reads the columns and rows of a table, in bounded memory. A row of `device` has lists of what it was given."""


def require_empty(connection: Connection) -> None:
    """See CopyStore.require_empty."""
    for table in TABLES:
        if table not in SEEDED and connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone():
            raise StorageError(f"the database to fill is not empty, but has rows in {table}", "not_empty")


def refuse_unverified(connection: Connection, name: str) -> None:
    """Raises StorageError when the database is an unverified copy: it may lack what the other one got since."""
    if connection.execute(IS_UNVERIFIED).fetchone():
        raise StorageError(
            f"{name} is a copy that was interrupted before it was verified: delete it, and copy again",
            code="unverified_copy",
        )


def note_verified(connection: Connection) -> None:
    """See CopyStore.note_verified."""
    connection.execute(NOTE_VERIFIED)


def columns(connection: Connection, table: str) -> list[str]:
    """The names of a table's columns."""
    return [name for name, *_ in connection.execute(f"SELECT * FROM {table} LIMIT 0").description]


def select(table: str, names: Sequence[str]) -> str:
    """All rows of a table that are copied, in the order of its key."""
    return f"SELECT {', '.join(names)} FROM {table}{COPIED.get(table, '')} ORDER BY 1"


def delete(table: str) -> str:
    """Deletes the rows of a new database that copied rows replace."""
    return f"DELETE FROM {table}{COPIED.get(table, '')}"


def copy(read: Read, numbers: Mapping[str, int], target: CopyStore, progress: Progress) -> None:
    """Copy all tables in one transaction. `numbers`: see Target.finish."""
    done, total = 0, sum(numbers.get(table, 0) for table in LARGE)

    def told(rows: Rows) -> Iterator[Sequence[Any]]:
        nonlocal done
        for row in rows:
            yield row
            done += 1
            if done % TOLD_EVERY == 0:
                progress(done, total)

    def fill(target: Target) -> None:
        for table in TABLES:
            names, rows = read(table)
            if table == "meta":
                rows = chain(rows, [UNVERIFIED])
            target.put(table, names, told(rows) if table in LARGE else rows)
        target.finish(numbers)

    target.fill(fill)
