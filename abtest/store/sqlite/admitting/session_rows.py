"""Passwords, links and sessions in SQLite: functions on a raw connection, each run inside one transaction."""

from abtest.domain import SESSION_LASTS, Person, Session, folded
from abtest.errors import UnknownLink
from abtest.store.sqlite.admitting.person_rows import find_person, person, read_person
from abtest.store.sqlite.driver import Raw

LINKED = """
SELECT person.id, person.name, role, app.key, person.created_at, password IS NOT NULL,
  EXISTS (SELECT 1 FROM account WHERE person_id = person.id)
FROM sign_in_link
CROSS JOIN person ON person.id = person_id
LEFT JOIN app ON app.id = app_id
WHERE hash = ? AND expires_at > ?
"""

PASSWORD = "SELECT password FROM person WHERE folded = ?"

SESSION = """
SELECT session.id, session.created_at, seen_at, person.name, role, app.key, person.created_at, password IS NOT NULL,
  EXISTS (SELECT 1 FROM account WHERE person_id = person.id)
FROM session
CROSS JOIN person ON person.id = person_id
LEFT JOIN app ON app.id = app_id
WHERE hash = ? AND seen_at > ?
"""

SESSIONS = "SELECT id, created_at, seen_at FROM session WHERE person_id = ? AND seen_at > ? ORDER BY id"

SET_PASSWORD = "UPDATE person SET password = ? WHERE id = ?"

END_LINK = "DELETE FROM sign_in_link WHERE person_id = ?"

BEGIN = "INSERT INTO session (person_id, hash, created_at, seen_at) VALUES (?, ?, ?, ?)"

PERSON = "SELECT id FROM person WHERE folded = ? AND password = ?"

END_EXPIRED = "DELETE FROM session WHERE person_id = ? AND seen_at <= ?"

SEE = "UPDATE session SET seen_at = ? WHERE id = ?"

END = "DELETE FROM session WHERE person_id = ? AND id = ?"

END_ALL = "DELETE FROM session WHERE person_id = ?"


def linked(connection: Raw, link: bytes, now: int) -> Person:
    """The person whose link this is. Raises UnknownLink."""
    return _linked(connection, link, now)[1]


def use_link(connection: Raw, link: bytes, password: str, session: bytes, now: int) -> None:
    """Set the password, end the link and all sessions, and begin a new session. Raises UnknownLink."""
    id, _ = _linked(connection, link, now)
    connection.execute(SET_PASSWORD, (password, id))
    connection.execute(END_LINK, (id,))
    connection.execute(END_ALL, (id,))
    connection.execute(BEGIN, (id, session, now, now))


def named(connection: Raw, name: str) -> Person | None:
    """The person with this name, if there is one."""
    found = person(connection, name)
    return found and found[1]


def password(connection: Raw, name: str) -> str | None:
    """The hash of a person's password; None if nobody has this name, or there is no password."""
    found = connection.execute(PASSWORD, (folded(name),)).fetchone()
    return None if found is None else found[0]


def begin_session(connection: Raw, name: str, password: str, session: bytes, now: int) -> bool:
    """Begin a session, and forget expired ones; False if this is not the person's password any more."""
    found = connection.execute(PERSON, (folded(name), password)).fetchone()
    if found is None:
        return False
    begin(connection, found[0], session, now)
    return True


def begin(connection: Raw, person: int, session: bytes, now: int) -> None:
    """Begin a session of the person with this id, and forget expired ones."""
    connection.execute(END_EXPIRED, (person, now - SESSION_LASTS))
    connection.execute(BEGIN, (person, session, now, now))


def session(connection: Raw, session: bytes, now: int) -> Session | None:
    """The session, unless it has expired."""
    found = connection.execute(SESSION, (session, now - SESSION_LASTS)).fetchone()
    if found is None:
        return None
    id, created_at, seen_at, *person = found
    return Session(id, read_person(*person), created_at, seen_at)


def sessions(connection: Raw, name: str, now: int) -> list[Session]:
    """A person's sessions that have not expired, the oldest first. Raises UnknownPerson."""
    id, person = find_person(connection, name)
    rows = connection.execute(SESSIONS, (id, now - SESSION_LASTS))
    return [Session(number, person, created_at, seen_at) for number, created_at, seen_at in rows]


def see_session(connection: Raw, id: int, now: int) -> None:
    """Note that a session was used."""
    connection.execute(SEE, (now, id))


def end_sessions(connection: Raw, name: str, id: int | None = None) -> int:
    """End a person's session with this id, or every one; how many. Raises UnknownPerson."""
    person_id, _ = find_person(connection, name)
    if id is None:
        return int(connection.execute(END_ALL, (person_id,)).rowcount)
    return int(connection.execute(END, (person_id, str(id))).rowcount)  # as a text it may be too large for SQLite


def _linked(connection: Raw, link: bytes, now: int) -> tuple[int, Person]:
    found = connection.execute(LINKED, (link, now)).fetchone()
    if found is None:
        raise UnknownLink
    return found[0], read_person(*found[1:])
