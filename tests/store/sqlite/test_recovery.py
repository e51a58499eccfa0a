"""backup, restore, forget: on real files, beside real processes."""

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from abtest.bootstrap import back_up, restore, still_containing
from abtest.errors import StorageError
from abtest.store.sqlite.driver import PRAGMAS, open_raw
from abtest.trust.verification import VerificationService
from tests.processes import Abtest, Device, run, wait_until_answering
from tests.scenes import ANNA, answers, experiment, opened, tokens

SERVE = ("serve", "--port", "0", "--processes", "1")
ADD_COLOR = ("experiments", "add", "color", "--variant", "red=1", "--variant", "green=1")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm", ".lock"))}


def test_a_backup_under_load_is_whole_and_can_be_restored(tmp_path: Path) -> None:
    database, copy = tmp_path / "abtest.db", tmp_path / "copy.db"
    run(database, *ADD_COLOR)
    with Abtest(database, *SERVE) as server:
        url = f"http://127.0.0.1:{server.port()}"
        run(database, "seed", "300", "--url", url, "--prefix", "before-")
        with Abtest(database, "seed", "3000", "--url", url, "--prefix", "during-"):
            done = run(database, "backup", str(copy))
        assert (done.returncode, names(tmp_path)) == (0, {"abtest.db", "copy.db"}), done.stderr
        refused = run(database, "restore", str(copy))
        assert refused.returncode == 1
        assert "is in use; stop every server and worker first" in refused.stderr
        with closing(Device(server.port_number)) as device:
            before = {token: device.ask(token) for token in tokens("before", 300) if token != "before-0"}
    assert run(database, "restore", str(copy)).returncode == 0
    with Abtest(database, *SERVE) as server, closing(Device(server.port())) as device:
        assert {token: device.ask(token) for token in before} == before
    assert len([name for name in names(tmp_path) if ".before-" in name]) == 1
    assert run(database, "verify").returncode == 0
    assert "restored from a backup at" in run(database, "stats").stderr


def test_a_restore_forgets_the_processes_that_ran_when_the_backup_was_made(tmp_path: Path) -> None:
    database, copy = tmp_path / "abtest.db", tmp_path / "copy.db"
    run(database, *ADD_COLOR)
    with Abtest(database, *SERVE) as server:
        server.port()
        while not json.loads(run(database, "status", "--json").stdout)["processes"]:
            pass
        run(database, "backup", str(copy))
    run(database, "restore", str(copy))
    assert json.loads(run(database, "status", "--json").stdout)["processes"] == []


async def test_a_damaged_backup_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    database, copy = tmp_path / "abtest.db", tmp_path / "copy.db"
    async with opened(copy) as store:
        await store.add([experiment("color", "1", "1")], 1)
        await answers(store, tokens("a", 10))
    connection = open_raw(copy)
    connection.execute("UPDATE phase SET next_position = 3")
    connection.close()
    with pytest.raises(StorageError, match="is damaged: phase 1 of color"):
        await restore(copy, f"sqlite:///{database}", ANNA)
    assert names(tmp_path) == {"copy.db"}


def rows(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


def empty(backup: Path) -> None:
    backup.write_bytes(b"")


def keep_no_table(backup: Path) -> None:
    backup.unlink()
    connection = sqlite3.connect(backup)
    connection.execute("PRAGMA user_version = 1")
    connection.close()


def write_notes(backup: Path) -> None:
    backup.write_bytes(b"these are the notes of a meeting " * 500)


def cut(backup: Path) -> None:
    os.truncate(backup, 5000)


def run_statement(statement: str) -> Callable[[Path], None]:
    def change(backup: Path) -> None:
        with closing(sqlite3.connect(backup)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute(statement)

    return change


async def backed_up(database: Path, copy: Path) -> None:
    """A database with an experiment, and a backup of it."""
    async with opened(database) as store:
        await store.add([experiment("color", "1", "1")], 1)
        await back_up(store, copy, lambda done, total: None)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (empty, "copy.db is empty: it contains no database"),
        (keep_no_table, "copy.db is empty: it contains no database"),
        (write_notes, "cannot open the database copy.db: file is not a database"),
        (cut, "cannot open the database copy.db: database disk image is malformed"),
        (run_statement("PRAGMA application_id = 5"), "copy.db is a database of another program"),
        (run_statement("PRAGMA user_version = 99"), "copy.db has schema 99, but this program knows only up to"),
        (run_statement("DROP TABLE meta"), "copy.db is damaged: "),
        (run_statement("UPDATE phase SET next_position = 3"), "copy.db is damaged: phase 1 of color"),
        (Path.unlink, "there is no file copy.db"),
    ],
)
def test_a_file_that_is_no_backup_is_named_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], None], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    database = tmp_path / "abtest.db"
    asyncio.run(backed_up(database, tmp_path / "copy.db"))
    harm(tmp_path / "copy.db")
    before, content = names(tmp_path), rows(database)
    refused = run(database, "restore", "copy.db")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"abtest: {words}")
    assert refused.stderr.endswith("; nothing was changed\n")
    assert ".restoring" not in refused.stderr
    assert (names(tmp_path), rows(database)) == (before, content)


