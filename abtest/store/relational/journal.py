"""The journal: functions on a connection, each run inside one transaction."""

from abtest import clock
from abtest.domain import NOTHING, Action, By, Entry, Facts, Kind, Sought, chained, given, written
from abtest.store.audit import JournalEnd
from abtest.store.export import Table
from abtest.store.relational.connection import Connection

END = "SELECT id, hash FROM journal_end"

ADD = """
INSERT INTO journal (id, at, kind, name, address, app, action, subject, before, after, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

MOVE_END = "UPDATE journal_end SET id = ?, hash = ?"

LAST = "SELECT coalesce(max(id), 0) FROM journal"

NEWEST = """
SELECT id, at, kind, name, address, app, action, subject, before, after, hash FROM journal
WHERE (CAST(?1 AS TEXT) IS NULL OR app = ?1)
  AND (CAST(?2 AS TEXT) IS NULL OR instr(lower(name || ', ' || kind || ', ' || coalesce(address, '')), lower(?2)) > 0)
  AND (CAST(?3 AS TEXT) IS NULL OR subject = ?3 OR instr(before || after, '"group":"' || ?3 || '"') > 0)
  AND (CAST(?4 AS BIGINT) IS NULL OR at >= ?4)
  AND id < coalesce(?5, 9223372036854775807)
ORDER BY id DESC LIMIT ?6
"""

CHANGES = """
SELECT id, at, kind, name, address, app, action, subject, before, after, hash FROM journal
WHERE subject = ? AND app = ? AND action = ? ORDER BY id DESC LIMIT ?
"""

CHUNK = """
SELECT id, at, kind, name, address, app, action, subject, before, after, hash FROM journal
WHERE id > ? ORDER BY id LIMIT ?
"""


def record(
    connection: Connection,
    by: By,
    now: int,
    action: Action,
    app: str | None = None,
    subject: str = "",
    before: Facts = NOTHING,
    after: Facts = NOTHING,
) -> None:
    """Add an entry, in the transaction of the change. `before`, `after`: the fields that differ."""
    last, previous = connection.execute(END).fetchone()
    id, texts = last + 1, (written(before), written(after))
    hash = chained(previous, Entry(id, now, by, app, action, subject, *texts, hash=""))
    connection.execute(ADD, (id, now, by.kind, by.name, by.address, app, action, subject, *texts, hash))
    connection.execute(MOVE_END, (id, hash))


def note_export(connection: Connection, table: Table, since: int, now: int, app: str, by: By) -> None:
    """Note that somebody exports the tokens of an app's devices."""
    facts = given({"file": table, "since": clock.iso(since) if since else None})
    record(connection, by, now, Action.EXPORT_TOKENS, app, after=facts)


def entries(connection: Connection, sought: Sought, most: int) -> list[Entry]:
    """The entries that are sought, the newest first."""
    wanted = (sought.app, sought.by, sought.about, sought.since, sought.before, most)
    return [_entry(*row) for row in connection.execute(NEWEST, wanted)]


def changes(connection: Connection, key: str, app: str, kind: Kind, most: int) -> list[Entry]:
    """The newest changes of an experiment, a group or a holdout, the newest first."""
    return [_entry(*row) for row in connection.execute(CHANGES, (key, app, f"{kind}.change", most))]


def journal_end(connection: Connection) -> JournalEnd:
    """Where the journal ends."""
    id, hash = connection.execute(END).fetchone() or (0, "")
    (last,) = connection.execute(LAST).fetchone()
    return JournalEnd(id, hash, last)


def journal_chunk(connection: Connection, after: int, most: int) -> list[Entry]:
    """The next entries after this id, ascending."""
    return [_entry(*row) for row in connection.execute(CHUNK, (after, most))]


def _entry(id: int, at: int, kind: str, name: str, address: str | None, *others: str) -> Entry:
    app, action, subject, before, after, hash = others
    return Entry(id, at, By(kind, name, address), app, action, subject, before, after, hash)
