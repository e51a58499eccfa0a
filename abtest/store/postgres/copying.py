"""Copies a whole PostgreSQL database, or fills one."""

from collections.abc import Mapping, Sequence
from functools import partial

from abtest.store.copying import CopyStore, Progress, Rows
from abtest.store.postgres.connection import Connection
from abtest.store.relational import copying

# The highest ids of tables that take them from a sequence, and of those that give them out under a lock.
NUMBERS = """
SELECT relname, pg_sequence_last_value(pg_get_serial_sequence(relname, 'id')::REGCLASS)
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attidentity <> ''
WHERE relnamespace = current_schema()::REGNAMESPACE
UNION ALL SELECT name, number FROM last_number
"""

# For a table without a sequence, its name is NULL and nothing is set.
SET_SEQUENCE = "SELECT setval(pg_get_serial_sequence(?, 'id'), ?)"

SET_LAST_NUMBER = "UPDATE last_number SET number = ?2 WHERE name = ?1"


def copy_to(connection: Connection, target: CopyStore, progress: Progress) -> None:
    """See CopyStore.copy_to."""
    copying.copy(partial(_read, connection), _numbers(connection), target, progress)


class Target:
    """Implements the Protocol of this name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        """See Target.put."""
        if table in copying.SEEDED:
            self._connection.execute(copying.delete(table))
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        with self._connection.raw.cursor() as cursor, cursor.copy(statement.encode()) as copied:
            for row in rows:
                copied.write_row(row)

    def finish(self, numbers: Mapping[str, int]) -> None:
        """See Target.finish. ANALYZE tells the planner at once how large the tables are."""
        for each in numbers.items():
            self._connection.execute(SET_SEQUENCE, each)
            self._connection.execute(SET_LAST_NUMBER, each)
        self._connection.execute("ANALYZE")


def _read(connection: Connection, table: str) -> tuple[Sequence[str], Rows]:
    """See copying.Read."""
    names = copying.columns(connection, table)
    return names, connection.stream(copying.select(table, names))


def _numbers(connection: Connection) -> dict[str, int]:
    """See Target.finish."""
    return {table: number for table, number in connection.execute(NUMBERS) if number}
