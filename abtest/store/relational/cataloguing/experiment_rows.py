"""Experiments, groups and holdouts: functions on a connection, each run inside one transaction."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct, structs

from abtest import allocation
from abtest.domain import DEFAULT_APP, KEY, By, Experiment, Kind, Metric, Phase, Status, Type, members
from abtest.errors import UnknownExperiment
from abtest.store.relational.cataloguing.app_rows import app_id
from abtest.store.relational.columns import load_audience, load_weights
from abtest.store.relational.connection import Connection
from abtest.store.relational.rows import grouped

EVERY_KEY = "", "~"
"""Every key is between these."""

# Each statement reads one experiment or all of them: every trip to a database on another machine takes time.
EXPERIMENTS = """
SELECT id, key, description, status, winner, baseline, planned, primary_changed_at, baseline_changed_at,
  created_at, created_after_device, type, audience, start_at, end_at, because,
  decided_at, decided_by_kind, decided_by_name, seed
FROM experiment WHERE app_id = ?1 AND experiment.kind = ?2 AND key BETWEEN ?3 AND ?4
ORDER BY id
"""

FIRST_STATUSES = """
SELECT experiment.id, status_change.status, status_change.at
FROM experiment JOIN status_change ON experiment_id = experiment.id
WHERE app_id = ?1 AND experiment.kind = ?2 AND key BETWEEN ?3 AND ?4
  AND status_change.status IN ('running', 'finished')
ORDER BY status_change.id DESC
"""

VALUES = """
SELECT experiment.id, value FROM experiment JOIN variant ON experiment_id = experiment.id
WHERE app_id = ?1 AND experiment.kind = ?2 AND key BETWEEN ?3 AND ?4 AND place >= 0
ORDER BY place
"""

PHASES = """
SELECT experiment.id, number, weights, coverage, stop_at, phase.created_at, next_position, block_counts
FROM experiment JOIN phase ON experiment_id = experiment.id
WHERE app_id = ?1 AND experiment.kind = ?2 AND key BETWEEN ?3 AND ?4
ORDER BY number
"""

METRICS = """
SELECT experiment.id, metric.kind, event, window_days, less
FROM experiment JOIN metric ON experiment_id = experiment.id
WHERE app_id = ?1 AND experiment.kind = ?2 AND key BETWEEN ?3 AND ?4 AND place IS NOT NULL
ORDER BY place
"""


def experiments(connection: Connection, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> list[Experiment]:
    """Every experiment of an app, or every group or holdout, in the order of creation. Raises UnknownApp."""
    return _experiments(connection, app, kind, EVERY_KEY)


def experiment(connection: Connection, key: str, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> Experiment:
    """The experiment with this key, or the group or holdout. Raises UnknownApp or UnknownExperiment."""
    found = _experiments(connection, app, kind, (key, key)) if KEY.fullmatch(key) else []
    if not found:
        raise UnknownExperiment(key, kind)
    return found[0]


def _experiments(connection: Connection, app: str, kind: Kind, keys: tuple[str, str]) -> list[Experiment]:
    which = app_id(connection, app), kind, *keys
    rows = [_Row(*row) for row in connection.execute(EXPERIMENTS, which)]
    if not rows:
        return []
    groups = _groups(connection, app) if kind is Kind.EXPERIMENT else {}
    parts = [grouped(connection.execute(each, which)) for each in (FIRST_STATUSES, VALUES, PHASES, METRICS)]
    return [_experiment(app, kind, groups, row, *[part[row.id] for part in parts]) for row in rows]


def _groups(connection: Connection, app: str) -> dict[str, tuple[str, Decimal]]:
    """By the key of each experiment that is in a group: the group, and the experiment's share of it."""
    groups = experiments(connection, app, Kind.GROUP)
    return {key: (group.key, share) for group in groups for key, share in members(group).items()}


class _Row(Struct, frozen=True):
    """A row of EXPERIMENTS."""

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
        """Who made the decision, if that is known."""
        return None if self.decided_by_kind is None else By(self.decided_by_kind, self.decided_by_name or "")


def _experiment(
    app: str,
    kind: Kind,
    groups: Mapping[str, tuple[str, Decimal]],
    row: _Row,
    statuses: Iterable[Any],
    values: Iterable[Any],
    phases: Iterable[Any],
    metrics: Iterable[Any],
) -> Experiment:
    group, share = groups.get(row.key, (None, None))
    first = dict(statuses)
    return Experiment(
        id=row.id,
        key=row.key,
        description=row.description,
        status=Status(row.status),
        created_at=row.created_at,
        created_after_device=row.created_after_device,
        values=tuple(value for (value,) in values),
        phases=tuple(_phase(row.seed, *phase) for phase in phases),
        metrics=tuple(Metric(kind, event, window, less=bool(less)) for kind, event, window, less in metrics),
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
