"""Changes of experiments: functions on a connection, each run inside one transaction."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from msgspec import structs

from abtest import allocation
from abtest.domain import (
    DEFAULT_APP,
    PROGRAM,
    Action,
    By,
    Change,
    Experiment,
    Kind,
    Metric,
    NewExperiment,
    Phase,
    Status,
    differing,
    facts,
    given,
    joined,
    left,
    new_group,
    parse_audience,
    parse_metrics,
)
from abtest.errors import Conflict
from abtest.store.catalogue import NO_METRICS, Alteration
from abtest.store.relational.cataloguing.app_rows import RAISE_CONFIG_VERSION, app_id
from abtest.store.relational.cataloguing.experiment_rows import EXPERIMENTS, experiment, experiments
from abtest.store.relational.columns import dump_audience, dump_weights
from abtest.store.relational.connection import Connection
from abtest.store.relational.journal import record
from abtest.store.relational.numbers import last_device, last_event

ADD_EXPERIMENT = """
INSERT INTO experiment (
  app_id, kind, key, description, status, baseline, planned, type, audience, start_at, end_at, seed, algorithm,
  created_at, created_after_device
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING id
"""

ADD_VARIANT = "INSERT INTO variant (experiment_id, place, value) VALUES (?, ?, ?)"

# The variant that positions outside the coverage give: it has no value, and is never delivered.
ADD_OUTSIDE = "INSERT INTO variant (experiment_id, place, value) VALUES (?, -1, '') ON CONFLICT DO NOTHING"

ADD_PHASE = """
INSERT INTO phase (experiment_id, number, weights, coverage, stop_at, created_at, created_after_device, block_counts)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

ADD_STATUS_CHANGE = """
INSERT INTO status_change (experiment_id, status, winner, at, after_device, after_event) VALUES (?, ?, ?, ?, ?, ?)
"""

TAKE_METRICS_AWAY = "UPDATE metric SET place = NULL WHERE experiment_id = ?"

PUT_METRIC_BACK = """
UPDATE metric SET place = ?, less = ?
WHERE experiment_id = ? AND kind = ? AND event = ? AND window_days IS NOT DISTINCT FROM ?
"""

ADD_METRIC = "INSERT INTO metric (place, less, experiment_id, kind, event, window_days) VALUES (?, ?, ?, ?, ?, ?)"

SET_PRIMARY_CHANGED = "UPDATE experiment SET primary_changed_at = ? WHERE id = ?"

SET_BASELINE_CHANGED = "UPDATE experiment SET baseline_changed_at = ? WHERE id = ?"

SET_BASELINE = "UPDATE experiment SET baseline = ? WHERE id = ?"

SET_PLANNED = "UPDATE experiment SET planned = ? WHERE id = ?"

SET_DESCRIPTION = "UPDATE experiment SET description = ? WHERE id = ?"

SET_SCHEDULE = "UPDATE experiment SET start_at = ?, end_at = ? WHERE id = ?"

SET_STATUS = "UPDATE experiment SET status = ?, winner = ? WHERE id = ?"

SET_DECISION = """
UPDATE experiment SET because = ?, decided_at = ?, decided_by_kind = ?, decided_by_name = ? WHERE id = ?
"""

SET_BECAUSE = "UPDATE experiment SET because = ? WHERE id = ?"


def add(
    connection: Connection,
    experiments: Sequence[NewExperiment],
    now: int,
    metrics: Mapping[str, tuple[Metric, ...]] = NO_METRICS,
    app: str = DEFAULT_APP,
    kind: Kind = Kind.EXPERIMENT,
    by: By = PROGRAM,
) -> list[Experiment]:
    """Create these experiments, groups or holdouts, and set the metrics of others.

    Raises Conflict, UnknownApp, UnknownExperiment, or InvalidExperiment if a group has no room.
    """
    id = app_id(connection, app)
    for wanted in experiments:
        if connection.execute(EXPERIMENTS, (id, kind, wanted.key, wanted.key)).fetchone():
            raise Conflict(f"the {kind} {wanted.key!r} already exists", code=f"{kind}_exists")
        _add(connection, id, wanted, now, kind)
        if wanted.group is not None and wanted.group_share is not None:
            _join(connection, wanted.group, experiment(connection, wanted.key, app), wanted.group_share, now)
        added = experiment(connection, wanted.key, app, kind)
        record(connection, by, now, Action(f"{kind}.add"), app, added.key, after=given(facts(added)))
    connection.execute(RAISE_CONFIG_VERSION)
    for key, judged_by in metrics.items():
        before = experiment(connection, key, app)
        _make(connection, before, Change(metrics=judged_by), now, by)
        _record(connection, before, now, by)
    made = (experiment(connection, wanted.key, app, kind) for wanted in experiments)
    return [*made, *(experiment(connection, key, app) for key in metrics)]


def _add(connection: Connection, app: int, wanted: NewExperiment, now: int, kind: Kind) -> None:
    last = last_device(connection)
    status = Status.DRAFT if wanted.draft or wanted.start_at is not None else Status.RUNNING
    row = (
        *(app, kind, wanted.key, wanted.description, status, wanted.baseline, wanted.planned, wanted.type),
        *(dump_audience(parse_audience(wanted.audience)), wanted.start_at, wanted.end_at),
        *(secrets.token_bytes(allocation.SEED_BYTES), allocation.VERSION, now, last),
    )
    ((id,),) = connection.execute(ADD_EXPERIMENT, row)
    connection.executemany(ADD_VARIANT, [(id, place, variant.value) for place, variant in enumerate(wanted.variants)])
    weights = tuple(variant.weight for variant in wanted.variants)
    _add_phase(connection, id, Phase(1, weights, now, 0, wanted.coverage, wanted.stop_at))
    _set_metrics(connection, id, parse_metrics(wanted.metrics))
    connection.execute(ADD_STATUS_CHANGE, (id, status, None, now, last, last_event(connection)))


def change(
    connection: Connection,
    key: str,
    rule: Callable[[Experiment], Change],
    now: int,
    app: str = DEFAULT_APP,
    kind: Kind = Kind.EXPERIMENT,
    by: By = PROGRAM,
) -> Experiment:
    """Apply what the rule decides about the experiment, group or holdout as it is now.

    An experiment that is finished or archived leaves its group.
    """
    before = experiment(connection, key, app, kind)
    _make(connection, before, rule(before), now, by)
    return _record(connection, before, now, by)


def alter(
    connection: Connection,
    rule: Callable[[list[Experiment]], Alteration],
    now: int,
    app: str = DEFAULT_APP,
    by: By = PROGRAM,
) -> None:
    """Add and change what the rule decides about all experiments as they are now.

    Groups that do not exist are added. Experiments leave their groups before others join.
    """
    present = {each.key: each for each in experiments(connection, app)}
    decided = rule(list(present.values()))
    _add_groups(connection, decided, now, app, by)
    leaving = {key for key, change in decided.changes if change.leaves_group}
    for each in present.values():
        if each.key in leaving and each.group is not None:
            _leave(connection, each.group, each.key, now, app)
    for key, change in decided.changes:
        if key in present:
            _make(connection, experiment(connection, key, app), change, now, by)
            _record(connection, present[key], now, by)
    if decided.added:
        add(connection, decided.added, now, app=app, by=by)
    for key, change in decided.changes:
        if key not in present:
            added = experiment(connection, key, app)
            _make(connection, added, change, now, by)
            _record(connection, added, now, by)


def _add_groups(connection: Connection, decided: Alteration, now: int, app: str, by: By) -> None:
    there = {each.key for each in experiments(connection, app, Kind.GROUP)}
    wanted = [each.group for each in decided.added] + [
        change.group and change.group[0] for _, change in decided.changes
    ]
    missing = [new_group(key) for key in dict.fromkeys(wanted) if key and key not in there]
    if missing:
        add(connection, missing, now, app=app, kind=Kind.GROUP, by=by)


def _make(connection: Connection, before: Experiment, decided: Change, now: int, by: By) -> None:
    if decided.status is not None:
        _move(connection, before, decided.status, decided.winner or before.winner, now)
    if decided.status is Status.FINISHED:
        connection.execute(SET_DECISION, (decided.because or "", now, by.kind, by.name, before.id))
    elif decided.because is not None:
        connection.execute(SET_BECAUSE, (decided.because, before.id))
    if decided.group is not None and decided.group[0]:
        _join(connection, decided.group[0], before, decided.group[1], now)
    if decided.weights is not None or decided.coverage is not None or decided.stop_at is not None:
        begun = Phase(
            before.phase.number + 1,
            decided.weights or before.phase.weights,
            now,
            0,
            decided.coverage or before.phase.coverage,
            decided.stop_at or before.phase.stop_at,
        )
        _add_phase(connection, before.id, begun)
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
    if decided.description is not None:
        connection.execute(SET_DESCRIPTION, (decided.description, before.id))
    if decided.schedule is not None:
        connection.execute(SET_SCHEDULE, (*decided.schedule, before.id))
    connection.execute(RAISE_CONFIG_VERSION)


def _move(connection: Connection, before: Experiment, status: Status, winner: str | None, now: int) -> None:
    connection.execute(SET_STATUS, (status, winner, before.id))
    row = (before.id, status, winner, now, last_device(connection), last_event(connection))
    connection.execute(ADD_STATUS_CHANGE, row)
    if before.group is not None and status.over:
        _leave(connection, before.group, before.key, now, before.app)


def _record(connection: Connection, before: Experiment, now: int, by: By) -> Experiment:
    """Record what became of an experiment, a group or a holdout, and return it."""
    after = experiment(connection, before.key, before.app, before.kind)
    was, became = differing(facts(before), facts(after))
    if became:
        record(connection, by, now, Action(f"{before.kind}.change"), before.app, before.key, was, became)
    return after


def join(
    connection: Connection, group: str, key: str, share: Decimal, now: int, app: str = DEFAULT_APP, by: By = PROGRAM
) -> Experiment:
    """Put an experiment into a group, and return the group. The other members keep their shares and devices.

    Raises UnknownApp, UnknownExperiment, Conflict, or InvalidExperiment if the group has no room.
    """
    joining = experiment(connection, key, app)
    there = _join(connection, group, joining, share, now)
    _record(connection, joining, now, by)
    return there


def _join(connection: Connection, group: str, joining: Experiment, share: Decimal, now: int) -> Experiment:
    key = joining.key
    if joining.group is not None:
        raise Conflict(f"the experiment {key} is in the group {joining.group} already", code="impossible_transition")
    if joining.status.over:
        raise Conflict(
            f"the experiment {key} is {joining.status} and can't join a group", code="impossible_transition"
        )
    there = experiment(connection, group, joining.app, Kind.GROUP)
    return _regroup(connection, there, joined(there, key, share), now)


def leave(
    connection: Connection, group: str, key: str, now: int, app: str = DEFAULT_APP, by: By = PROGRAM
) -> Experiment:
    """Take an experiment out of a group, and return the group. Raises UnknownApp, UnknownExperiment or Conflict."""
    leaving = experiment(connection, key, app)
    there = _leave(connection, group, key, now, app)
    _record(connection, leaving, now, by)
    return there


def _leave(connection: Connection, group: str, key: str, now: int, app: str) -> Experiment:
    there = experiment(connection, group, app, Kind.GROUP)
    return _regroup(connection, there, left(there, key), now)


def _regroup(connection: Connection, group: Experiment, shares: Mapping[str, Decimal], now: int) -> Experiment:
    """Begin a phase of a group with these members."""
    keys = [*group.values, *(key for key in shares if key not in group.values)]
    added = enumerate(keys[len(group.values) :], start=len(group.values))
    connection.executemany(ADD_VARIANT, [(group.id, place, key) for place, key in added])
    weights = tuple(shares.get(key, Decimal(0)) for key in keys)
    _add_phase(connection, group.id, Phase(group.phase.number + 1, weights, now, 0, sum(weights, Decimal(0))))
    connection.execute(RAISE_CONFIG_VERSION)
    return experiment(connection, group.key, group.app, Kind.GROUP)


def _add_phase(connection: Connection, experiment_id: int, phase: Phase) -> None:
    row = (
        *(experiment_id, phase.number, dump_weights(phase.weights), f"{phase.coverage:f}", phase.stop_at),
        *(phase.created_at, last_device(connection), json.dumps(allocation.no_counts(phase.drawn))),
    )
    if phase.outside is not None:
        connection.execute(ADD_OUTSIDE, (experiment_id,))
    connection.execute(ADD_PHASE, row)


def _same_figures(one: Sequence[Metric], other: Sequence[Metric]) -> bool:
    """Whether these metrics count the same. `less` changes no figure."""
    return [structs.replace(each, less=False) for each in one] == [
        structs.replace(each, less=False) for each in other
    ]


def _set_metrics(connection: Connection, experiment_id: int, metrics: Sequence[Metric]) -> None:
    connection.execute(TAKE_METRICS_AWAY, (experiment_id,))
    for place, metric in enumerate(metrics):
        row = (place, metric.less, experiment_id, metric.kind, metric.event, metric.window_days)
        if not connection.execute(PUT_METRIC_BACK, row).rowcount:
            connection.execute(ADD_METRIC, row)
