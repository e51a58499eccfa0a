"""A locked, lost, replaced, cut, foreign, newer or half migrated database: exact messages, never a new file."""

import asyncio
import fcntl
import os
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from abtest.store.sqlite.driver import LOG_LIMIT
from abtest.store.sqlite.migrations import newest
from abtest.upkeep import LARGE_LOG
from tests.faults.clients import OK, Ledger, Reply, ask_all, connected, load, more, named
from tests.faults.parts import Part
from tests.faults.servers import COLOR, PRICE, create, free_port, read, run, serve
from tests.faults.shims import COMPILER, WITHOUT_COMPILER, Shim


def ask(port: int, token: str) -> Reply:
    """The answer that one device gets."""

    async def asking() -> Reply:
        async with connected(port) as connection:
            return await connection.ask(token)

    return asyncio.run(asking())


def value(port: int, token: str) -> bytes:
    """What one device gets, asked again while the database takes longer than the short deadline."""
    while (reply := ask(port, token)).status != OK:
        assert code(reply) == "busy"
    return reply.body


def code(reply: Reply) -> str:
    """The code of a problem."""
    return str(msgspec.json.decode(reply.body)["code"])


def test_a_held_database_is_busy_and_then_goes_on(tmp_path: Path) -> None:
    database, port = tmp_path / "abtest.db", free_port()
    create(database, COLOR, PRICE)
    with serve(database, port, "--deadline", "0.3") as server:
        known = value(port, "known")
        holder = sqlite3.connect(database, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert (ask(port, "known").status, ask(port, "known").body) == (200, known)
        refused = ask(port, "new")
        assert (refused.status, code(refused), refused.header(b"Retry-After").isdigit()) == (503, "busy", True)
        holder.execute("ROLLBACK")
        holder.close()
        assert set(msgspec.json.decode(value(port, "new"))) == {"color", "price"}
        assert server.code is None


def test_a_command_gives_up_on_a_held_lock_and_says_so(tmp_path: Path) -> None:
    database = tmp_path / "abtest.db"
    create(database)
    lock = os.open(f"{database}.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    failed = run(database, "experiments", "pause", "color")
    os.close(lock)
    assert failed.returncode == 1
    assert failed.stderr == "abtest: another program has kept the database locked for 10 s; try again\n"


def delete(database: Path) -> None:
    """Somebody deleted the database."""
    database.unlink()


def replace(database: Path) -> None:
    """Somebody put another database in its place."""
    other = database.with_name("other.db")
    create(other)
    other.replace(database)


@pytest.mark.parametrize("lose", [delete, replace])
def test_a_lost_database_ends_the_server_and_stays_lost(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    database, port = tmp_path / "abtest.db", free_port()
    create(database)
    with serve(database, port) as server:
        known = ask(port, "known")
        lose(database)
        assert ask(port, "known").body == known.body
        assert (ask(port, "new").status, server.wait()) == (503, 1)
        assert "was deleted or replaced" in server.messages()
    assert database.exists() is (lose is replace)


def cut(database: Path) -> None:
    """The file is a copy that stopped half-way."""
    os.truncate(database, 5000)


def overwrite(database: Path) -> None:
    """The file is not a database."""
    database.write_bytes(b"these are the notes of a meeting " * 500)


def take_over(database: Path) -> None:
    """The file is the database of another program."""
    database.unlink()
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE letters (text)")
    connection.close()


def grow_newer(database: Path) -> None:
    """A newer abtest has migrated the database."""
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut, "database disk image is malformed"),
        (overwrite, "file is not a database"),
        (take_over, "is a database of another program; nothing was changed"),
        (grow_newer, "install a newer abtest"),
    ],
)
def test_a_file_that_is_not_the_database_is_refused_by_all_commands_and_left_alone(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    database = tmp_path / "abtest.db"
    create(database)
    damage(database)
    before = database.read_bytes()
    for command in (("up", "--port", "0"), ("serve", "--port", "0"), ("worker",), ("stats",), ("db", "migrate")):
        failed = run(database, *command)
        assert (failed.returncode, words in failed.stderr) == (1, True), (command, failed.stderr)
        assert "Traceback" not in failed.stderr
    assert database.read_bytes() == before


def migrations(folder: Path, times: int, defect: str = "add-a-migration", seed: int = 1) -> dict[str, int]:
    """Kill a migration before each of its changes in turn: the schema is old or new, never mixed."""
    folder = folder / defect
    folder.mkdir()
    chance = random.Random(seed)
    old = new = killed = 0
    create(folder / "before.db", ("color", "red=1", "green=1"))
    for number in range(times):
        database = folder / f"{number}.db"
        shutil.copyfile(folder / "before.db", database)
        shim = Shim(folder, database)
        shim.set("die_at", 1 + number if number < 24 else chance.randint(1, 40))
        killed += run(database, "db", "migrate", shim=shim, defect=defect).returncode < 0
        connection = sqlite3.connect(database)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'later_%'").fetchone()
        connection.close()
        assert (version, tables) in ((newest(), 0), (newest() + 1, 4)), (
            f"mixed: schema {version} with {tables} of 4 tables"
        )
        old, new = old + (tables == 0), new + (tables == 4)
        assert run(database, "db", "migrate", defect="add-a-migration").returncode == 0
    assert killed
    return {"migrations": times, "killed": killed, "left_old": old, "left_new": new}


@pytest.mark.skipif(COMPILER is None, reason=WITHOUT_COMPILER)
def test_a_killed_migration_leaves_the_old_or_the_new_schema(tmp_path: Path) -> None:
    migrations(tmp_path, 6)


@pytest.mark.skipif(COMPILER is None, reason=WITHOUT_COMPILER)
def test_a_migration_in_parts_leaves_a_mixed_schema(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="mixed"):
        migrations(tmp_path, 24, defect="migrates-in-parts")


def long_reader(folder: Path, devices: int, defect: str = "") -> dict[str, int]:
    """A reader holds a snapshot under load: the log grows, and metrics say so. Afterwards it stays bounded."""
    database, port, ledger = folder / f"{defect or 'reader'}.db", free_port(), Ledger()
    create(database)
    log = Path(f"{database}-wal")
    with serve(database, port, defect=defect):
        reader = sqlite3.connect(database, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM device").fetchone()
        asyncio.run(load(port, ledger, named("a"), more(ledger, devices)))
        held = log.stat().st_size
        told = re.search(r"^abtest_log_bytes (\S+)$", read(port, "/metrics"), re.MULTILINE)
        assert told is not None
        assert float(told[1]) == held
        assert ("the write-ahead log is" in read(port, "/readyz")) is (held > LARGE_LOG)
        reader.execute("COMMIT")
        reader.close()
        asyncio.run(load(port, ledger, named("b"), more(ledger, devices)))
        after = log.stat().st_size
        asyncio.run(load(port, ledger, named("c"), more(ledger, devices)))
        later = log.stat().st_size
        assert max(after, later) <= LOG_LIMIT, "the log grows on without a reader"
        assert "the write-ahead log is" not in read(port, "/readyz")
        asyncio.run(ask_all(port, ledger, list(ledger.answers)[:1000]))
    assert (ledger.lost, ledger.changed) == ([], [])
    said = {"said_in_readyz": int(held > LARGE_LOG)}
    return {"log_bytes_while_read": held, "log_bytes_after": after, "log_bytes_later": later} | said


def test_a_log_stops_growing_when_a_long_reader_ends(tmp_path: Path) -> None:
    figures = long_reader(tmp_path, 5_000)
    assert figures["log_bytes_while_read"] > LOG_LIMIT


def without_checkpoints(folder: Path) -> dict[str, int]:
    """The control: a log that is never written back must go on growing."""
    with pytest.raises(AssertionError, match="grows on"):
        long_reader(folder, 5_000, defect="never-checkpoints")
    return {"control_noticed": 1}


def test_without_checkpoints_it_goes_on_growing(tmp_path: Path) -> None:
    without_checkpoints(tmp_path)


def measure(folder: Path, part: Part) -> dict[str, int]:
    """The long form."""
    figures = long_reader(folder, part.of(30_000)) | without_checkpoints(folder)
    return figures if COMPILER is None else figures | migrations(folder, part.of(50), seed=part.seed)
