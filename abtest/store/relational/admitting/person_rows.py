"""People: functions on a connection, each run inside one transaction."""

from msgspec import UNSET, UnsetType

from abtest.domain import PROGRAM, Action, By, Facts, Person, Role, differing, folded, may
from abtest.errors import Conflict, UnknownPerson
from abtest.store.relational.cataloguing import app_id
from abtest.store.relational.connection import Connection
from abtest.store.relational.journal import record

PEOPLE = """
SELECT person.name, role, app.key, person.created_at, password IS NOT NULL,
  EXISTS (SELECT 1 FROM account WHERE person_id = person.id), seen_at
FROM person LEFT JOIN app ON app.id = app_id ORDER BY person.id
"""

HAS_PEOPLE = "SELECT EXISTS (SELECT 1 FROM person)"

PERSON = """
SELECT person.id, person.name, role, app.key, person.created_at, password IS NOT NULL,
  EXISTS (SELECT 1 FROM account WHERE person_id = person.id), seen_at
FROM person LEFT JOIN app ON app.id = app_id WHERE folded = ?
"""

OTHER_ADMINS = "SELECT count(*) FROM person WHERE role = 'admin' AND app_id IS NULL AND id != ?"

ADD = "INSERT INTO person (name, folded, role, app_id, created_at) VALUES (?, ?, ?, ?, ?) RETURNING id"

CHANGE = "UPDATE person SET role = ?, app_id = ? WHERE id = ?"

REMOVE = "DELETE FROM person WHERE id = ?"

PUT_LINK = """
INSERT INTO sign_in_link (person_id, hash, expires_at) VALUES (?, ?, ?)
ON CONFLICT (person_id) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at
"""


def people(connection: Connection) -> list[Person]:
    """Everybody, in the order of creation."""
    return [read_person(*row) for row in connection.execute(PEOPLE)]


def has_people(connection: Connection) -> bool:
    """Whether there is anybody."""
    return bool(connection.execute(HAS_PEOPLE).fetchone()[0])


def add_person(
    connection: Connection,
    name: str,
    role: Role,
    app: str | None,
    link: bytes,
    link_expires_at: int,
    now: int,
    by: By = PROGRAM,
) -> Person:
    """Create a person without a password, and a link to set one. Raises Conflict or UnknownApp."""
    if person(connection, name):
        raise Conflict(
            f"there is a person {name!r} already; names that differ only in case are the same", "person_exists"
        )
    id, added = insert_person(connection, name, role, app, now, by)
    connection.execute(PUT_LINK, (id, link, link_expires_at))
    return added


def insert_person(
    connection: Connection, name: str, role: Role, app: str | None, now: int, by: By
) -> tuple[int, Person]:
    """Create a person whose name nobody has; returns the id and the person. Raises UnknownApp."""
    row = (name, folded(name), role, optional_app_id(connection, app), now)
    ((id,),) = connection.execute(ADD, row)
    assert id is not None
    added = Person(name, role, app, now, has_password=False)
    record(connection, by, now, Action.ADD_PERSON, subject=name, after=facts(added))
    return id, added


def change_person(
    connection: Connection,
    name: str,
    now: int,
    role: Role | None = None,
    app: str | UnsetType | None = UNSET,
    by: By = PROGRAM,
) -> Person:
    """Give a person another role or app. Raises UnknownPerson, UnknownApp, or Conflict as `remove_person`."""
    id, person = find_person(connection, name)
    role = role or person.role
    app = person.app if app is UNSET else app
    if (role, app) != (Role.ADMIN, None):
        _require_other_admin(connection, id, person)
    connection.execute(CHANGE, (role, optional_app_id(connection, app), id))
    _, changed = find_person(connection, name)
    was, became = differing(facts(person), facts(changed))
    if became:
        record(connection, by, now, Action.CHANGE_PERSON, None, person.name, was, became)
    return changed


def remove_person(connection: Connection, name: str, now: int, by: By = PROGRAM) -> None:
    """Remove a person and their sessions. Raises UnknownPerson, or Conflict for the last admin of every app."""
    id, person = find_person(connection, name)
    _require_other_admin(connection, id, person)
    connection.execute(REMOVE, (id,))
    record(connection, by, now, Action.REMOVE_PERSON, subject=person.name, before=facts(person))


def put_link(connection: Connection, name: str, link: bytes, expires_at: int, now: int, by: By = PROGRAM) -> None:
    """Give a person this link in place of an older one. Raises UnknownPerson."""
    id, person = find_person(connection, name)
    connection.execute(PUT_LINK, (id, link, expires_at))
    record(connection, by, now, Action.LINK_PERSON, subject=person.name)


def find_person(connection: Connection, name: str) -> tuple[int, Person]:
    """The id of the person with this name, and the person. Raises UnknownPerson."""
    found = person(connection, name)
    if found is None:
        raise UnknownPerson(name)
    return found


def person(connection: Connection, name: str) -> tuple[int, Person] | None:
    """The same; None if nobody has this name."""
    found = connection.execute(PERSON, (folded(name),)).fetchone()
    return None if found is None else (found[0], read_person(*found[1:]))


def optional_app_id(connection: Connection, app: str | None) -> int | None:
    """The number of the app that a role is for; None for every app. Raises UnknownApp."""
    return None if app is None else app_id(connection, app)


def read_person(
    name: str,
    role: str,
    app: str | None,
    created_at: int,
    has_password: int,
    is_connected: int,
    seen_at: int | None,
) -> Person:
    """A person from a row."""
    return Person(name, Role(role), app, created_at, bool(has_password), bool(is_connected), seen_at)


def facts(person: Person) -> Facts:
    """What the journal says about a person."""
    return {"role": person.role.value, "app": person.app}


def _require_other_admin(connection: Connection, id: int, person: Person) -> None:
    if may(person, Role.ADMIN, None) and connection.execute(OTHER_ADMINS, (id,)).fetchone() == (0,):
        message = f"the last admin of every app is {person.name}; make somebody else admin of every app first"
        raise Conflict(message, "last_admin")
