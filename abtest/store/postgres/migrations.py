"""Numbered SQL files bring a database to this program's schema: under one lock, in one transaction each."""

import psycopg

from abtest.errors import StorageError
from abtest.store.relational.migrations import numbered_files, refuse_other

# Another program may be migrating, which takes time.
TAKE_TIME = "SET lock_timeout = 0; SET statement_timeout = 0"

LOCK = "SELECT pg_advisory_lock(x'61627473'::INTEGER)"  # "abts": only one program migrates

UNLOCK = "SELECT pg_advisory_unlock(x'61627473'::INTEGER)"

HAS_SCHEMA = "SELECT to_regclass('schema_version') IS NOT NULL"

# The tables of an extension belong to no program.
HAS_OTHERS = """
SELECT EXISTS (
  SELECT FROM pg_class WHERE relnamespace = current_schema()::REGNAMESPACE
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
)
"""

MAY_CREATE = "SELECT current_user, current_schema(), has_schema_privilege(current_schema(), 'CREATE')"

BEGIN_SCHEMA = "CREATE TABLE schema_version (number INTEGER NOT NULL); INSERT INTO schema_version VALUES (0)"

VERSION = "SELECT number FROM schema_version"


def files() -> list[tuple[int, str]]:
    """Number and SQL of every migration, in order."""
    return numbered_files("abtest.store.postgres")


def newest() -> int:
    """The schema version of this program."""
    return files()[-1][0]


def prepare(connection: psycopg.Connection, name: str, migrate: bool, create: bool = True) -> bool:
    """Bring the database to the newest version, or refuse it; returns whether it was empty.

    An empty one is filled if `create`. Raises StorageError for another program's database, for a newer schema, for an
    older one unless `migrate`, and for a user who may not create tables.
    """
    connection.execute(TAKE_TIME)
    connection.execute(LOCK)
    try:
        found = _version(connection, name, create)
        refuse_other(name, found, newest(), migrate or not found)
        if found < newest():
            _refuse_without_rights(connection, name)
        for number, sql in files():
            if number > found:
                with connection.transaction():
                    if number == 1:
                        connection.execute(BEGIN_SCHEMA)
                    connection.execute(sql.encode())
                    connection.execute(f"UPDATE schema_version SET number = {number}".encode())
        return not found
    finally:
        if not connection.closed:
            connection.execute(UNLOCK)


def _refuse_without_rights(connection: psycopg.Connection, name: str) -> None:
    ((user, schema, may_create),) = connection.execute(MAY_CREATE)
    if schema is None:
        raise StorageError(
            f"{name} has no schema for tables: no schema in the search_path of the user {user} exists",
            code="no_rights",
        )
    if not may_create:
        raise StorageError(
            f"the user {user} may not create tables in {name}: make it the owner of the database, or "
            f"GRANT CREATE ON SCHEMA {schema} TO {user}",
            code="no_rights",
        )


def _version(connection: psycopg.Connection, name: str, create: bool) -> int:
    """The schema version; 0 in an empty database."""
    if connection.execute(HAS_SCHEMA).fetchone() == (True,):
        ((number,),) = connection.execute(VERSION)
        return int(number)
    if connection.execute(HAS_OTHERS).fetchone() == (True,):
        raise StorageError(f"{name} has tables of another program; nothing was changed", code="foreign_database")
    if not create:
        raise StorageError(f"{name} is empty: it contains no database", code="empty_database")
    return 0
