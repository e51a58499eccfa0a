"""Passwords, links and sessions: functions on a connection, each run inside one transaction."""

from abtest.domain import (
    MOST_SESSIONS,
    PROGRAM,
    SESSION_LASTS,
    UNKNOWN_BROWSER,
    Action,
    Browser,
    By,
    Hand,
    Person,
    Session,
    folded,
)
from abtest.errors import UnknownLink
from abtest.store.relational.admitting.person_rows import find_person, person, read_person
from abtest.store.relational.connection import Connection
from abtest.store.relational.journal import record
from abtest.store.relational.numbers import LARGEST

LINKED = """
SELECT person.id, person.name, role, app.key, person.created_at, password IS NOT NULL,
  EXISTS (SELECT 1 FROM account WHERE person_id = person.id), seen_at
FROM sign_in_link
JOIN person ON person.id = person_id
LEFT JOIN app ON app.id = app_id
WHERE hash = ? AND expires_at > ?
"""

PASSWORD = "SELECT password FROM person WHERE folded = ?"

SESSION = """
SELECT session.id, session.created_at, session.seen_at, browser, address, person.name, role, app.key,
  person.created_at, password IS NOT NULL, EXISTS (SELECT 1 FROM account WHERE person_id = person.id), person.seen_at
FROM session
JOIN person ON person.id = person_id
LEFT JOIN app ON app.id = app_id
WHERE hash = ? AND session.seen_at > ?
"""

SESSIONS = """
SELECT id, created_at, seen_at, browser, address FROM session WHERE person_id = ? AND seen_at > ? ORDER BY id
"""

SET_PASSWORD = "UPDATE person SET password = ? WHERE id = ?"

END_LINK = "DELETE FROM sign_in_link WHERE person_id = ?"

BEGIN = "INSERT INTO session (person_id, hash, created_at, seen_at, browser, address) VALUES (?, ?, ?, ?, ?, ?)"

PERSON = "SELECT id FROM person WHERE folded = ? AND password = ?"

END_EXPIRED = "DELETE FROM session WHERE person_id = ? AND seen_at <= ?"

END_OLDEST = """
DELETE FROM session WHERE person_id = ?1
  AND id NOT IN (SELECT id FROM session WHERE person_id = ?1 ORDER BY seen_at DESC, id DESC LIMIT ?2)
"""

SEE = "UPDATE session SET seen_at = ? WHERE id = ? RETURNING person_id"

SEE_PERSON = "UPDATE person SET seen_at = ? WHERE id = ?"

SIGN_OUT = "DELETE FROM session WHERE id = ?"

END = "DELETE FROM session WHERE person_id = ? AND id = ? RETURNING browser"

END_OTHERS = "DELETE FROM session WHERE person_id = ? AND id IS DISTINCT FROM ? RETURNING browser"


def linked(connection: Connection, link: bytes, now: int) -> Person:
    """The person whose link this is. Raises UnknownLink."""
    return _linked(connection, link, now)[1]


def use_link(
    connection: Connection, link: bytes, password: str, session: bytes, now: int, browser: Browser = UNKNOWN_BROWSER
) -> None:
    """Set the password, end the link and all sessions, and begin a new session. Raises UnknownLink."""
    id, person = _linked(connection, link, now)
    by = By(Hand.PERSON, person.name, browser.address)
    _set_password(connection, id, person.name, password, "a link", None, now, by)
    begin(connection, id, session, now, browser)


def change_password(
    connection: Connection, name: str, old: str, password: str, session: int | None, now: int, by: By = PROGRAM
) -> bool:
    """Set the password, and end the link and all sessions but this one; see SessionStore."""
    found = connection.execute(PERSON, (folded(name), old)).fetchone()
    if found is None:
        return False
    _set_password(connection, found[0], name, password, "the current one", session, now, by)
    return True


def named(connection: Connection, name: str) -> Person | None:
    """The person with this name, if there is one."""
    found = person(connection, name)
    return found and found[1]


def password(connection: Connection, name: str) -> str | None:
    """The hash of a person's password; None if nobody has this name, or there is no password."""
    found = connection.execute(PASSWORD, (folded(name),)).fetchone()
    return None if found is None else found[0]


def begin_session(
    connection: Connection, name: str, password: str, session: bytes, now: int, browser: Browser = UNKNOWN_BROWSER
) -> bool:
    """Begin a session, and forget expired ones; False if this is no longer the person's password."""
    found = connection.execute(PERSON, (folded(name), password)).fetchone()
    if found is None:
        return False
    begin(connection, found[0], session, now, browser)
    return True


def begin(connection: Connection, person: int, session: bytes, now: int, browser: Browser) -> None:
    """Begin a session of the person with this id; end expired ones, and the longest unused if there are too many."""
    connection.execute(END_EXPIRED, (person, now - SESSION_LASTS))
    connection.execute(BEGIN, (person, session, now, now, browser.name, browser.address))
    connection.execute(END_OLDEST, (person, MOST_SESSIONS))
    connection.execute(SEE_PERSON, (now, person))


def session(connection: Connection, session: bytes, now: int) -> Session | None:
    """The session, unless it has expired."""
    found = connection.execute(SESSION, (session, now - SESSION_LASTS)).fetchone()
    if found is None:
        return None
    id, created_at, seen_at, browser, address, *person = found
    return Session(id, read_person(*person), created_at, seen_at, Browser(browser, address))


def sessions(connection: Connection, name: str, now: int) -> list[Session]:
    """A person's sessions that have not expired, the oldest first. Raises UnknownPerson."""
    id, person = find_person(connection, name)
    rows = connection.execute(SESSIONS, (id, now - SESSION_LASTS))
    return [Session(number, person, began, seen, Browser(*browser)) for number, began, seen, *browser in rows]


def see_session(connection: Connection, id: int, now: int) -> None:
    """Note that a session was used."""
    for (seen,) in connection.execute(SEE, (now, id)).fetchall():
        connection.execute(SEE_PERSON, (now, seen))


def sign_out(connection: Connection, id: int) -> None:
    """End the session with this id, for the person who has it."""
    connection.execute(SIGN_OUT, (id,))


def end_sessions(
    connection: Connection, name: str, now: int, id: int | None = None, but: int | None = None, by: By = PROGRAM
) -> int:
    """End a person's session with this id, or all but one; returns how many ended. Raises UnknownPerson."""
    person_id, person = find_person(connection, name)
    ending, which = (END_OTHERS, but) if id is None else (END, min(id, LARGEST))
    return end(connection, person_id, person.name, now, by, ending, which)


def end(
    connection: Connection,
    person: int,
    name: str,
    now: int,
    by: By,
    ending: str = END_OTHERS,
    which: int | None = None,
) -> int:
    """End these sessions of a person; returns how many ended."""
    ended = [browser or "unknown" for (browser,) in connection.execute(ending, (person, which)).fetchall()]
    if ended:
        record(connection, by, now, Action.END_SESSIONS, subject=name, before={"browsers": ended})
    return len(ended)


def _set_password(
    connection: Connection, id: int, name: str, password: str, means: str, session: int | None, now: int, by: By
) -> None:
    """Set a password, and end the link and all sessions but this one."""
    connection.execute(SET_PASSWORD, (password, id))
    connection.execute(END_LINK, (id,))
    connection.execute(END_OTHERS, (id, session))
    record(connection, by, now, Action.SET_PASSWORD, subject=name, after={"with": means})


def _linked(connection: Connection, link: bytes, now: int) -> tuple[int, Person]:
    found = connection.execute(LINKED, (link, now)).fetchone()
    if found is None:
        raise UnknownLink
    return found[0], read_person(*found[1:])
