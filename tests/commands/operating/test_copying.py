"""`abtest db copy`, as typed."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from abtest import bootstrap
from abtest.domain import Event, read_attributes
from abtest.results import worker
from abtest.store.relational.copying import LEFT_OUT, SEEDED, TABLES, TOLD_EVERY
from abtest.store.relational.store import RelationalStore
from abtest.store.sqlite.driver import open_raw
from tests.conftest import Run
from tests.postgres import new_database
from tests.scenes import tokens, values_of
from tests.stores import run_in_sqlite

pytestmark = run_in_sqlite

FROM = "sqlite:///from.db"
COMMANDS = (
    "holdouts add everybody --share 5%",
    "groups add checkout",
    "apps add other",
    "experiments add button --variant red=1 --variant green=2 --metric conversion:buy --metric amount:buy",
    "experiments add price --variant 10=75 --variant 20=10 --audience platform=ios --coverage 50%",
    "experiments add layout --variant list=1 --variant grid=1 --group checkout --group-share 30%",
    "experiments add banner --variant on=1 --variant off=1 --app other",
    "experiments add later --variant on=1 --variant off=1 --draft",
    "test-devices add tester --value button=red",
    "people add anna --role admin",
    "people add boris --role viewer",
    "access-tokens add robot --role editor",
    "shared-links add button",
)
LATER = (
    "experiments weights button --variant red=3 --variant green=1",
    "experiments finish layout --winner grid --because better",
    "people remove boris",
)
# What a browser or a provider does, and a device whose events are still being deleted.
SIGNED_IN = (
    "INSERT INTO session (person_id, hash, created_at, seen_at) VALUES (1, randomblob(32), 1, 1)",
    "INSERT INTO account VALUES (1, 'https://id.example.com', 'anna')",
    "INSERT INTO first_link VALUES (1, randomblob(32), 1)",
    "INSERT INTO erasing VALUES (300)",
)
AT = 1_800_000_000_000


@pytest.fixture
def databases(postgres: str) -> Iterator[Callable[[], str]]:
    """Makes the URL of an empty database in PostgreSQL."""
    with ExitStack() as made:
        yield lambda: made.enter_context(new_database(postgres))


async def enrol(url: str, prefix: str) -> list[dict[str, str]]:
    """The answers to new devices, the same ones each time."""
    platforms = [read_attributes([("platform", platform), ("age", "30")]) for platform in ("ios", "android")]
    asked = tokens(prefix, 300)
    async with bootstrap.opened(url) as store:
        said = {token: platforms[place % 2] for place, token in enumerate(asked)}
        enrolment = await store.enrol(asked, AT, said)
        other = await store.enrol(tokens(f"2 {prefix}", 10), AT)
    return [values_of(enrolment, token) for token in asked] + [values_of(other, each) for each in other.variants]


async def tell(url: str) -> None:
    """Events, exposures, one device that is forgotten, one total that is too large for 64 bits; all of it counted."""
    async with bootstrap.opened(url) as store:
        for number, token in enumerate(tokens("before", 50)):
            bought = Event(f"buy-{number}", "buy", None, 10 * number, AT)
            shown = Event(f"shown-{number}", "exposure", "button", None, AT, "red")
            await store.track([(token, [bought, shown])], AT)
        large = [Event(f"large-{number}", "buy", None, 2**62, AT) for number in range(4)]
        await store.track([("before-1", large), ("tester", large), ("nobody", large)], AT)
        await worker.tick(store)  # what is forgotten was counted
        await store.forget(["before-2", "before-299"])


async def count(url: str) -> None:
    async with bootstrap.opened(url) as store:
        await worker.tick(store)


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def everything(url: str) -> dict[str, Any]:
    """All rows of all tables, but for what is true of one database alone."""
    if url.startswith("sqlite"):
        with closing(open_raw(path_of(url))) as raw:
            names = [name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            found = {name: raw.execute(f"SELECT * FROM {name}").fetchall() for name in names}
        found["sqlite_sequence"] = [(name, last) for name, last in found["sqlite_sequence"] if last]
    else:
        with psycopg.connect(url) as raw:
            asked = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::REGNAMESPACE"
            names = [name for (name,) in raw.execute(asked)]
            found = {name: raw.execute(f"SELECT * FROM {name}".encode()).fetchall() for name in names}
            found["sequences"] = raw.execute("SELECT sequencename, last_value FROM pg_sequences").fetchall()
    return {name: sorted(rows, key=repr) for name, rows in found.items() if name not in LEFT_OUT}


def fill(run: Run, url: str) -> None:
    """A database with something of everything."""
    for command in COMMANDS:
        assert run("--database", url, *command.split()).exit_code == 0, command
    asyncio.run(enrol(url, "before"))
    asyncio.run(tell(url))
    for command in LATER:
        assert run("--database", url, *command.split()).exit_code == 0, command
    asyncio.run(enrol(url, "afterwards"))
    asyncio.run(count(url))
    with closing(open_raw(path_of(url))) as raw:
        for statement in SIGNED_IN:
            raw.execute(statement)


def copy(run: Run, source: str, target: str) -> None:
    done = run("--database", source, "db", "copy", target, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"database": bootstrap.database_name(target), "devices": 620}


def test_everything_is_copied_there_and_back(run: Run, databases: Callable[[], str]) -> None:
    fill(run, FROM)
    there, back, again = databases(), "sqlite:///back.db", databases()
    for source, target in ((FROM, there), (there, back), (back, again)):
        copy(run, source, target)
    assert everything(back) == everything(FROM)
    assert everything(again) == everything(there)
    assert [name for name, rows in everything(back).items() if not rows] == []


def test_devices_to_come_get_what_they_would_have_got(run: Run, databases: Callable[[], str]) -> None:
    fill(run, FROM)
    there, again = databases(), databases()
    copy(run, FROM, there)
    answers = [asyncio.run(enrol(url, prefix)) for prefix in ("before", "new") for url in (FROM, there)]
    assert answers[0] == answers[1]
    assert answers[2] == answers[3]
    assert len({str(each) for each in answers[2]}) > 5
    # What PostgreSQL drew itself has the form in which it would have been copied.
    assert run("--database", FROM, "db", "copy", again).exit_code == 0
    assert everything(again)["device"] == everything(there)["device"]


def test_nothing_is_copied_into_a_database_that_is_not_empty(run: Run, databases: Callable[[], str]) -> None:
    there = databases()
    for url in (FROM, there):
        assert run("--database", url, "experiments", "add", "button", "--variant", "a=1", "--variant", "b=1")
    for source, target in ((FROM, there), (there, FROM)):
        before = everything(target)
        done = run("--database", source, "db", "copy", target)
        assert done.exit_code == 1
        assert str(done.exception) == "the database to fill is not empty, but has rows in experiment"
        assert everything(target) == before


async def while_open(url: str, function: Callable[[], Any]) -> Any:
    async with bootstrap.opened(url):
        return await asyncio.to_thread(function)


def test_nothing_is_copied_from_a_database_in_use(run: Run, databases: Callable[[], str]) -> None:
    there = databases()
    for source, target in ((FROM, there), (there, FROM)):
        done = asyncio.run(while_open(source, partial(run, "--database", source, "db", "copy", target)))
        assert done.exit_code == 1
        assert "in use" in str(done.exception)
        assert "stop every server and worker first" in str(done.exception)


def test_a_copy_that_fails_leaves_nothing(run: Run, databases: Callable[[], str]) -> None:
    fill(run, FROM)
    there = databases()
    assert run("--database", there, "db", "migrate").exit_code == 0
    before = everything(there)
    with closing(open_raw(Path("from.db"))) as raw:
        raw.execute("UPDATE event SET value = 're' || char(0) || 'd' WHERE id = (SELECT max(id) FROM event)")
    done = run("--database", FROM, "db", "copy", there)
    assert done.exit_code == 1
    assert "cannot copy into" in str(done.exception)
    assert everything(there) == before
    with closing(open_raw(Path("from.db"))) as raw:
        raw.execute("UPDATE event SET value = 'red' WHERE id = (SELECT max(id) FROM event)")
    copy(run, FROM, there)


def test_a_copy_that_is_interrupted_leaves_nothing(run: Run, databases: Callable[[], str]) -> None:
    there, interrupted = databases(), threading.Event()
    for url in (FROM, there):
        assert run("--database", url, "db", "migrate").exit_code == 0
    before = everything(there)

    async def interrupt() -> None:
        async with bootstrap.opened(FROM) as store:
            await store.enrol(tokens("device", 2 * TOLD_EVERY), AT)
        begun, loop = asyncio.Event(), asyncio.get_running_loop()

        def progress(done: int, total: int) -> None:
            loop.call_soon_threadsafe(begun.set)
            interrupted.wait()

        copying = asyncio.create_task(bootstrap.copy(FROM, there, progress))
        await begun.wait()
        copying.cancel()
        interrupted.set()
        await copying

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(interrupt())  # which waits for the thread
    assert everything(there) == before


def test_a_copy_that_was_not_verified_is_not_used(
    run: Run, databases: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(run, FROM)
    there = databases()
    copy(run, FROM, there)

    async def interrupt(store: Any) -> None:
        raise KeyboardInterrupt

    for source, target in ((FROM, databases()), (there, "sqlite:///other.db")):
        with monkeypatch.context() as patch:
            patch.setattr(RelationalStore, "note_verified", interrupt)
            with pytest.raises(KeyboardInterrupt):
                asyncio.run(bootstrap.copy(source, target, lambda done, total: None))
        for command in ("worker --once", "verify", "stats"):
            done = run("--database", target, *command.split())
            assert "interrupted before it was verified: delete it, and copy again" in str(done.exception)


@pytest.mark.parametrize("moving", ["there", "back"])
def test_a_server_that_starts_before_the_copy_is_verified_is_noticed(
    run: Run, databases: Callable[[], str], monkeypatch: pytest.MonkeyPatch, moving: str
) -> None:
    there = databases()
    for url in (FROM, there):
        assert run("--database", url, "db", "migrate").exit_code == 0
    source, target = (FROM, there) if moving == "there" else (there, FROM)

    audit = bootstrap._audit

    async def audit_later(store: Any) -> Any:
        if store.name == bootstrap.made_store(target).name:
            async with bootstrap.opened(source) as server:
                await server.boot()
        return await audit(store)

    monkeypatch.setattr("abtest.bootstrap._audit", audit_later)
    done = run("--database", source, "db", "copy", target)
    assert "a server or worker started on" in str(done.exception)
    assert "delete it" in str(run("--database", target, "stats").exception)


def test_what_does_not_pass_verify_is_not_copied(run: Run, databases: Callable[[], str]) -> None:
    fill(run, FROM)
    with closing(open_raw(Path("from.db"))) as raw:
        raw.execute("UPDATE assignment SET position = position + 1 WHERE device_id = 620")
    done = run("--database", FROM, "db", "copy", databases())
    assert done.exit_code == 1
    assert "is damaged: " in str(done.exception)
    assert str(done.exception).endswith("; nothing was copied")


def test_every_table_is_copied_or_left_out(run: Run, databases: Callable[[], str]) -> None:
    in_sqlite = {"device_token", "assignment", "sqlite_sequence"}
    in_postgres = {"schema_version", "last_number", "sequences"}
    there = databases()
    for url, own in ((FROM, in_sqlite), (there, in_postgres)):
        assert run("--database", url, "db", "migrate").exit_code == 0
        found = {name: rows for name, rows in everything(url).items() if name not in own}
        assert set(found) == set(TABLES)
        assert {name for name, rows in found.items() if rows} <= set(SEEDED)
    assert run("--database", FROM, "db", "copy", there).exit_code == 0, "what is empty is copied, too"
