"""Access tokens: functions on a connection, each run inside one transaction."""

from abtest import clock
from abtest.domain import PROGRAM, AccessToken, Action, By, Role
from abtest.errors import UnknownAccessToken
from abtest.store.relational.admitting.person_rows import optional_app_id
from abtest.store.relational.connection import Connection
from abtest.store.relational.journal import record
from abtest.store.relational.numbers import LARGEST

ACCESS_TOKENS = """
SELECT access_token.id, name, role, app.key, access_token.created_at, expires_at, used_at
FROM access_token LEFT JOIN app ON app.id = app_id ORDER BY access_token.id
"""

ACCESS_TOKEN = """
SELECT access_token.id, name, role, app.key, access_token.created_at, expires_at, used_at
FROM access_token LEFT JOIN app ON app.id = app_id
WHERE hash = ? AND (expires_at IS NULL OR expires_at > ?)
"""

ADD = """
INSERT INTO access_token (name, role, app_id, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?) RETURNING id
"""

REVOKE = "DELETE FROM access_token WHERE id = ? RETURNING id, name, role"

USE = "UPDATE access_token SET used_at = ? WHERE id = ?"


def access_tokens(connection: Connection) -> list[AccessToken]:
    """Every access token, expired ones too, in the order of creation."""
    return [_access_token(*row) for row in connection.execute(ACCESS_TOKENS)]


def add_access_token(
    connection: Connection,
    name: str,
    role: Role,
    app: str | None,
    secret: bytes,
    expires_at: int | None,
    now: int,
    by: By = PROGRAM,
) -> AccessToken:
    """Create an access token. Raises UnknownApp."""
    row = (name, role, optional_app_id(connection, app), secret, now, expires_at)
    ((id,),) = connection.execute(ADD, row)
    expires = {} if expires_at is None else {"expires_at": clock.iso(expires_at)}
    facts = {"id": id, "role": role.value, "app": app, **expires}
    record(connection, by, now, Action.ADD_ACCESS_TOKEN, subject=name, after=facts)
    return AccessToken(id, name, role, app, now, expires_at, None)


def revoke_access_token(connection: Connection, id: int, now: int, by: By = PROGRAM) -> None:
    """Remove an access token. Raises UnknownAccessToken."""
    found = connection.execute(REVOKE, (min(id, LARGEST),)).fetchall()
    if not found:
        raise UnknownAccessToken(id)
    ((id, name, role),) = found
    record(connection, by, now, Action.REVOKE_ACCESS_TOKEN, subject=name, before={"id": id, "role": role})


def access_token(connection: Connection, secret: bytes, now: int) -> AccessToken | None:
    """The access token, unless it has expired."""
    found = connection.execute(ACCESS_TOKEN, (secret, now)).fetchone()
    return None if found is None else _access_token(*found)


def use_access_token(connection: Connection, id: int, now: int) -> None:
    """Note that an access token was used."""
    connection.execute(USE, (now, id))


def _access_token(
    id: int, name: str, role: str, app: str | None, created_at: int, expires_at: int | None, used_at: int | None
) -> AccessToken:
    return AccessToken(id, name, Role(role), app, created_at, expires_at, used_at)
