"""A database of an older version gets the schema of a new one, and keeps all that it had."""

from pathlib import Path
from typing import Any

import pytest

from abtest import clock
from abtest.domain.events import Event
from abtest.language import decision_said
from abtest.management import ExperimentService
from abtest.results import worker
from abtest.results.conclusions import ResultService
from abtest.store.sqlite import migrations
from abtest.store.sqlite.driver import open_raw
from abtest.trust.verification import VerificationService
from tests.scenes import ANNA, answers, experiment, opened, tokens

OLD = 2
BEFORE_DECISIONS = 16
DEVICES = "INSERT INTO device (id, token, first_seen) VALUES (1, 'b', 1000), (2, 'a', 2000), (3, 'c', 3000)"
HAPPENED = "SELECT metric_id, day, devices FROM summary_happened ORDER BY metric_id, day"
COUNTED = "SELECT * FROM summary_metric ORDER BY 1, 2, 3, 4"
BEFORE_BUCKETS = """
PRAGMA foreign_keys = OFF;
DROP VIEW last_number;
DROP VIEW counted_exposure;
CREATE VIEW counted_exposure AS SELECT 1;
DROP TABLE exposed;
CREATE TABLE exposed (experiment_id, device_id);
INSERT INTO exposed VALUES (1, 1);
ALTER TABLE event DROP COLUMN value;
ALTER TABLE summary_day DROP COLUMN showed_other;
ALTER TABLE metric DROP COLUMN less;
ALTER TABLE experiment DROP COLUMN baseline_changed_at;
ALTER TABLE experiment DROP COLUMN type;
ALTER TABLE summary_metric DROP COLUMN buckets;
ALTER TABLE summary_metric DROP COLUMN delays;
INSERT INTO meta VALUES ('duplicate_events', 0), ('unknown_device_events', 0);
DROP TABLE shared_link;
DROP TABLE first_link;
DROP TABLE access_token;
DROP TABLE session;
DROP TABLE sign_in_link;
DROP TABLE account;
DROP TABLE person;
DROP TABLE journal;
DROP TABLE journal_end;
DROP TABLE process;
DROP TABLE database_size;
DROP TABLE app;
DROP TABLE test_value;
DROP TABLE test_device;
DROP TABLE summary_app;
DROP TABLE summary_winner;
ALTER TABLE phase DROP COLUMN stop_at;
ALTER TABLE device DROP COLUMN profile_id;
DROP TABLE profile;
ALTER TABLE experiment DROP COLUMN audience;
ALTER TABLE phase DROP COLUMN coverage;
DROP TABLE summary_outside;
PRAGMA user_version = 4
"""
AS_IT_WAS = """
DROP TABLE summary_happened;
CREATE TABLE summary_happened (metric_id, day, events);
INSERT INTO summary_happened VALUES (1, 0, 99);
PRAGMA user_version = 3
"""
FINISHED = """
INSERT INTO experiment (
  id, app_id, kind, key, description, status, winner, type, audience, seed, algorithm, created_at,
  created_after_device
)
VALUES (1, 1, 'experiment', 'color', '', 'finished', 'red', 'string', '[]', zeroblob(32), 1, 1000, 0);
INSERT INTO variant VALUES (1, 1, 0, 'red'), (2, 1, 1, 'blue');
INSERT INTO phase (experiment_id, number, weights, created_at, created_after_device, block_counts)
VALUES (1, 1, '["1", "1"]', 1000, 0, '[0, 0]');
INSERT INTO status_change (experiment_id, status, winner, at, after_device, after_event)
VALUES (1, 'running', NULL, 1000, 0, 0), (1, 'finished', 'red', 2000, 0, 0);
"""
KEPT = "SELECT device.id, token, first_seen FROM device JOIN device_token ON device_id = id ORDER BY id"


