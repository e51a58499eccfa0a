"""Numbered SQL files bring a database to this program's schema.

Each is one transaction that records its number. A new database gets all of them in one transaction.
"""

from collections.abc import Sequence
from pathlib import Path

from abtest.errors import StorageError
from abtest.store.relational.migrations import numbered_files, refuse_other
from abtest.store.sqlite.driver import Raw

APPLICATION_ID = 0x61627473  # "abts"


def files() -> list[tuple[int, str]]:
    """Number and SQL of every migration, in order."""
    return numbered_files("abtest.store.sqlite")


def newest() -> int:
    """The schema version of this program."""
    return files()[-1][0]


def version(connection: Raw) -> int:
    """The schema version of the database; 0 before the first migration."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def refuse_foreign(connection: Raw, path: Path) -> None:
    """Raises StorageError if the database belongs to another program."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != APPLICATION_ID:
        raise StorageError(f"{path} is a database of another program; nothing was changed", code="foreign_database")


def prepare(connection: Raw, path: Path, migrate: bool, create: bool = True) -> None:
    """Bring the database to the newest version, or refuse it.

    An empty file becomes a new database if `create`. Raises StorageError for another program's database, for a newer
    schema, and for an older one unless `migrate`.
    """
    refuse_foreign(connection, path)
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if not tables and not create:
        raise StorageError(f"{path} is empty: it contains no database", code="empty_database")
    found = version(connection)
    refuse_other(str(path), found, newest(), migrate or not tables)
    missing = [(number, sql) for number, sql in files() if number > found]
    # A new database is made in one transaction, since each one waits for the disk.
    for together in [[each] for each in missing] if tables else [missing]:
        _apply(connection, together)


def _apply(connection: Raw, together: Sequence[tuple[int, str]]) -> None:
    # So that a table to which others refer can be rebuilt: https://www.sqlite.org/lang_altertable.html#otheralter.
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA legacy_alter_table = ON")
    try:
        steps = "\n".join(f"{sql}\nPRAGMA user_version = {number};" for number, sql in together)
        connection.executescript(f"BEGIN IMMEDIATE;\n{steps}\nPRAGMA application_id = {APPLICATION_ID};\nCOMMIT;")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("PRAGMA legacy_alter_table = OFF")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # 0003 switches it off
