"""The right SQLite is chosen, and a doubtful file is refused."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import Any

import pytest

from abtest.errors import StorageError, Unavailable
from abtest.store.sqlite import migrations
from abtest.store.sqlite.driver import PRAGMAS, fixed_driver, has_wal_reset_bug, open_raw
from abtest.store.sqlite.store import SQLiteStore
from tests.scenes import answers, opened


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("version", "bug"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_a_sqlite_that_can_corrupt_the_file_is_recognised(version: tuple[int, ...], bug: bool) -> None:
    assert has_wal_reset_bug(version) is bug


def test_only_a_fixed_sqlite_is_used_and_otherwise_the_reason_is_given() -> None:
    old: Any = SimpleNamespace(__name__="old", sqlite_version="3.45.0", sqlite_version_info=(3, 45, 0))
    good: Any = SimpleNamespace(__name__="good", sqlite_version="3.53.0", sqlite_version_info=(3, 53, 0))
    assert fixed_driver((None, old, good)) is good
    with pytest.raises(StorageError, match=r"old has 3\.45\.0"):
        fixed_driver((None, old))


async def test_every_connection_has_its_settings(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        for connection in store._connections:
            for name, wanted in PRAGMAS.items():
                rows = await (await connection.execute(f"PRAGMA {name}")).fetchall()
                found = [tuple(row) for row in rows]
                assert found == [(wanted,)] or (name, found) == (
                    "mmap_size",
                    [],
                )  # [] where SQLite is built without it


async def test_another_programs_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "abtest.db"
    connection = fixed_driver().connect(path)
    connection.execute("CREATE TABLE letters (text)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program"):
        async with opened(path):
            pass
    assert (path.read_bytes(), names(tmp_path)) == (before, [path.name])


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "abtest.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StorageError, match="cannot open the database"):
        async with opened(path):
            pass
    assert path.read_bytes() == b"not a database at all" * 100


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"there is no folder {tmp_path}/nowhere"):
        await SQLiteStore(tmp_path / "nowhere" / "abtest.db").open()


@pytest.fixture
def foreign_folder() -> Iterator[Path]:
    """A folder that this process may not write in."""
    folder, user = Path(mkdtemp()), os.geteuid()
    folder.chmod(0o500)
    if user == 0:  # root may write everywhere
        os.seteuid(65_534)
    yield folder
    os.seteuid(user)
    folder.rmdir()


async def test_a_folder_that_is_not_writable_is_named_with_the_user(foreign_folder: Path) -> None:
    words = f"{foreign_folder} is not writable for uid {os.geteuid()}, the user running this program"
    with pytest.raises(StorageError, match=words):
        await SQLiteStore(foreign_folder / "abtest.db").open()


@pytest.mark.parametrize(("version", "words"), [(99, "newer abtest"), (0, "abtest db migrate")])
async def test_another_schema_is_refused(
    tmp_path: Path, version: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "abtest.db"
    async with opened(path):
        pass
    connection = open_raw(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(StorageError, match=words):
        async with opened(path):
            pass


async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = migrations.newest()
    broken = [*migrations.files(), (newest + 1, "CREATE TABLE half (id); SELECT nonsense;")]
    path = tmp_path / "abtest.db"
    async with opened(path):
        pass
    monkeypatch.setattr(migrations, "files", lambda: broken)
    connection = open_raw(path)
    with pytest.raises(Exception, match="nonsense"):
        migrations.prepare(connection, path, migrate=True)
    assert migrations.version(connection) == newest
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)
    connection.close()


async def test_a_writer_with_patience_gives_up_when_another_holds_the_lock(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db", patience=0.05) as store:
        lock = os.open(tmp_path / "abtest.db.lock", os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match=r"kept the database locked for 0\.05 s"):
            await store.boot()
        os.close(lock)
        await store.boot()


async def test_every_path_to_a_database_leads_to_the_same_lock(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "abtest.db")
    async with opened(tmp_path / "link.db"), opened(tmp_path / "folder" / ".." / "abtest.db"):
        assert [name for name in names(tmp_path) if name.endswith(".lock")] == ["abtest.db.lock"]


async def test_a_readonly_database_ends_the_process_and_is_not_busy(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await store._writer.execute("PRAGMA query_only = ON")
        with pytest.raises(StorageError, match="readonly"):
            await store.boot()


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        pass
    with pytest.raises(Unavailable, match="closed"):
        await store.find(["a"])


async def test_a_number_that_was_given_out_is_never_given_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await store.enrol(["a", "b"], 1)
        await store._writer.execute("DELETE FROM device_token WHERE device_id = 2")
        await store._writer.execute("DELETE FROM device WHERE id = 2")
        await store.enrol(["c"], 1)
        assert (await store.device("c")).id == 3


async def test_figures_that_count_more_devices_than_there_were_are_not_continued(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await store._writer.execute("UPDATE summary SET device_watermark = 7")
        with pytest.raises(StorageError, match="7 devices are counted, but 0 were seen"):
            await store.fold(10, 1)


async def test_a_database_that_failed_once_is_not_used_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await answers(store, ["a"])
        moved = (tmp_path / "abtest.db").rename(tmp_path / "moved.db")
        with pytest.raises(StorageError, match="deleted or replaced"):
            await answers(store, ["b"])
        moved.rename(tmp_path / "abtest.db")
        with pytest.raises(StorageError, match="deleted or replaced"):
            await answers(store, ["c"])
        async with opened(tmp_path / "abtest.db") as another:
            assert (await another.find(["b", "c"])).variants == {}
