"""Shared links: functions on a connection, each run inside one transaction."""

from abtest.domain import DEFAULT_APP, PROGRAM, Action, By, Facts, SharedLink, given
from abtest.errors import UnknownSharedLink
from abtest.store.relational.cataloguing import app_id, experiment
from abtest.store.relational.connection import Connection
from abtest.store.relational.journal import record

SHARED_LINKS = """
SELECT shared_link.id, experiment.key, note, made_at, made_by_kind, made_by_name
FROM experiment
JOIN shared_link ON experiment_id = experiment.id
WHERE app_id = ?1 AND kind = 'experiment' AND (CAST(?2 AS TEXT) IS NULL OR key = ?2)
ORDER BY +shared_link.id
"""

SHARED_LINK = """
SELECT app.key, shared_link.id, experiment.key, note, made_at, made_by_kind, made_by_name
FROM shared_link
JOIN experiment ON experiment.id = experiment_id
JOIN app ON app.id = app_id
WHERE hash = ?
"""

ADD = """
INSERT INTO shared_link (experiment_id, hash, note, made_at, made_by_kind, made_by_name) VALUES (?, ?, ?, ?, ?, ?)
RETURNING id
"""

REVOKE = "DELETE FROM shared_link WHERE id = ?"


def shared_links(connection: Connection, key: str | None = None, app: str = DEFAULT_APP) -> list[SharedLink]:
    """The links of one experiment of an app, or of all its experiments, in the order of creation.

    Raises UnknownApp or UnknownExperiment.
    """
    if key is not None:
        experiment(connection, key, app)
    rows = connection.execute(SHARED_LINKS, (app_id(connection, app), key))
    return [_shared_link(app, *row) for row in rows]


def add_shared_link(
    connection: Connection, key: str, note: str, secret: bytes, now: int, app: str = DEFAULT_APP, by: By = PROGRAM
) -> SharedLink:
    """Create a link. Raises UnknownApp or UnknownExperiment."""
    row = (experiment(connection, key, app).id, secret, note, now, by.kind, by.name)
    ((id,),) = connection.execute(ADD, row)
    record(connection, by, now, Action.ADD_SHARED_LINK, app, key, after=_facts(id, note))
    return _shared_link(app, id, key, note, now, by.kind, by.name)


def revoke_shared_link(
    connection: Connection, id: int, now: int, key: str | None = None, app: str = DEFAULT_APP, by: By = PROGRAM
) -> None:
    """Remove a link of an app, and of this experiment if one is named.

    Raises UnknownApp, UnknownExperiment or UnknownSharedLink.
    """
    link = next((each for each in shared_links(connection, key, app) if each.id == id), None)
    if link is None:
        raise UnknownSharedLink(id)
    connection.execute(REVOKE, (id,))
    record(connection, by, now, Action.REVOKE_SHARED_LINK, app, link.key, before=_facts(id, link.note))


def shared_link(connection: Connection, secret: bytes) -> SharedLink | None:
    """The link with this secret, if there is one."""
    found = connection.execute(SHARED_LINK, (secret,)).fetchone()
    return None if found is None else _shared_link(*found)


def _facts(id: int, note: str) -> Facts:
    return given({"id": id, "note": note})


def _shared_link(app: str, id: int, key: str, note: str, made_at: int, kind: str, name: str) -> SharedLink:
    return SharedLink(id, app, key, note, made_at, By(kind, name))