def of_schema(number: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A new database with this older schema."""
    connection = open_raw(path)
    with monkeypatch.context() as older:
        files = migrations.files()[:number]
        older.setattr(migrations, "files", lambda: files)
        migrations.prepare(connection, path, migrate=True)
    return connection


def old_database(path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A database of schema 2 that had three devices, the last of which is gone."""
    connection = of_schema(OLD, path, monkeypatch)
    connection.execute(DEVICES)
    connection.execute("DELETE FROM device WHERE id = 3")
    return connection


def schema(connection: Any) -> list[tuple[str, str]]:
    """Every table, index and view, as SQLite reads its definition."""
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()
    return [(name, " ".join(sql.replace('"', "").split())) for name, sql in rows]


def test_a_new_database_is_made_in_one_transaction(tmp_path: Path) -> None:
    connection, said = open_raw(tmp_path / "abtest.db"), list[str]()
    connection.set_trace_callback(lambda text: said.append(text.strip()))
    migrations.prepare(connection, tmp_path / "abtest.db", migrate=True)
    connection.close()
    assert [text for text in said if text.startswith(("BEGIN", "COMMIT"))] == ["BEGIN IMMEDIATE;", "COMMIT;"]


async def test_a_migrated_database_has_the_schema_of_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = old_database(tmp_path / "old.db", monkeypatch)
    migrations.prepare(old, tmp_path / "old.db", migrate=True)
    async with opened(tmp_path / "new.db"):
        pass
    new = open_raw(tmp_path / "new.db")
    assert schema(old) == schema(new)
    assert old.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert old.execute("PRAGMA foreign_key_check").fetchall() == []
    old.close()
    new.close()


async def test_devices_keep_their_ids_and_tokens_through_a_migration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = old_database(tmp_path / "old.db", monkeypatch)
    migrations.prepare(old, tmp_path / "old.db", migrate=True)
    old.close()
    async with opened(tmp_path / "old.db") as store:
        enrolment = await store.enrol(["a", "b", "d"], 4000)
        assert enrolment.new == {"d"}
        rows = await (await store._writer.execute(KEPT)).fetchall()
        assert [tuple(row) for row in rows] == [(1, "b", 1000), (2, "a", 2000), (4, "d", 4000)]
        verified = await VerificationService(store).verify()
        assert verified.findings == (
            "device 3: has no tokens",
            "device 3: its row is missing, although there were later devices",
        )


async def counted(path: Path) -> None:
    """A database with events of 20 devices, which are counted, and of a late one, which are not."""
    asked = tokens("device", 20)
    metrics = ("conversion:buy", "conversion:buy/1d", "amount:buy")
    async with opened(path) as store:
        await store.add([experiment("color", "1", "1", metrics=metrics)], 1)
        await answers(store, asked)
        for place, token in enumerate(asked):
            times = [None, place * clock.DAY, 200 * clock.DAY]
            events = [Event(f"{n}", "buy", amount=place, at=at) for n, at in enumerate(times[place % 3 :])]
            await store.track([(token, events)], 100 * clock.DAY)
        await worker.tick(store)
        await answers(store, ["late"])
        await store.track([("late", [Event("1", "buy")])], 100 * clock.DAY)  # which no worker has seen


async def test_first_events_are_counted_again_by_a_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "abtest.db"
    await counted(path)
    connection = open_raw(path)
    happened = connection.execute(HAPPENED).fetchall()
    assert {day for _, day, _ in happened} == {10, 13, 16, 19, 100}
    connection.executescript(BEFORE_BUCKETS)
    connection.executescript(AS_IT_WAS)
    files = migrations.files()[:4]
    monkeypatch.setattr(migrations, "files", lambda: files)
    migrations.prepare(connection, path, migrate=True)
    assert connection.execute(HAPPENED).fetchall() == happened
    connection.close()


async def test_metrics_with_a_window_are_counted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In schema 6 a window had no beginning."""
    path = tmp_path / "abtest.db"
    await counted(path)
    connection = open_raw(path)
    windowed = connection.execute("SELECT id FROM metric WHERE window_days IS NOT NULL").fetchall()
    others = [row for row in connection.execute(COUNTED).fetchall() if row[:1] not in windowed]
    newest, files = migrations.newest(), migrations.files()[:7]
    connection.execute("PRAGMA user_version = 6")
    with monkeypatch.context() as older:
        older.setattr(migrations, "files", lambda: files)
        migrations.prepare(connection, path, migrate=True)
    connection.execute(f"PRAGMA user_version = {newest}")
    assert len(windowed) == 1
    assert connection.execute(COUNTED).fetchall() == others
    connection.close()
    async with opened(path) as store:
        assert (await VerificationService(store).verify()).findings == ()
        await worker.tick(store)
        assert (await VerificationService(store).verify()).findings == ()


async def test_events_counted_without_buckets_are_counted_again(tmp_path: Path) -> None:
    path = tmp_path / "abtest.db"
    await counted(path)
    async with opened(path) as store:
        await worker.tick(store)
    connection = open_raw(path)
    before = connection.execute(COUNTED).fetchall()
    connection.executescript(BEFORE_BUCKETS)
    connection.execute("DROP TABLE erasing")
    migrations.prepare(connection, path, migrate=True)
    assert connection.execute(COUNTED).fetchall() == []
    assert connection.execute("DELETE FROM exposed RETURNING *").fetchall() == [(1, 1, 1)]
    connection.close()
    async with opened(path) as store:
        assert (await ResultService(store).one("color")).metrics == ()
        assert (await VerificationService(store).verify()).findings == ()
        await worker.tick(store)
        assert (await VerificationService(store).verify()).findings == ()
    connection = open_raw(path)
    assert connection.execute(COUNTED).fetchall() == before
    connection.close()


async def test_an_experiment_finished_before_decisions_were_kept_has_a_winner_and_no_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = of_schema(BEFORE_DECISIONS, tmp_path / "old.db", monkeypatch)
    connection.executescript(FINISHED)
    migrations.prepare(connection, tmp_path / "old.db", migrate=True)
    connection.close()
    async with opened(tmp_path / "old.db") as store:
        color = await ExperimentService(store, by=ANNA).one("color")
        assert (color.winner, color.ended_at) == ("red", 2000)
        assert (color.because, color.decided_at, color.decided_by) == ("", None, None)
        assert decision_said(color) == ["winner red"]
