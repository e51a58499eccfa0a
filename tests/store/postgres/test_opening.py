"""Opening a PostgreSQL database: what is created, what is refused, and what the messages say."""

import asyncio
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from abtest.errors import AbtestError, StorageError, Unavailable
from abtest.settings import Settings, without_password
from abtest.store.postgres import PostgresStore, connection, migrations
from abtest.store.postgres.connection import Connection


@pytest.fixture
def database(bare_database: str) -> str:
    """A database without tables: the test makes them."""
    return bare_database


async def opened(url: str, migrate: bool = False, create: bool = True) -> None:
    store = PostgresStore(url)
    await store.open(migrate, create)
    await store.close()


@contextmanager
def changed(url: str, statement: str) -> Iterator[None]:
    """Change a setting of the whole server, within a block."""
    with psycopg.connect(url, autocommit=True) as server:
        for each in (statement, "SELECT pg_reload_conf()"):
            server.execute(each.encode())
        yield
        for each in ("ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"):
            server.execute(each.encode())


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
async def test_a_server_that_can_lose_what_it_stored_is_refused(database: str, name: str) -> None:
    with changed(database, f"ALTER SYSTEM SET {name} = off"), pytest.raises(StorageError, match=f"{name}=off"):
        await opened(database)


@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
async def test_a_setting_with_which_commits_do_not_wait_is_refused(database: str, value: str) -> None:
    url = make_conninfo(database, options=f"-c synchronous_commit={value}")
    with pytest.raises(StorageError, match=f"synchronous_commit={value}"):
        await opened(url)


async def test_an_old_server_is_refused(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OLDEST", 99)
    with pytest.raises(StorageError, match=r"this is PostgreSQL .*, but abtest needs 99 or newer"):
        await opened(database)


async def test_a_database_that_does_not_exist_is_named(database: str) -> None:
    nothing = urlsplit(database)._replace(path="/nothing").geturl()
    with pytest.raises(StorageError, match=r"cannot open the database postgresql://.*/nothing: .*not exist"):
        await opened(nothing)


async def test_if_no_server_can_be_written_to_the_message_says_why_for_each(database: str) -> None:
    url = make_conninfo(database, host="127.0.0.1,127.0.0.1", port="1,2")
    with pytest.raises(StorageError, match=r"no server can be written to: .* port 1 failed: .*; .* port 2 failed: "):
        await opened(url)


SECRETS = {
    "postgresql://me:secret@db/abtest": "postgresql://db/abtest",
    "postgres://me:secret@a:1,b:2/abtest?target_session_attrs=read-write": "postgres://a:1,b:2/abtest",
    "postgresql://me:se@secret@db/abtest": "postgresql://db/abtest",
    "postgresql://me:se/secret@db/abtest": "postgresql://db/abtest",
    "postgresql://me:se?secret@db/abtest": "postgresql://",
    "postgresql://me:se%zzsecret@db/abtest": "postgresql://db/abtest",
    "postgresql://db/abtest?password=secret": "postgresql://db/abtest",
    "postgresql://db/abtest?password=se@secret": "postgresql://",
}


@pytest.mark.parametrize("url", SECRETS)
async def test_no_message_shows_the_password(url: str) -> None:
    """Not even if it has characters that are not allowed in a URL."""
    assert without_password(url) == SECRETS[url]
    assert "secret" not in repr(Settings(database=url))
    with pytest.raises(AbtestError) as refused:
        await opened(url)
    assert "secret" not in "".join(traceback.format_exception(refused.value))


def test_without_psycopg_the_message_says_what_to_install() -> None:
    program = "import sys; sys.modules['psycopg'] = None; from abtest.commands import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "stats"],
        env=os.environ | {"ABTEST_DATABASE": "postgresql:///abtest"},
        capture_output=True,
        text=True,
        check=False,
    )
    told = "abtest: database: PostgreSQL needs psycopg, which is missing here: pip install 'abtest[postgres]'\n"
    assert (done.returncode, done.stderr) == (2, told)


async def test_an_empty_database_gets_tables_only_if_that_is_asked(database: str) -> None:
    with pytest.raises(StorageError, match="is empty"):
        await opened(database, create=False)
    await opened(database)
    await opened(database, create=False)


async def test_another_programs_database_is_left_as_it_is(database: str) -> None:
    with psycopg.connect(database) as other:
        other.execute("CREATE TABLE theirs ()")
    with pytest.raises(StorageError, match="another program"):
        await opened(database)


async def test_tables_of_an_extension_belong_to_no_program(database: str) -> None:
    with psycopg.connect(database) as other:
        other.execute("CREATE EXTENSION pg_stat_statements")
    await opened(database)


async def test_an_older_schema_waits_for_migrate_and_a_newer_one_is_refused(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await opened(database)
    before = migrations.files()
    newer = [*before, (before[-1][0] + 1, "CREATE TABLE later (id INTEGER)")]
    monkeypatch.setattr(migrations, "files", lambda: newer)
    with pytest.raises(StorageError, match="run 'abtest db migrate'"):
        await opened(database)
    await opened(database, migrate=True)
    monkeypatch.setattr(migrations, "files", lambda: before)
    with pytest.raises(StorageError, match="install a newer abtest"):
        await opened(database, migrate=True)


async def test_a_migration_that_fails_leaves_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await opened(database)
    before = migrations.files()
    number = before[-1][0] + 1
    broken = [*before, (number, "CREATE TABLE later (id INTEGER); SELECT 1 / 0")]
    monkeypatch.setattr(migrations, "files", lambda: broken)
    with pytest.raises(StorageError, match="division by zero"):
        await opened(database, migrate=True)
    monkeypatch.setattr(migrations, "files", lambda: [*before, (number, "CREATE TABLE later (id INTEGER)")])
    await opened(database, migrate=True)


async def test_a_request_that_waits_too_long_for_the_lock_is_refused(database: str) -> None:
    store = PostgresStore(database, patience=0.1)
    await store.open()
    with psycopg.connect(database) as other:
        other.execute("SELECT FROM last_number FOR UPDATE")
        with pytest.raises(Unavailable, match="lock timeout"):
            await store.enrol(["a"], 1)
    assert (await store.enrol(["a"], 1)).new == {"a"}
    await store.close()


async def test_connections_that_ended_while_nobody_used_them_are_replaced(database: str) -> None:
    store = PostgresStore(database)
    await store.open()
    await asyncio.gather(*[store.enrol([token], 1) for token in "bcde"], *[store.find([]) for _ in range(4)])
    with psycopg.connect(database, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert (await store.enrol(["a"], 1)).new == {"a"}
    assert list((await store.find(["a"])).variants) == ["a"]
    await store.close()


async def test_an_invalid_index_is_found(database: str) -> None:
    store = PostgresStore(database)
    await store.open()
    assert await store.check() == []
    with psycopg.connect(database, autocommit=True) as other:
        other.execute("UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'device_pkey'::REGCLASS")
    assert await store.check() == ["the index device_pkey is not valid: run REINDEX on it"]
    await store.close()


async def test_an_entry_of_the_journal_is_never_changed(database: str) -> None:
    store = PostgresStore(database)
    await store.open()
    await store.add_app("staging", 1)
    for statement in ("UPDATE journal SET name = 'other'", "DELETE FROM journal", "TRUNCATE journal"):
        with pytest.raises(RuntimeError, match="never changed"):
            await store.write(Connection.execute, statement)
    await store.close()
