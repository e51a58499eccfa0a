"""`abtest status`, as typed."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from abtest import clock
from abtest.results import worker
from abtest.settings import DATABASE
from abtest.store import Process
from abtest.store.postgres import migrations as postgres_migrations
from abtest.store.sqlite import migrations
from tests.conftest import Run
from tests.processes import Abtest
from tests.processes import run as typed
from tests.stores import by_hand, own_store, run_in_sqlite


def prepare(processes: Sequence[Process], *statements: str) -> None:
    """A database with these processes, whose statistics were updated a moment ago, after these statements."""

    async def note() -> None:
        async with own_store() as store:
            for each in processes:
                await store.note_process(each, 1)
            await worker.tick(store)
            by_hand(store, *statements)

    asyncio.run(note())


def running(*kinds: str) -> list[Process]:
    now = clock.now()
    return [
        Process(kind, "alpha", pid, "1.2", now, now, stats_interval=5, free_disk=1, refused={"busy": 1_234})
        for pid, kind in enumerate(kinds, start=1)
    ]


def test_all_is_well(run: Run) -> None:
    prepare(running("server", "worker"))
    result = run("status")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("all is well\n\nversions     abtest ")
    postgres = DATABASE.variable in os.environ
    newest = (postgres_migrations if postgres else migrations).newest()
    for line in (
        f"schema       {newest}, the newest",
        "growth       known after a day",
        "waiting      up to 0 requests at once, in the last 10 seconds",
        "last backup  not known: PostgreSQL's own tools make backups" if postgres else "last backup  none",
    ):
        assert line in result.stdout.splitlines()
    assert "ago, 0 devices behind" in result.stdout
    assert "refused      busy 1,234 since " in result.stdout


def test_a_problem_is_said_first_with_what_to_do_and_in_the_exit_code(run: Run) -> None:
    prepare(running("worker"))
    result = run("status")
    assert result.exit_code == 1
    first, second, *_ = result.stdout.splitlines()
    assert first == "PROBLEM  No server is running."
    assert second == "         Start one with `abtest up`, or `abtest serve`."


@run_in_sqlite
def test_a_warning_alone_is_no_failure(run: Run) -> None:
    prepare(running("server", "worker"), f"UPDATE app SET created_at = {clock.now() - 8 * clock.DAY}")
    result = run("status")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "WARNING  There has never been a backup.")


@run_in_sqlite
def test_a_database_of_an_older_version_is_refused_and_the_way_out_named(run: Run) -> None:
    prepare(running("server"), "PRAGMA user_version = 16")
    result = run("status")
    assert result.exit_code == 1
    assert "run 'abtest db migrate'" in str(result.exception)


@run_in_sqlite
def test_a_missing_database_is_not_created(run: Run, tmp_path: Path) -> None:
    assert run("status").exit_code == 1
    assert list(tmp_path.iterdir()) == []


def status(database: Path) -> dict[str, Any]:
    found = typed(database, "status", "--json").stdout
    return dict(json.loads(found))


def test_processes_are_seen_when_they_run_and_gone_when_they_stopped(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    with Abtest(database, "up", "--port", "0", "--processes", "2") as up:
        up.port()
        while len(status(database)["processes"]) < 3:
            time.sleep(0.1)
        found = status(database)
        assert {each["pid"] for each in found["processes"]} == set(up.children())
        assert [each["kind"] for each in found["processes"]] == ["server", "server", "worker"]
        assert (found["state"], found["worker"]["running"]) == ("ok", True)
        killed = found["processes"][0]["pid"]
        os.kill(killed, signal.SIGKILL)
        while len(status(database)["processes"]) < 4:
            time.sleep(0.1)
    (left,) = status(database)["processes"]
    assert left["pid"] == killed
