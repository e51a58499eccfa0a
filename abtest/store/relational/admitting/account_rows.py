"""Accounts at OpenID providers: functions on a connection, each run inside one transaction."""

from msgspec import UNSET

from abtest.domain import PROGRAM, UNKNOWN_BROWSER, Action, Browser, By, Identity, spelled_alike
from abtest.errors import NotAdmitted
from abtest.store.relational.admitting.person_rows import change_person, find_person, insert_person, person
from abtest.store.relational.admitting.session_rows import END_OTHERS, begin, end
from abtest.store.relational.connection import Connection
from abtest.store.relational.journal import record

CONNECTED = """
SELECT person.id, name FROM account JOIN person ON person.id = person_id WHERE issuer = ? AND subject = ?
"""

SUBJECT = "SELECT subject FROM account WHERE person_id = ? AND issuer = ?"

CONNECT = "INSERT INTO account (person_id, issuer, subject) VALUES (?, ?, ?)"

ASK = "ask an admin to disconnect it"

DISCONNECT = "DELETE FROM account WHERE person_id = ? RETURNING issuer, subject"


def admit(
    connection: Connection,
    identity: Identity,
    session: bytes,
    now: int,
    browser: Browser = UNKNOWN_BROWSER,
    by: By = PROGRAM,
) -> bool:
    """See SessionStore.admit."""
    connected = connection.execute(CONNECTED, (identity.issuer, identity.subject)).fetchone()
    if identity.grant is None:
        if connected:
            end(connection, connected[0], connected[1], now, by)
        return False
    id, name = connected or _connect(connection, identity, now, by)
    if identity.grant is not UNSET:
        change_person(connection, name, now, *identity.grant, by)
    begin(connection, id, session, now, browser)
    return True


def disconnect(connection: Connection, name: str, now: int, by: By = PROGRAM) -> int:
    """See PeopleStore.disconnect."""
    id, found = find_person(connection, name)
    accounts = [_account(*row) for row in connection.execute(DISCONNECT, (id,))]
    if accounts:
        connection.execute(END_OTHERS, (id, None))
        record(connection, by, now, Action.DISCONNECT_PERSON, subject=found.name, before={"accounts": accounts})
    return len(accounts)


def _connect(connection: Connection, identity: Identity, now: int, by: By) -> tuple[int, str]:
    """Connect the account with the person who has its name; without one, add one if the account grants a role."""
    found = person(connection, identity.name)
    if found is None:
        if identity.grant is UNSET or identity.grant is None:
            raise NotAdmitted(f"nobody here has the name {identity.name!r}; ask an admin to add you with that name")
        found = insert_person(connection, identity.name, *identity.grant, now, by)
    id, named = found
    if not spelled_alike(identity.name, named.name) or connection.execute(SUBJECT, (id, identity.issuer)).fetchone():
        raise NotAdmitted(f"the name {identity.name!r} belongs to another account here; if that is yours, {ASK}")
    connection.execute(CONNECT, (id, identity.issuer, identity.subject))
    after = {"account": _account(identity.issuer, identity.subject)}
    record(connection, by, now, Action.CONNECT_PERSON, subject=named.name, after=after)
    return id, named.name


def _account(issuer: str, subject: str) -> str:
    return f"{subject} at {issuer}"
