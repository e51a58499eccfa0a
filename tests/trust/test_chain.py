"""verify sees whatever is done to the journal by hand."""

from contextlib import closing

import pytest

from abtest.domain import Change
from abtest.store.sqlite.driver import open_raw
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust import VerificationService, chain
from tests.scenes import ANNA, experiment
from tests.stores import by_hand, only_in_sqlite

DAMAGES = {
    "UPDATE journal SET name = 'bob' WHERE id = 3": "entry 3, or the one before it, is not what was written",
    "UPDATE journal SET address = NULL WHERE id = 3": "entry 3, or the one before it, is not what was written",
    "UPDATE journal SET after = '{}' WHERE id = 1": "entry 1, or the one before it, is not what was written",
    "UPDATE journal SET at = at + 1 WHERE id = 6": "entry 6, or the one before it, is not what was written",
    "DELETE FROM journal WHERE id = 3": "entry 3 is missing",
    "DELETE FROM journal WHERE id = 1": "entry 1 is missing",
    "DELETE FROM journal WHERE id > 4": "entry 5 is missing",
    "DELETE FROM journal": "entry 1 is missing",
    "DELETE FROM journal WHERE id = 3; UPDATE journal SET id = id - 1 WHERE id > 3": "entry 3, or the one before",
    "UPDATE journal SET id = -id WHERE id > 3; UPDATE journal SET id = 10 + id WHERE id < 0": "entry 4, or the one",
    "INSERT INTO journal SELECT 7, at, kind, name, address, app, action, subject, before, after, hash FROM journal "
    "WHERE id = 6": "entry 7 was added after the newest one that was written",
    "UPDATE journal_end SET id = 5": "entry 5 is not the newest one that was written",
    "UPDATE journal_end SET hash = ''": "entry 6 is not the newest one that was written",
    "DELETE FROM journal_end": "entry 6 was added after the newest one that was written",
}  # fmt: skip
REFUSED = {
    "UPDATE journal SET name = 'bob' WHERE id = 3": "an entry of the journal is never changed",
    "DELETE FROM journal WHERE id = 6": "an entry of the journal is never deleted",
    "INSERT OR REPLACE INTO journal SELECT 3, at, kind, 'bob', address, app, action, subject, before, after, hash "
    "FROM journal WHERE id = 3": "an entry of the journal only follows the last one",
}


async def six_entries(store: SQLiteStore) -> None:
    """One experiment and five changes of it."""
    await store.add([experiment("color", "1", "1")], 1, by=ANNA)
    for number in range(5):
        await store.change("color", lambda _, number=number: Change(description=f"{number}"), 2, by=ANNA)  # type: ignore[misc]  # mypy knows no default of a lambda


async def findings(store: SQLiteStore) -> tuple[str, ...]:
    return (await VerificationService(store).verify()).findings


@pytest.mark.parametrize("chunk", [2, 3, 5_000])
@pytest.mark.parametrize("statement", DAMAGES)
async def test_damage_is_seen_and_its_first_entry_named(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, statement: str, chunk: int
) -> None:
    monkeypatch.setattr(chain, "ENTRIES", chunk)
    await six_entries(store)
    assert await findings(store) == ()
    by_hand(store, *statement.split(";"))
    (finding,) = await findings(store)
    assert finding.startswith(f"journal: {DAMAGES[statement]}")


@only_in_sqlite  # tests/store/postgres/test_opening.py has that of PostgreSQL
@pytest.mark.parametrize("statement", REFUSED)
async def test_a_statement_that_changes_an_entry_is_refused(store: SQLiteStore, statement: str) -> None:
    await six_entries(store)
    with closing(open_raw(store.path)) as raw, pytest.raises(raw.IntegrityError, match=REFUSED[statement]):
        raw.execute(statement)
    assert await findings(store) == ()
