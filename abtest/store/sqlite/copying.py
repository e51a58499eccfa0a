"""Copies a whole SQLite database, or fills one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from abtest.store.copying import CopyStore, Progress, Rows
from abtest.store.relational import copying
from abtest.store.relational.numbers import LARGEST
from abtest.store.sqlite.driver import Raw
from abtest.store.sqlite.tokens import TokensByDevice

AT_ONCE = 10_000

TOKENS = "SELECT device_id, token FROM device_token"

DEVICES = "SELECT id, first_seen, profile_id FROM device ORDER BY id"

GIVEN = "SELECT device_id, experiment_id, phase_id, variant_id, position FROM assignment ORDER BY device_id"

# In the order in which they are drawn.
EXPERIMENTS = "SELECT id FROM experiment ORDER BY kind = 'experiment', kind = 'group', id"

ADD_DEVICE = "INSERT INTO device (id, first_seen, profile_id) VALUES (?, ?, ?)"

ADD_TOKEN = "INSERT INTO device_token (token, device_id) VALUES (?, ?)"

ADD_GIVEN = "INSERT INTO assignment VALUES (?, ?, ?, ?, ?)"

EXPERIMENT_OF_PHASE = "SELECT id, experiment_id FROM phase"

NUMBERS = "SELECT name, seq FROM sqlite_sequence WHERE seq > 0"

# This trigger refuses entries that do not follow journal_end, which is filled before them.
JOURNAL_GROWS = "SELECT sql FROM sqlite_schema WHERE name = 'journal_only_grows'"


def copy_to(connection: Raw, target: CopyStore, progress: Progress) -> None:
    """See CopyStore.copy_to."""
    copying.copy(partial(_read, connection), _numbers(connection), target, progress)


class Target:
    """Implements the Protocol of this name."""

    def __init__(self, connection: Raw) -> None:
        self._connection = connection
        connection.execute("PRAGMA defer_foreign_keys = ON")  # rows that others refer to are replaced
        ((self._journal_grows,),) = connection.execute(JOURNAL_GROWS)
        connection.execute("DROP TRIGGER journal_only_grows")

    def put(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        """See Target.put."""
        if table == "device":
            self._put_devices(rows)
            return
        if table in copying.SEEDED:
            self._connection.execute(copying.delete(table))
        marks = ", ".join("?" * len(columns))
        rows = (tuple(map(_stored, row)) for row in rows) if table == "metric_device" else rows
        self._connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    def finish(self, numbers: Mapping[str, int]) -> None:
        """See Target.finish."""
        self._connection.execute(self._journal_grows)
        for table, number in numbers.items():
            self._connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            self._connection.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, number))

    def _put_devices(self, rows: Rows) -> None:
        experiments = dict(self._connection.execute(EXPERIMENT_OF_PHASE).fetchall())
        all_of_them = iter(rows)
        while devices := list(islice(all_of_them, AT_ONCE)):
            ids, seen, profiles, tokens, *given = zip(*devices, strict=True)
            rows_of = (
                (id, experiments[phase], phase, variant, position)
                for id, *taken in zip(ids, *given, strict=True)
                for phase, variant, position in zip(*taken, strict=True)
            )
            self._connection.executemany(ADD_DEVICE, zip(ids, seen, profiles, strict=True))
            self._connection.executemany(ADD_TOKEN, zip(tokens, ids, strict=True))
            self._connection.executemany(ADD_GIVEN, rows_of)


def _read(connection: Raw, table: str) -> tuple[Sequence[str], Rows]:
    """See copying.Read."""
    if table == "device":
        return ("id", "first_seen", "profile_id", "token", "phases", "variants", "positions"), _devices(connection)
    names = copying.columns(connection, table)
    return names, connection.execute(copying.select(table, names))


def _numbers(connection: Raw) -> dict[str, int]:
    """See Target.finish."""
    return dict(connection.execute(NUMBERS).fetchall())


def _devices(connection: Raw) -> Iterator[Sequence[Any]]:
    """The rows of devices, with their tokens and with what they were given, in the order in which it was drawn."""
    order = {id: place for place, (id,) in enumerate(connection.execute(EXPERIMENTS))}
    with closing(TokensByDevice()) as tokens:
        found = connection.execute(TOKENS)
        while several := found.fetchmany(AT_ONCE):
            tokens.add(several)
        given = groupby(connection.execute(GIVEN), itemgetter(0))
        device, taken = next(given, (None, ()))
        devices = connection.execute(DEVICES)
        while several := devices.fetchmany(AT_ONCE):
            token_of = tokens.found([id for id, *_ in several])
            for id, *others in several:
                rows = []
                if device == id:
                    rows = sorted(taken, key=lambda row: order[row[1]])
                    device, taken = next(given, (None, ()))
                columns = [[row[column] for row in rows] for column in (2, 3, 4)]
                yield (id, *others, token_of[id], *columns)


def _stored(value: Any) -> Any:
    """A total as SQLite stores it: a text if it is too large for an integer."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if abs(value) <= LARGEST else str(value)
