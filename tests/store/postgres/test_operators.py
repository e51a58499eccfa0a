"""What operators of PostgreSQL set for a database and its users, and which rights they give."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from abtest.domain import Attributes, Event
from abtest.errors import StorageError
from abtest.store.postgres import PostgresStore, migrations
from abtest.store.postgres.connection import connect
from tests.postgres import new_database
from tests.scenes import experiment

OPERATIONS = Path("docs/operations.md").read_text(encoding="utf-8")

GRANTS = re.findall(r"^(?:GRANT|ALTER DEFAULT) .* TO abtest_server;$", OPERATIONS, re.MULTILINE)

EVENTS = "SELECT event_id, amount, value FROM event ORDER BY id"

COLLATED = """
SELECT indexrelid::REGCLASS::TEXT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = 'public'::REGNAMESPACE AND 'default'::REGCOLLATION = ANY (indcollation::OID[])
"""


@pytest.fixture
def database(bare_database: str) -> str:
    """A database without tables: the test makes them."""
    return bare_database


def alter(url: str, change: str) -> None:
    """Change a setting of the database for later sessions."""
    name = conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url) as server:
        server.execute(f"ALTER DATABASE {name} {change}".encode())


@contextmanager
def other_user(url: str) -> Iterator[str]:
    """The URL of a user who has no rights."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("CREATE ROLE weak LOGIN")
        yield make_conninfo(url, user="weak")
        server.execute("DROP OWNED BY weak; DROP ROLE weak")


async def opened(url: str) -> None:
    store = PostgresStore(url)
    await store.open()
    await store.close()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
async def test_a_database_that_cannot_hold_every_text_is_refused(postgres: str, encoding: str) -> None:
    with (
        new_database(postgres, f"template0 ENCODING '{encoding}' LOCALE 'C'") as url,
        pytest.raises(StorageError, match=f"the encoding {encoding}, .* make one with UTF8"),
    ):
        await opened(url)


@pytest.mark.parametrize(
    "setting",
    [
        "client_encoding = LATIN1",
        "standard_conforming_strings = off",
        "default_transaction_isolation = serializable",
        "default_transaction_deferrable = on",
        "array_nulls = off",
        "bytea_output = escape",
        "DateStyle = 'SQL, DMY'",
        "TimeZone = 'Asia/Kathmandu'",
    ],
)
async def test_settings_of_sessions_change_nothing(database: str, setting: str) -> None:
    alter(database, f"SET {setting}")
    store = PostgresStore(database)
    await store.open()
    said = Attributes((("country", "Ж\\😀,NULL"),))
    await store.enrol(["a"], 1, {"a": said})
    await store.track([("a", [Event("NULL", "shown", value="\\x00"), Event("2", "shown", amount=-1)])], 1)
    assert (await store.device("a")).attributes == said
    found = await store.read(lambda connection: connection.execute(EVENTS).fetchall())
    assert found == [("NULL", None, "\\x00"), ("2", -1, None)]
    await store.close()


async def test_no_index_depends_on_the_collation_of_the_database(database: str) -> None:
    """Collations differ between operating systems, and change with their updates: an index would then miss rows."""
    await opened(database)
    with psycopg.connect(database) as server:
        assert server.execute(COLLATED).fetchall() == []


async def test_a_connection_may_be_idle_for_ever(database: str) -> None:
    """A worker's connection holds its lease."""
    alter(database, "SET idle_session_timeout = 600000")
    asked = "SHOW idle_session_timeout"
    store = PostgresStore(database)
    await store.open()
    assert await store.read(lambda connection: connection.execute(asked).fetchall()) == [("0",)]
    await store.close()
    with connect(database) as session:
        assert session.execute(asked).fetchall() == [("0",)]


async def test_a_user_without_rights_is_told_which_are_missing(database: str) -> None:
    with other_user(database) as url:
        with pytest.raises(StorageError, match=r"may not create tables in .* GRANT CREATE ON SCHEMA public TO weak"):
            await opened(url)
        alter(database, "SET search_path = nowhere")
        with pytest.raises(StorageError, match=r"has no schema for tables: .* of the user weak"):
            await opened(url)


async def test_a_user_who_may_only_change_rows_can_serve(database: str) -> None:
    """With the grants of the documentation."""
    await opened(database)
    with other_user(database) as url:
        with pytest.raises(StorageError, match="permission denied"):
            await opened(url)
        with psycopg.connect(database) as owner:
            for each in GRANTS:
                owner.execute(each.replace("abtest_server", "weak").encode())
        store = PostgresStore(url)
        await store.open()
        await store.add([experiment("color", "1", "1")], 1)
        await store.enrol(["a"], 1)
        await store.fold(10, 1)
        assert await store.forget(["a"]) == 1
        await store.close()


async def test_a_program_that_starts_while_another_migrates_waits_for_it(database: str) -> None:
    alter(database, "SET lock_timeout = 1")
    with psycopg.connect(database, autocommit=True) as other:
        other.execute(migrations.LOCK)
        waiting = asyncio.create_task(opened(database))
        while other.execute("SELECT FROM pg_locks WHERE NOT granted").rowcount == 0:
            assert not waiting.done()
            await asyncio.sleep(0.01)
        other.execute(migrations.UNLOCK)
        await waiting
