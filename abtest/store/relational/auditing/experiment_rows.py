"""Every experiment, group and holdout as it is stored: functions on a connection, each run inside one transaction."""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from abtest import allocation
from abtest.domain import Audience
from abtest.errors import InvalidExperiment
from abtest.store.audit import ExperimentRecord, PhaseRecord, StatusRecord
from abtest.store.relational.columns import load_audience, load_weights
from abtest.store.relational.connection import Connection

NAMES = """
SELECT experiment.id, CASE (SELECT count(*) FROM app) WHEN 1 THEN experiment.key
  ELSE coalesce(app.key, CAST(app_id AS TEXT)) || '/' || experiment.key END
FROM experiment LEFT JOIN app ON app.id = app_id
"""

EXPERIMENTS = """
SELECT id, app_id, kind, key, status, winner, seed, algorithm, created_after_device, audience
FROM experiment ORDER BY id
"""

VARIANTS = "SELECT id, value, place FROM variant WHERE experiment_id = ? ORDER BY place"

PHASES = """
SELECT id, number, weights, coverage, stop_at, created_after_device, next_position, block_counts
FROM phase WHERE experiment_id = ? ORDER BY number
"""

STATUSES = "SELECT id, status, winner, after_device FROM status_change WHERE experiment_id = ? ORDER BY id"


def experiment_records(connection: Connection) -> tuple[ExperimentRecord, ...]:
    """Every experiment with everything that ever decided about a device. Reads no device."""
    names = names_of(connection)
    return tuple(_experiment(connection, names, *row) for row in connection.execute(EXPERIMENTS).fetchall())


def names_of(connection: Connection) -> dict[int, str]:
    """The name of each experiment, by its id; see ExperimentRecord.name."""
    return dict(connection.execute(NAMES).fetchall())


def _experiment(
    connection: Connection,
    names: Mapping[int, str],
    id: int,
    app: int,
    kind: str,
    key: str,
    status: str,
    winner: str | None,
    seed: bytes,
    algorithm: int,
    created_after_device: int,
    audience: str,
) -> ExperimentRecord:
    outcomes = connection.execute(VARIANTS, (id,)).fetchall()
    variants = [each for each in outcomes if each[1]]
    phases = [
        PhaseRecord(phase, number, *_weights(weights, coverage), stop_at, after, next_position, _counts(counts))
        for phase, number, weights, coverage, stop_at, after, next_position, counts in connection.execute(
            PHASES, (id,)
        )
    ]
    return ExperimentRecord(
        id=id,
        app=app,
        kind=kind,
        key=key,
        name=names[id],
        status=status,
        winner=winner,
        seed=seed,
        algorithm=algorithm,
        created_after_device=created_after_device,
        audience=_audience(audience),
        values=tuple(value for _, value, _ in variants),
        variants=tuple(variant for variant, _, _ in variants),
        places=tuple(place for _, _, place in variants),
        outside=next((variant for variant, value, _ in outcomes if not value), None),
        phases=tuple(phases),
        statuses=tuple(StatusRecord(*row) for row in connection.execute(STATUSES, (id,))),
    )


def _audience(text: str) -> Audience | None:
    try:
        return load_audience(text)
    except (ValueError, TypeError, InvalidExperiment):
        return None


def _weights(text: str, coverage: str) -> tuple[allocation.Weights, int | None]:
    """What positions are drawn from, and the place of devices outside the coverage."""
    try:
        return allocation.drawn_weights(load_weights(text), Decimal(coverage))
    except (ValueError, TypeError, OverflowError, InvalidOperation):
        return (), None


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(json.loads(text))
    except (ValueError, TypeError):
        return ()
    return counts if all(type(count) is int for count in counts) else ()
