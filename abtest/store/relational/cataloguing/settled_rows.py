"""What people decided, to compare it with the journal: functions on a connection, each run inside one transaction."""

from abtest.domain import Facts, Kind, facts
from abtest.errors import AbtestError
from abtest.store.audit import Settled
from abtest.store.relational.cataloguing.experiment_rows import experiment
from abtest.store.relational.connection import Connection
from abtest.store.relational.journal import journal_end

KEYS = "SELECT app.key, kind, experiment.key FROM experiment JOIN app ON app.id = app_id ORDER BY experiment.id"


def settled(connection: Connection) -> Settled:
    """What people decided, and where the journal ends."""
    keys = connection.execute(KEYS).fetchall()
    return Settled(journal_end(connection), {each: _facts(connection, *each) for each in keys})


def _facts(connection: Connection, app: str, kind: str, key: str) -> Facts | None:
    """None if something is damaged."""
    try:
        return facts(experiment(connection, key, app, Kind(kind)))
    except (AbtestError, ArithmeticError, LookupError, TypeError, ValueError):
        return None
