"""Experiments in SQLite: functions on a raw connection, each run inside one transaction."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from msgspec import structs

from abtest import allocation
from abtest.domain import (
    FULL_COVERAGE,
    KEY,
    Change,
    Experiment,
    Metric,
    NewExperiment,
    Phase,
    Status,
    Type,
    parse_audience,
    parse_metrics,
)
from abtest.errors import Conflict, UnknownExperiment
from abtest.store.catalogue import NO_METRICS
from abtest.store.sqlite.columns import dump_audience, dump_weights, load_audience, load_weights
from abtest.store.sqlite.driver import Raw
from abtest.store.sqlite.enrolling import last_device
from abtest.store.sqlite.events import last_event

EXPERIMENTS = """
SELECT id, key, description, status, winner, baseline, planned, primary_changed_at, baseline_changed_at,
  created_at, created_after_device, type, audience, seed
FROM experiment ORDER BY id
"""

EXPERIMENT = """
SELECT id, key, description, status, winner, baseline, planned, primary_changed_at, baseline_changed_at,
  created_at, created_after_device, type, audience, seed
FROM experiment WHERE key = ?
"""

VALUES = "SELECT value FROM variant WHERE experiment_id = ? AND place >= 0 ORDER BY place"

PHASES = """
SELECT number, weights, coverage, created_at, next_position, block_counts
FROM phase WHERE experiment_id = ? ORDER BY number
"""

ADD_EXPERIMENT = """
INSERT INTO experiment
  (key, description, status, baseline, planned, type, audience, seed, algorithm, created_at, created_after_device)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

ADD_VARIANT = "INSERT INTO variant (experiment_id, place, value) VALUES (?, ?, ?)"

# What a position outside the coverage gives: it has no value, and is never delivered.
ADD_OUTSIDE = "INSERT INTO variant (experiment_id, place, value) VALUES (?, -1, '') ON CONFLICT DO NOTHING"