async def test_a_stray_log_is_not_mixed_with_a_backup(tmp_path: Path) -> None:
    async with opened(tmp_path / "copy.db"):
        pass
    Path(f"{tmp_path}/abtest.db-wal").write_bytes(b"what another database left")
    with pytest.raises(StorageError, match="exists without its database"):
        await restore(tmp_path / "copy.db", f"sqlite:///{tmp_path}/abtest.db", ANNA)


async def test_a_backup_takes_the_place_of_a_damaged_database_that_nobody_has_open(tmp_path: Path) -> None:
    database, copy = tmp_path / "abtest.db", tmp_path / "copy.db"
    for path in (database, copy):
        async with opened(path) as store:
            await store.add([experiment("color", "1", "1")], 1)
    server = open_raw(database)
    server.execute("UPDATE meta SET value = value")
    database.write_bytes(b"no database any more" * 1000)
    with pytest.raises(StorageError, match="is in use"):
        await restore(copy, f"sqlite:///{database}", ANNA)
    server.close()
    _, kept = await restore(copy, f"sqlite:///{database}", ANNA)
    assert kept is not None
    assert b"no database any more" in kept.read_bytes()
    assert run(database, "verify").returncode == 0


async def test_the_leftovers_of_a_killed_restore_are_not_mixed_with_the_next(tmp_path: Path) -> None:
    database, copy, killed = tmp_path / "abtest.db", tmp_path / "copy.db", tmp_path / "abtest.db.restoring"
    async with opened(killed) as store:
        await store.add([experiment("price", "1", "1")], 1)
        left = Path(f"{killed}-wal").read_bytes()
    async with opened(copy) as store:
        await store.add([experiment("color", "1", "1")], 1)
    Path(f"{killed}-wal").write_bytes(left)
    await restore(copy, f"sqlite:///{database}", ANNA)
    async with opened(database) as store:
        assert [each.key for each in await store.experiments()] == ["color"]
    assert names(tmp_path) == {"abtest.db", "copy.db"}


async def test_forgetting_waits_for_no_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRAGMAS, "busy_timeout", 600_000)
    async with opened(tmp_path / "abtest.db") as store:
        await answers(store, ["person"])
        reader = open_raw(tmp_path / "abtest.db")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM device").fetchone()
        async with asyncio.timeout(60):
            assert await store.forget(["person"]) == 1
            assert not await store.empty_log()
            await answers(store, ["other"])
        said = run(tmp_path / "abtest.db", "forget", "other").stderr
        assert "the database's log may still contain what was forgotten" in said
        reader.close()
        assert await store.empty_log()
        assert not (tmp_path / "abtest.db-wal").stat().st_size


async def test_a_database_in_use_is_no_backup(tmp_path: Path) -> None:
    async with opened(tmp_path / "used.db") as store:
        await answers(store, ["a"])
        with pytest.raises(StorageError, match=r"used\.db is no backup: it has a log, .*nothing was changed"):
            await restore(tmp_path / "used.db", f"sqlite:///{tmp_path}/abtest.db", ANNA)
    assert names(tmp_path) == {"used.db"}


