"""The state of the whole system."""

from pathlib import Path

from msgspec import structs

from abtest import clock
from abtest.bootstrap import back_up, restore
from abtest.results import worker
from abtest.settings import Settings
from abtest.store import Process
from abtest.store.sqlite.store import SQLiteStore
from abtest.upkeep import State, SystemService
from tests.scenes import ANNA, answers, experiment, opened, tokens
from tests.stores import only_in_sqlite

SETTINGS = Settings()


def process(kind: str, pid: int, **changed: object) -> Process:
    now = clock.now()
    fresh = Process(kind, "alpha", pid, "1", now - clock.HOUR, now, SETTINGS.stats_interval, free_disk=1)
    return structs.replace(fresh, **changed)


async def test_devices_that_the_worker_has_not_counted_yet_are_its_lag(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    await answers(store, tokens("counted", 5))
    await worker.tick(store)
    await answers(store, tokens("late", 3))
    system = await SystemService(store).system()
    assert (system.devices, system.worker.devices_behind, system.worker.running) == (8, 3, False)
    assert system.worker.age_seconds is not None


async def test_a_system_in_which_everything_runs_is_well(store: SQLiteStore) -> None:
    for each in (process("server", 1), process("worker", 2)):
        await store.note_process(each, 1)
    await worker.tick(store)
    system = await SystemService(store).system()
    assert (system.state, system.warnings) == (State.OK, ())
    assert [(each.kind, each.pid, each.running) for each in system.processes] == [
        ("server", 1, True),
        ("worker", 2, True),
    ]


async def test_one_problem_makes_the_state_a_problem_and_a_warning_alone_does_not(store: SQLiteStore) -> None:
    await store.note_process(process("server", 1), 1)
    assert (await SystemService(store).system()).state is State.PROBLEM
    await store.note_process(process("worker", 2, version="2"), 1)
    await worker.tick(store)
    assert (await SystemService(store).system()).state is State.WARNING


async def test_what_running_servers_refused_is_added_up(store: SQLiteStore) -> None:
    since = clock.now() - 2 * clock.HOUR
    for each in (
        process("server", 1, started_at=since, waiting=2, refused={"busy": 1, "not_found": 5}),
        process("server", 2, waiting=3, refused={"busy": 2}, refused_lately={"busy": 2}),
        process("server", 3, seen_at=clock.now() - 60_000, waiting=9, refused={"busy": 100}),
    ):
        await store.note_process(each, 1)
    system = await SystemService(store).system()
    assert list(system.refused.by_code.items()) == [("not_found", 5), ("busy", 3)]
    assert (system.refused.lately, system.refused.since, system.waiting) == ({"busy": 2}, clock.iso(since), 5)


@only_in_sqlite
async def test_a_backup_is_noted_as_of_the_moment_that_it_shows(store: SQLiteStore, tmp_path: Path) -> None:
    assert (await SystemService(store).system()).last_backup is None
    before = clock.iso(clock.now())
    await back_up(store, tmp_path / "backup.db", lambda done, total: None)
    system = await SystemService(store).system()
    assert system.last_backup is not None
    assert before <= system.last_backup <= system.as_of
    await restore(tmp_path / "backup.db", f"sqlite:///{tmp_path}/restored.db", ANNA)
    async with opened(tmp_path / "restored.db") as restored:
        assert (await SystemService(restored).system()).last_backup == system.last_backup


async def test_an_older_backup_does_not_hide_a_newer_one(store: SQLiteStore) -> None:
    await store.note_backup(2_000)
    await store.note_backup(1_000)
    assert (await store.upkeep()).backed_up_at == 2_000


async def test_a_backup_of_the_file_that_was_copied_is_none_of_postgresql(store: SQLiteStore) -> None:
    await store.note_backup(1)
    system = await SystemService(store).system()
    assert (system.last_backup is not None) == (system.last_backup_seconds is not None) == system.backups_known


@only_in_sqlite
async def test_growth_is_what_was_measured(store: SQLiteStore) -> None:
    now, size = clock.now(), (await store.condition()).database_bytes
    for days, bytes_then in ((2, size - 2_000), (1, size - 500)):
        seen_at = now - days * clock.DAY
        await store.note_process(process("server", 1, seen_at=seen_at), bytes_then)
    system = await SystemService(store).system()
    assert (system.database.bytes_per_day, system.database.measured_days) == (1_000, 2.0)
