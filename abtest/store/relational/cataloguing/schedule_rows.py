"""Experiments that are due to start or finish."""

from abtest.domain import Status
from abtest.store.catalogue import Due
from abtest.store.relational.connection import Connection

DUE = """
SELECT app.key, experiment.key, 'running', start_at FROM experiment JOIN app ON app.id = app_id
WHERE kind = 'experiment' AND status = 'draft' AND start_at <= ?1
UNION ALL
SELECT app.key, experiment.key, 'finished', end_at FROM experiment JOIN app ON app.id = app_id
WHERE kind = 'experiment' AND status IN ('draft', 'running', 'paused') AND end_at <= ?1
  AND (status != 'draft' OR start_at <= ?1)
ORDER BY 4
"""


def due(connection: Connection, now: int) -> list[Due]:
    """The experiments that are due to start or finish by now, in the order of their times."""
    rows = connection.execute(DUE, (now,))
    return [Due(app, key, Status(status), at) for app, key, status, at in rows]