async def test_a_database_behind_a_link_is_restored_there(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    for path in (tmp_path / "copy.db", tmp_path / "disk" / "real.db"):
        async with opened(path):
            pass
    (tmp_path / "abtest.db").symlink_to("disk/real.db")
    _, kept = await restore(tmp_path / "copy.db", f"sqlite:///{tmp_path}/abtest.db", ANNA)
    assert (tmp_path / "abtest.db").is_symlink()
    assert kept is not None
    assert kept.parent == tmp_path / "disk"
    (told,) = still_containing(f"sqlite:///{tmp_path}/abtest.db")
    assert told.startswith(f"{kept}, ")


def test_a_backup_that_can_not_be_written_says_so(tmp_path: Path) -> None:
    run(tmp_path / "abtest.db", *ADD_COLOR)
    done = run(tmp_path / "abtest.db", "backup", "/dev/null/copy.db")
    assert (done.returncode, "cannot write the backup /dev/null/copy.db" in done.stderr) == (1, True), done.stderr


def test_a_backup_overwrites_nothing_and_creates_no_database(tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")
    run(tmp_path / "abtest.db", *ADD_COLOR)
    assert "already exists" in run(tmp_path / "abtest.db", "backup", str(tmp_path / "copy.db")).stderr
    assert (tmp_path / "copy.db").read_text() == "precious"
    missing = run(tmp_path / "missing.db", "backup", str(tmp_path / "other.db"))
    assert (missing.returncode, (tmp_path / "missing.db").exists()) == (1, False)


async def test_a_forgotten_device_is_a_new_one_and_shares_stay_exact(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("color", "1", "1")], 1)
        await answers(store, tokens("a", 10))
        assert await store.forget(["a-3", "a-4", "nobody"]) == 2
        assert (await store.find(["a-3"])).variants == {}
        await answers(store, ["a-3"])
        assert (await store.device("a-3")).id == 11
        verified = await VerificationService(store).verify()
    assert (verified.findings, verified.devices) == ((), 11)
    assert b"a-4" not in (tmp_path / "abtest.db").read_bytes()


def test_forgetting_names_the_files_that_restores_kept(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    run(database, *ADD_COLOR)
    assert ".before-" not in run(database, "forget", "nobody").stderr
    assert run(database, "backup", str(tmp_path / "copy.db")).returncode == 0
    kept = json.loads(run(database, "restore", str(tmp_path / "copy.db"), "--json").stdout)["kept"]
    forgotten = run(database, "forget", "nobody", "--json")
    assert (
        forgotten.stderr
        == f"{kept}, kept by a restore, may still contain what was forgotten; delete the file when nobody needs it\n"
    )


def test_every_process_drops_a_forgotten_device(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    run(database, *ADD_COLOR)
    with Abtest(database, "serve", "--port", "0", "--processes", "2") as server:
        port = server.port()
        wait_until_answering(port)
        devices = [Device(port) for _ in range(6)]
        for device in devices:
            device.ask("person")
        (tmp_path / "tokens.txt").write_text("person\n")
        assert run(database, "forget", "--from-file", str(tmp_path / "tokens.txt")).returncode == 0
        while json.loads(run(database, "why", "person", "--json").stdout or "{}").get("number") != 2:
            for device in devices:
                device.ask("person")
        for device in devices:
            device.close()
    assert run(database, "verify").returncode == 0


def test_attributes_survive_a_backup_and_their_device_being_forgotten(tmp_path: Path) -> None:
    database, copy, restored = tmp_path / "abtest.db", tmp_path / "copy.db", tmp_path / "restored.db"
    run(database, *ADD_COLOR)
    with Abtest(database, "serve", "--port", "0", "--processes", "1") as server:
        path = f"http://127.0.0.1:{server.port()}/api/v1/experiments?platform=ios&app_version=3.10.0&country=DE"
        for token in ("person", "phone"):
            with urlopen(Request(path, headers={"Device-Token": token})) as answer:
                assert answer.status == 200
    assert run(database, "forget", "person").returncode == 0
    assert run(database, "backup", str(copy)).returncode == 0
    assert run(restored, "restore", str(copy)).returncode == 0
    explained = run(restored, "why", "phone")
    assert "\nattributes: app_version=3.10.0, country=DE, platform=ios\n" in explained.stdout
    assert json.loads(run(restored, "why", "phone", "--json").stdout)["attributes"]["platform"] == "ios"
    connection = open_raw(restored)
    assert connection.execute("SELECT count(DISTINCT profile_id), count(profile_id) FROM device").fetchone() == (1, 2)
    connection.close()
    assert run(restored, "verify").returncode == 0