ADD_PHASE = """
INSERT INTO phase (experiment_id, number, weights, coverage, created_at, created_after_device, block_counts)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""

ADD_STATUS_CHANGE = """
INSERT INTO status_change (experiment_id, status, winner, at, after_device, after_event) VALUES (?, ?, ?, ?, ?, ?)
"""

METRICS = """
SELECT kind, event, window_days, less FROM metric WHERE experiment_id = ? AND place IS NOT NULL ORDER BY place
"""

TAKE_METRICS_AWAY = "UPDATE metric SET place = NULL WHERE experiment_id = ?"

PUT_METRIC_BACK = """
UPDATE metric SET place = ?, less = ? WHERE experiment_id = ? AND kind = ? AND event = ? AND window_days IS ?
"""

ADD_METRIC = "INSERT INTO metric (place, less, experiment_id, kind, event, window_days) VALUES (?, ?, ?, ?, ?, ?)"

SET_PRIMARY_CHANGED = "UPDATE experiment SET primary_changed_at = ? WHERE id = ?"

SET_BASELINE_CHANGED = "UPDATE experiment SET baseline_changed_at = ? WHERE id = ?"

SET_BASELINE = "UPDATE experiment SET baseline = ? WHERE id = ?"

SET_PLANNED = "UPDATE experiment SET planned = ? WHERE id = ?"

SET_STATUS = "UPDATE experiment SET status = ?, winner = ? WHERE id = ?"

RAISE_CONFIG_VERSION = "UPDATE meta SET value = value + 1 WHERE name = 'config_version'"


def experiments(connection: Raw) -> list[Experiment]:
    """Every experiment, in the order of creation."""
    return [_experiment(connection, *row) for row in connection.execute(EXPERIMENTS).fetchall()]


def experiment(connection: Raw, key: str) -> Experiment:
    """The experiment with this key. Raises UnknownExperiment."""
    row = connection.execute(EXPERIMENT, (key,)).fetchone() if KEY.fullmatch(key) else None
    if row is None:
        raise UnknownExperiment(key)
    return _experiment(connection, *row)


def add(
    connection: Raw,
    experiments: Sequence[NewExperiment],
    now: int,
    metrics: Mapping[str, tuple[Metric, ...]] = NO_METRICS,
) -> list[Experiment]:
    """Create these experiments, and set the metrics of others. Raises Conflict or UnknownExperiment."""
    last = last_device(connection)
    for wanted in experiments:
        if connection.execute(EXPERIMENT, (wanted.key,)).fetchone():
            raise Conflict(f"the experiment {wanted.key!r} already exists", code="experiment_exists")
        status = Status.DRAFT if wanted.draft else Status.RUNNING
        experiment_id = connection.execute(
            ADD_EXPERIMENT,
            (
                wanted.key,
                wanted.description,
                status,
                wanted.baseline,
                wanted.planned,
                wanted.type,
                dump_audience(parse_audience(wanted.audience)),
                secrets.token_bytes(allocation.SEED_BYTES),
                allocation.VERSION,
                now,
                last,
            ),
        ).lastrowid
        connection.executemany(
            ADD_VARIANT,
            [(experiment_id, place, variant.value) for place, variant in enumerate(wanted.variants)],
        )
        _add_phase(
            connection, experiment_id, 1, tuple(variant.weight for variant in wanted.variants), wanted.coverage, now
        )
        _set_metrics(connection, experiment_id, parse_metrics(wanted.metrics))
        connection.execute(ADD_STATUS_CHANGE, (experiment_id, status, None, now, last, last_event(connection)))
    connection.execute(RAISE_CONFIG_VERSION)
    for key, judged_by in metrics.items():
        change(connection, key, lambda _, judged_by=judged_by: Change(metrics=judged_by), now)  # type: ignore[misc]  # mypy knows no default of a lambda
    return [experiment(connection, key) for key in (*(wanted.key for wanted in experiments), *metrics)]


def change(connection: Raw, key: str, rule: Callable[[Experiment], Change], now: int) -> Experiment:
    """Apply what the rule decides about the experiment as it is now."""
    before = experiment(connection, key)
    decided = rule(before)
    if decided.status is not None:
        last = last_device(connection)
        winner = decided.winner or before.winner
        connection.execute(SET_STATUS, (decided.status, winner, before.id))
        connection.execute(ADD_STATUS_CHANGE, (before.id, decided.status, winner, now, last, last_event(connection)))
    if decided.weights is not None or decided.coverage is not None:
        weights, coverage = decided.weights or before.phase.weights, decided.coverage or before.phase.coverage
        _add_phase(connection, before.id, before.phase.number + 1, weights, coverage, now)
    if decided.metrics is not None:
        _set_metrics(connection, before.id, decided.metrics)
        if before.enrolled and not _same_figures(decided.metrics[:1], before.metrics[:1]):
            connection.execute(SET_PRIMARY_CHANGED, (now, before.id))
    if decided.baseline is not None:
        connection.execute(SET_BASELINE, (decided.baseline, before.id))
        if before.enrolled and decided.baseline != before.values[before.baseline_place]:
            connection.execute(SET_BASELINE_CHANGED, (now, before.id))
    if decided.planned is not None:
        connection.execute(SET_PLANNED, (decided.planned, before.id))
    connection.execute(RAISE_CONFIG_VERSION)
    return experiment(connection, key)


def _add_phase(
    connection: Raw, experiment_id: int, number: int, weights: tuple[Decimal, ...], coverage: Decimal, now: int
) -> None:
    last = last_device(connection)
    counts = json.dumps(allocation.no_counts(allocation.drawn_weights(weights, coverage)))
    row = (experiment_id, number, dump_weights(weights), f"{coverage:f}", now, last, counts)
    if coverage < FULL_COVERAGE:
        connection.execute(ADD_OUTSIDE, (experiment_id,))
    connection.execute(ADD_PHASE, row)


def _same_figures(one: Sequence[Metric], other: Sequence[Metric]) -> bool:
    """Whether they count the same. `less` changes no figure."""
    return [structs.replace(each, less=False) for each in one] == [
        structs.replace(each, less=False) for each in other
    ]


def _set_metrics(connection: Raw, experiment_id: int, metrics: Sequence[Metric]) -> None:
    connection.execute(TAKE_METRICS_AWAY, (experiment_id,))
    for place, metric in enumerate(metrics):
        row = (place, metric.less, experiment_id, metric.kind, metric.event, metric.window_days)
        if not connection.execute(PUT_METRIC_BACK, row).rowcount:
            connection.execute(ADD_METRIC, row)


def _experiment(
    connection: Raw,
    id: int,
    key: str,
    description: str,
    status: str,
    winner: str | None,
    baseline: str | None,
    planned: int | None,
    primary_changed_at: int | None,
    baseline_changed_at: int | None,
    created_at: int,
    created_after_device: int,
    type: str,
    audience: str,
    seed: bytes,
) -> Experiment:
    return Experiment(
        id=id,
        key=key,
        description=description,
        status=Status(status),
        created_at=created_at,
        created_after_device=created_after_device,
        values=tuple(value for (value,) in connection.execute(VALUES, (id,))),
        phases=tuple(_phase(seed, *row) for row in connection.execute(PHASES, (id,))),
        metrics=tuple(
            Metric(kind, event, window, less=bool(less))
            for kind, event, window, less in connection.execute(METRICS, (id,))
        ),
        winner=winner,
        baseline=baseline,
        planned=planned,
        primary_changed_at=primary_changed_at,
        baseline_changed_at=baseline_changed_at,
        type=Type(type),
        audience=load_audience(audience),
    )


def _phase(
    seed: bytes, number: int, weights: str, coverage: str, created_at: int, next_position: int, block_counts: str
) -> Phase:
    phase = Phase(number, load_weights(weights), created_at, next_position, Decimal(coverage))
    if phase.coverage == FULL_COVERAGE:
        return phase
    counts = allocation.counts_until(seed, number, phase.drawn, next_position, tuple(json.loads(block_counts)))
    return structs.replace(phase, enrolled=next_position - counts[-1])
