"""Experiments in SQLite: functions on a raw connection, run inside one transaction each."""

import json
import secrets
from collections.abc import Callable, Sequence
from decimal import Decimal

from abtest import allocation
from abtest.errors import Conflict, UnknownExperiment
from abtest.models import Change, Experiment, NewExperiment, Phase, Status
from abtest.store import weights as weight_column
from abtest.store.driver import Raw
from abtest.store.enrolling import LAST_DEVICE

EXPERIMENTS = """
SELECT id, key, description, metrics, status, winner, created_at, created_after_device
FROM experiment ORDER BY id
"""

EXPERIMENT = """
SELECT id, key, description, metrics, status, winner, created_at, created_after_device
FROM experiment WHERE key = ?
"""

VALUES = "SELECT value FROM variant WHERE experiment_id = ? ORDER BY place"

PHASES = "SELECT number, weights, created_at, next_position FROM phase WHERE experiment_id = ? ORDER BY number"

ADD_EXPERIMENT = """
INSERT INTO experiment (key, description, metrics, status, seed, algorithm, created_at, created_after_device)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

ADD_VARIANT = "INSERT INTO variant (experiment_id, place, value) VALUES (?, ?, ?)"

ADD_PHASE = """
INSERT INTO phase (experiment_id, number, weights, created_at, created_after_device, block_counts)
VALUES (?, ?, ?, ?, ?, ?)
"""

ADD_STATUS_CHANGE = """
INSERT INTO status_change (experiment_id, status, winner, at, after_device) VALUES (?, ?, ?, ?, ?)
"""

SET_STATUS = "UPDATE experiment SET status = ?, winner = ? WHERE id = ?"

RAISE_CONFIG_VERSION = "UPDATE meta SET value = value + 1 WHERE name = 'config_version'"


def experiments(connection: Raw) -> list[Experiment]:
    """Every experiment, in the order of creation."""
    return [_experiment(connection, *row) for row in connection.execute(EXPERIMENTS).fetchall()]


def experiment(connection: Raw, key: str) -> Experiment:
    """The experiment with this key. Raises UnknownExperiment."""
    row = connection.execute(EXPERIMENT, (key,)).fetchone()
    if row is None:
        raise UnknownExperiment(f"there is no experiment {key!r}")
    return _experiment(connection, *row)


def add(connection: Raw, new: Sequence[NewExperiment], now: int) -> list[Experiment]:
    """Create all of these. Raises Conflict when a key is taken."""
    (last_device,) = connection.execute(LAST_DEVICE).fetchone()
    for wanted in new:
        if connection.execute(EXPERIMENT, (wanted.key,)).fetchone():
            raise Conflict(f"the experiment {wanted.key!r} exists already", code="experiment_exists")
        status = Status.DRAFT if wanted.draft else Status.RUNNING
        experiment_id = connection.execute(
            ADD_EXPERIMENT,
            (
                wanted.key,
                wanted.description,
                json.dumps(wanted.metrics),
                status,
                secrets.token_bytes(allocation.SEED_BYTES),
                allocation.VERSION,
                now,
                last_device,
            ),
        ).lastrowid
        connection.executemany(
            ADD_VARIANT,
            [(experiment_id, place, variant.value) for place, variant in enumerate(wanted.variants)],
        )
        _add_phase(connection, experiment_id, 1, tuple(variant.weight for variant in wanted.variants), now)
        connection.execute(ADD_STATUS_CHANGE, (experiment_id, status, None, now, last_device))
    connection.execute(RAISE_CONFIG_VERSION)
    return [experiment(connection, wanted.key) for wanted in new]


def change(connection: Raw, key: str, rule: Callable[[Experiment], Change], now: int) -> Experiment:
    """Apply what the rule decides about the experiment as it stands."""
    before = experiment(connection, key)
    decided = rule(before)
    if decided.status is not None:
        (last_device,) = connection.execute(LAST_DEVICE).fetchone()
        winner = decided.winner or before.winner
        connection.execute(SET_STATUS, (decided.status, winner, before.id))
        connection.execute(ADD_STATUS_CHANGE, (before.id, decided.status, winner, now, last_device))
    if decided.weights is not None:
        _add_phase(connection, before.id, before.phase.number + 1, decided.weights, now)
    connection.execute(RAISE_CONFIG_VERSION)
    return experiment(connection, key)


def _add_phase(connection: Raw, experiment_id: int, number: int, weights: tuple[Decimal, ...], now: int) -> None:
    (last_device,) = connection.execute(LAST_DEVICE).fetchone()
    texts = weight_column.dump(weights)
    counts = json.dumps(allocation.no_counts(allocation.lowest_terms(weights)))
    connection.execute(ADD_PHASE, (experiment_id, number, texts, now, last_device, counts))


def _experiment(
    connection: Raw,
    id: int,
    key: str,
    description: str,
    metrics: str,
    status: str,
    winner: str | None,
    created_at: int,
    created_after_device: int,
) -> Experiment:
    phases = [
        Phase(number=number, weights=weight_column.load(weights), created_at=at, enrolled=next_position)
        for number, weights, at, next_position in connection.execute(PHASES, (id,))
    ]
    return Experiment(
        id=id,
        key=key,
        description=description,
        status=Status(status),
        created_at=created_at,
        created_after_device=created_after_device,
        values=tuple(value for (value,) in connection.execute(VALUES, (id,))),
        phases=tuple(phases),
        metrics=tuple(json.loads(metrics)),
        winner=winner,
    )
