"""Many rows at once."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any

from abtest.store.relational.connection import Connection

AT_ONCE = 64


def insert(connection: Connection, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert these rows with a statement for one row, many at a time, which takes half the time or less."""
    whole = len(rows) - len(rows) % AT_ONCE
    many = (list(chain.from_iterable(rows[begin : begin + AT_ONCE])) for begin in range(0, whole, AT_ONCE))
    connection.executemany(_of_many(statement), many)
    connection.executemany(statement, rows[whole:])


def grouped(rows: Iterable[Sequence[Any]]) -> Mapping[Any, list[tuple[Any, ...]]]:
    """The rows by their first column, and without it. Any other key has no rows."""
    found = defaultdict[Any, list[tuple[Any, ...]]](list)
    for of, *columns in rows:
        found[of].append(tuple(columns))
    return found


@cache
def _of_many(statement: str) -> str:
    """The same statement for AT_ONCE rows."""
    return re.sub(r"VALUES (\(.*?\))", lambda found: f"VALUES {', '.join([found[1]] * AT_ONCE)}", statement)
