"""The link that makes the first admin: functions on a connection, each run inside one transaction."""

from abtest.domain import UNKNOWN_BROWSER, Browser, By, Hand, Role
from abtest.errors import UnknownLink
from abtest.store.relational.admitting.person_rows import has_people, insert_person
from abtest.store.relational.admitting.session_rows import SET_PASSWORD, begin
from abtest.store.relational.connection import Connection

PUT = """
INSERT INTO first_link (id, hash, expires_at) VALUES (1, ?, ?)
ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at
"""

FIRST_LINK = "SELECT 1 FROM first_link WHERE id = 1 AND hash = ? AND expires_at > ?"

END = "DELETE FROM first_link WHERE id = 1"


def put_first_link(connection: Connection, link: bytes, expires_at: int) -> bool:
    """Keep the link in place of an older one; False if there are people already."""
    if has_people(connection):
        return False
    connection.execute(PUT, (link, expires_at))
    return True


def require_first_link(connection: Connection, link: bytes, now: int) -> None:
    """Raises UnknownLink unless this is the link and there is nobody."""
    if has_people(connection) or connection.execute(FIRST_LINK, (link, now)).fetchone() is None:
        raise UnknownLink


def use_first_link(
    connection: Connection,
    link: bytes,
    name: str,
    password: str,
    session: bytes,
    now: int,
    browser: Browser = UNKNOWN_BROWSER,
) -> None:
    """Make the first admin of every app, and begin a session. Raises UnknownLink."""
    require_first_link(connection, link, now)
    connection.execute(END)
    id, _ = insert_person(connection, name, Role.ADMIN, None, now, By(Hand.PERSON, name, browser.address))
    connection.execute(SET_PASSWORD, (password, id))
    begin(connection, id, session, now, browser)
