"""Experiments, groups and holdouts: functions on a connection, each run inside one transaction."""

import json
from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct, structs

from abtest import allocation
from abtest.domain import DEFAULT_APP, KEY, By, Experiment, Kind, Metric, Phase, Status, Type, members
from abtest.errors import UnknownExperiment
from abtest.store.relational.cataloguing.app_rows import app_id
from abtest.store.relational.columns import load_audience, load_weights
from abtest.store.relational.connection import Connection

EXPERIMENTS = """
SELECT id, key, description, status, winner, baseline, planned, primary_changed_at, baseline_changed_at,
  created_at, created_after_device, type, audience, start_at, end_at, because,
  decided_at, decided_by_kind, decided_by_name, seed
FROM experiment WHERE app_id = ? AND kind = ? ORDER BY id
"""

EXPERIMENT = """
SELECT id, key, description, status, winner, baseline, planned, primary_changed_at, baseline_changed_at,
  created_at, created_after_device, type, audience, start_at, end_at, because,
  decided_at, decided_by_kind, decided_by_name, seed
FROM experiment WHERE app_id = ? AND kind = ? AND key = ?
"""

FIRST_STATUSES = """
SELECT status, at FROM status_change WHERE id IN (
  SELECT min(id) FROM status_change
  WHERE experiment_id = ? AND status IN ('running', 'finished') GROUP BY status
)
"""

VALUES = "SELECT value FROM variant WHERE experiment_id = ? AND place >= 0 ORDER BY place"

PHASES = """
SELECT number, weights, coverage, stop_at, created_at, next_position, block_counts
FROM phase WHERE experiment_id = ? ORDER BY number
"""

METRICS = """
SELECT kind, event, window_days, less FROM metric WHERE experiment_id = ? AND place IS NOT NULL ORDER BY place
"""


def experiments(connection: Connection, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> list[Experiment]:
    """Every experiment of an app, or every group or holdout, in the order of creation. Raises UnknownApp."""
    id = app_id(connection, app)
    groups = _groups(connection, app) if kind is Kind.EXPERIMENT else {}
    rows = connection.execute(EXPERIMENTS, (id, kind)).fetchall()
    return [_experiment(connection, app, kind, groups, _Row(*row)) for row in rows]


def experiment(connection: Connection, key: str, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> Experiment:
    """The experiment with this key, or the group or holdout. Raises UnknownApp or UnknownExperiment."""
    id = app_id(connection, app)
    row = connection.execute(EXPERIMENT, (id, kind, key)).fetchone() if KEY.fullmatch(key) else None
    if row is None:
        raise UnknownExperiment(key, kind)
    groups = _groups(connection, app) if kind is Kind.EXPERIMENT else {}
    return _experiment(connection, app, kind, groups, _Row(*row))


def _groups(connection: Connection, app: str) -> dict[str, tuple[str, Decimal]]:
    """The group that each member of one is in, and its share, by the member's key."""
    groups = experiments(connection, app, Kind.GROUP)
    return {key: (group.key, share) for group in groups for key, share in members(group).items()}


class _Row(Struct, frozen=True):
    """Of EXPERIMENTS."""

    id: int
    key: str
    description: str
    status: str
    winner: str | None
    baseline: str | None
    planned: int | None
    primary_changed_at: int | None
    baseline_changed_at: int | None
    created_at: int
    created_after_device: int
    type: str
    audience: str
    start_at: int | None
    end_at: int | None
    because: str
    decided_at: int | None
    decided_by_kind: str | None
    decided_by_name: str | None
    seed: bytes

    @property
    def decided_by(self) -> By | None:
        """Who decided, if that is known."""
        return None if self.decided_by_kind is None else By(self.decided_by_kind, self.decided_by_name or "")


def _experiment(
    connection: Connection, app: str, kind: Kind, groups: Mapping[str, tuple[str, Decimal]], row: _Row
) -> Experiment:
    group, share = groups.get(row.key, (None, None))
    first = dict(connection.execute(FIRST_STATUSES, (row.id,)).fetchall())
    return Experiment(
        id=row.id,
        key=row.key,
        description=row.description,
        status=Status(row.status),
        created_at=row.created_at,
        created_after_device=row.created_after_device,
        values=tuple(value for (value,) in connection.execute(VALUES, (row.id,))),
        phases=tuple(_phase(row.seed, *phase) for phase in connection.execute(PHASES, (row.id,))),
        metrics=tuple(
            Metric(kind, event, window, less=bool(less))
            for kind, event, window, less in connection.execute(METRICS, (row.id,))
        ),
        winner=row.winner,
        baseline=row.baseline,
        planned=row.planned,
        primary_changed_at=row.primary_changed_at,
        baseline_changed_at=row.baseline_changed_at,
        type=Type(row.type),
        audience=load_audience(row.audience),
        app=app,
        kind=kind,
        group=group,
        group_share=share,
        start_at=row.start_at,
        end_at=row.end_at,
        started_at=first.get(Status.RUNNING),
        ended_at=first.get(Status.FINISHED),
        because=row.because,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
    )


def _phase(
    seed: bytes,
    number: int,
    weights: str,
    coverage: str,
    stop_at: int | None,
    created_at: int,
    next_position: int,
    block_counts: str,
) -> Phase:
    phase = Phase(number, load_weights(weights), created_at, next_position, Decimal(coverage), stop_at)
    counts = tuple(json.loads(block_counts))
    enrolled = allocation.covered_until(seed, number, phase.drawn, next_position, counts, phase.outside)
    return structs.replace(phase, enrolled=enrolled)
