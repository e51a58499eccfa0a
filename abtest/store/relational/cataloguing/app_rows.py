"""Apps: functions on a connection, each run inside one transaction."""

from abtest.domain import KEY, PROGRAM, Action, App, By
from abtest.errors import Conflict, UnknownApp
from abtest.store.relational.connection import Connection
from abtest.store.relational.journal import record

APPS = "SELECT id, key, created_at FROM app ORDER BY id"

APP = "SELECT id FROM app WHERE key = ?"

ADD_APP = "INSERT INTO app (key, created_at) VALUES (?, ?) RETURNING id"

# A device is in the app of its profile, so devices without attributes need a profile too.
ADD_PROFILE = "INSERT INTO profile (id, app_id, attributes) SELECT coalesce(max(id), 0) + 1, ?, '{}' FROM profile"

RAISE_CONFIG_VERSION = "UPDATE meta SET value = value + 1 WHERE name = 'config_version'"


def apps(connection: Connection) -> list[App]:
    """Every app, in the order of creation."""
    return [App(*row) for row in connection.execute(APPS)]


def app_id(connection: Connection, key: str) -> int:
    """The number of the app with this key. Raises UnknownApp."""
    found = connection.execute(APP, (key,)).fetchone() if KEY.fullmatch(key) else None
    if found is None:
        raise UnknownApp(key)
    return int(found[0])


def add_app(connection: Connection, key: str, now: int, by: By = PROGRAM) -> App:
    """Create an app. Raises Conflict."""
    if connection.execute(APP, (key,)).fetchone():
        raise Conflict(f"the app {key!r} already exists", code="app_exists")
    ((id,),) = connection.execute(ADD_APP, (key, now))
    connection.execute(ADD_PROFILE, (id,))
    connection.execute(RAISE_CONFIG_VERSION)
    record(connection, by, now, Action.ADD_APP, key, key)
    return App(id, key, now)
