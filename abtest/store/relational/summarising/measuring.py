"""Adds events to the figures of metrics, and reads these figures. Each function runs in one transaction."""

from collections.abc import Iterable, Iterator
from typing import Any

from abtest.domain import Kind, Metric, Occurrence, Showing, Sums, Tally, Type, add_buckets, same
from abtest.store.figures import DayFigures, Measured, MetricFigures
from abtest.store.relational import cataloguing, rows
from abtest.store.relational.columns import dump_buckets, dump_delays, load_buckets, load_delays
from abtest.store.relational.connection import Connection
from abtest.store.relational.numbers import last_event

WATERMARKS = """
SELECT exposure_watermark FROM summary UNION SELECT watermark FROM metric WHERE place IS NOT NULL ORDER BY 1
"""

METRICS = "SELECT id, kind, event, window_days, less FROM metric"

NEW_EVENTS = """
SELECT counted_event.metric_id, metric_device.total, counted_event.device_id, phase_id, variant_id, first_seen,
  amount, at, received_at
FROM counted_event LEFT JOIN metric_device
  ON metric_device.metric_id = counted_event.metric_id AND metric_device.device_id = counted_event.device_id
WHERE event_id > ?1 AND event_id <= ?2 AND watermark = ?1 AND place IS NOT NULL
ORDER BY event_id
"""

# Each plus keeps SQLite from reading the events of all devices.
FOLDED_EVENTS = """
SELECT metric_id, event_id, device_id, phase_id, variant_id, first_seen, amount, at, received_at
FROM counted_event
WHERE device_id > ? AND device_id <= ? AND +event_id > ? AND event_id <= watermark
ORDER BY event_id
"""

# The first two columns say whether the device is counted already: as showing another value, and as showing its own.
NEW_EXPOSURES = """
SELECT showed_other.device_id, showed_own.device_id,
  event_id, told.experiment_id, told.device_id, phase_id, variant_id, received_at, type, told.own, shown
FROM counted_exposure AS told
LEFT JOIN exposed AS showed_other ON showed_other.experiment_id = told.experiment_id
  AND showed_other.device_id = told.device_id AND NOT showed_other.own
LEFT JOIN exposed AS showed_own ON showed_own.experiment_id = told.experiment_id
  AND showed_own.device_id = told.device_id AND showed_own.own
WHERE event_id > ? AND event_id <= ?
ORDER BY event_id
"""

FOLDED_EXPOSURES = """
SELECT event_id, experiment_id, device_id, phase_id, variant_id, received_at, type, own, shown
FROM counted_exposure
WHERE device_id > ? AND device_id <= ? AND +event_id > ? AND +event_id <= (SELECT exposure_watermark FROM summary)
ORDER BY +event_id
"""

ADD_EXPOSED = "INSERT INTO exposed (experiment_id, device_id, own) VALUES (?, ?, ?)"

ADD_DEVICES = """
INSERT INTO summary_day (phase_id, variant_id, day, devices) VALUES (?, ?, ?, ?)
ON CONFLICT (phase_id, variant_id, day) DO UPDATE SET devices = summary_day.devices + excluded.devices
"""

ADD_EXPOSURES = """
INSERT INTO summary_day (phase_id, variant_id, day, devices, exposed, showed_other) VALUES (?, ?, ?, 0, ?, ?)
ON CONFLICT (phase_id, variant_id, day)
DO UPDATE SET exposed = summary_day.exposed + excluded.exposed,
  showed_other = summary_day.showed_other + excluded.showed_other
"""

SET_TOTAL = """
INSERT INTO metric_device (metric_id, device_id, total) VALUES (?, ?, ?)
ON CONFLICT (metric_id, device_id) DO UPDATE SET total = excluded.total
"""

SUMS = """
SELECT converters, total, squares, events, without_amount, lag, first_at, last_at, buckets, delays
FROM summary_metric
WHERE metric_id = ? AND phase_id = ? AND variant_id = ? AND day = ?
"""

SET_SUMS = """
INSERT INTO summary_metric
  (metric_id, phase_id, variant_id, day,
   converters, total, squares, events, without_amount, lag, first_at, last_at, buckets, delays)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (metric_id, phase_id, variant_id, day) DO UPDATE SET
  converters = excluded.converters, total = excluded.total, squares = excluded.squares,
  events = excluded.events, without_amount = excluded.without_amount, lag = excluded.lag,
  first_at = excluded.first_at, last_at = excluded.last_at, buckets = excluded.buckets,
  delays = excluded.delays
"""

ADD_HAPPENED = """
INSERT INTO summary_happened (metric_id, day, devices) VALUES (?, ?, ?)
ON CONFLICT (metric_id, day) DO UPDATE SET devices = summary_happened.devices + excluded.devices
"""

MOVE_METRICS = "UPDATE metric SET watermark = ? WHERE watermark = ? AND place IS NOT NULL"

MOVE_EXPOSURES = "UPDATE summary SET exposure_watermark = ? WHERE exposure_watermark = ?"

# What the worker judges by is read for all experiments together, in a few statements.
DAYS = """
SELECT phase.experiment_id, phase.number, variant.place, summary_day.day, summary_day.devices, summary_day.exposed,
  summary_day.showed_other
FROM summary_day
JOIN phase ON phase.id = summary_day.phase_id
JOIN variant ON variant.id = summary_day.variant_id
ORDER BY summary_day.day, phase.number
"""

METRIC_DAYS = """
SELECT metric_id, phase.number, variant.place, day,
  converters, total, squares, events, without_amount, lag, first_at, last_at, buckets, delays
FROM summary_metric
JOIN phase ON phase.id = summary_metric.phase_id
JOIN variant ON variant.id = summary_metric.variant_id
ORDER BY day
"""

UNCOVERED = """
SELECT phase.experiment_id, phase.number, summary_variant.devices
FROM variant
JOIN summary_variant ON summary_variant.variant_id = variant.id
JOIN phase ON phase.id = summary_variant.phase_id
WHERE variant.place < 0
"""

HAPPENED = "SELECT metric_id, day, devices FROM summary_happened ORDER BY day"

METRIC_IDS = "SELECT experiment_id, id FROM metric WHERE place IS NOT NULL ORDER BY place"

ENDED = """
SELECT experiment_id, min(at) FROM status_change WHERE status IN ('finished', 'archived') GROUP BY experiment_id
"""

REFUSED = """
SELECT key, duplicate_events, shortened_devices, unknown_device_events, unknown_experiment_events FROM app
"""

SET_RESULT = """
INSERT INTO summary_result (experiment_id, document) VALUES (?, ?)
ON CONFLICT (experiment_id) DO UPDATE SET document = excluded.document
"""

SMALLEST, LARGEST = -(2**63), 2**63 - 1


def fold(connection: Connection, most: int) -> tuple[int, int]:
    """Fold at most this many events after the lowest watermark; returns how many were folded and how many are left.

    A metric that was added later begins with the first event; until it has caught up, only its watermark moves.
    """
    newest = last_event(connection)
    watermarks: list[int] = [watermark for (watermark,) in connection.execute(WATERMARKS)]
    low, *higher = watermarks
    upto = min(newest, low + most, *higher[:1])
    if upto > low:
        _fold_exposures(connection, low, upto)
        _fold_metrics(connection, low, upto)
        connection.execute(MOVE_METRICS, (upto, low))
        connection.execute(MOVE_EXPOSURES, (upto, low))
    return upto - low, newest - upto


def metrics(connection: Connection) -> dict[int, Metric]:
    """Every metric by its id, removed ones included."""
    return {
        id: Metric(kind, event, window, bool(less)) for id, kind, event, window, less in connection.execute(METRICS)
    }


def folded_events(
    connection: Connection, after: int, upto: int, since: int = 0
) -> Iterator[tuple[int, int, Occurrence]]:
    """The folded events of devices with after < id <= upto, as (metric id, event id, what happened).

    `since`: only events with a higher id.
    """
    for metric, event, *occurrence in connection.execute(FOLDED_EVENTS, (after, upto, since)):
        yield metric, event, Occurrence(*occurrence)


def folded_exposures(connection: Connection, after: int, upto: int, since: int = 0) -> list[Showing]:
    """The folded exposures of devices with after < id <= upto, only from events with an id above `since`."""
    return _first(_showing(*row) for row in connection.execute(FOLDED_EXPOSURES, (after, upto, since)))


def sums(*columns: Any) -> Sums:
    """The sums in a row. Raises ValueError or TypeError when the row is damaged."""
    converters, total, squares, *others, buckets, delays = columns
    return Sums(*(converters, int(total), int(squares), *others, load_buckets(buckets), load_delays(delays)))


def measured(connection: Connection) -> list[Measured]:
    """The figures of every experiment and holdout of every app."""
    refused = rows.grouped(connection.execute(REFUSED))
    ended = dict(connection.execute(ENDED).fetchall())
    days, uncovered, metrics, metric_days, happened = [
        rows.grouped(connection.execute(statement))
        for statement in (DAYS, UNCOVERED, METRIC_IDS, METRIC_DAYS, HAPPENED)
    ]
    found = []
    for app in cataloguing.apps(connection):
        ((duplicates, shortened, devices, experiments),) = refused[app.key]
        for kind in (Kind.EXPERIMENT, Kind.HOLDOUT):
            found += [
                Measured(
                    experiment=each,
                    days=tuple(DayFigures(*row) for row in days[each.id]),
                    uncovered=dict(uncovered[each.id]),
                    metrics=tuple(tuple(_figures(metric_days[metric])) for (metric,) in metrics[each.id]),
                    happened=tuple(tuple(happened[metric]) for (metric,) in metrics[each.id]),
                    ended_at=ended.get(each.id),
                    duplicate_events=duplicates,
                    unknown_device_events=devices,
                    unknown_experiment_events=experiments,
                    shortened_devices=shortened,
                )
                for each in cataloguing.experiments(connection, app.key, kind)
            ]
    return found


def conclude(connection: Connection, documents: Iterable[tuple[int, str]]) -> None:
    """Keep the results of experiments, as (experiment id, JSON document)."""
    connection.executemany(SET_RESULT, documents)


def add(connection: Connection, tally: Tally, sign: int) -> None:
    """Add what a tally counted to the summary, or subtract it."""
    for cell, more in tally.cells.items():
        found = connection.execute(SUMS, cell).fetchone()
        connection.execute(SET_SUMS, (*cell, *_row(sums(*found) if found else None, more, sign)))
    connection.executemany(ADD_HAPPENED, [(*key, sign * devices) for key, devices in tally.happened.items()])


def add_exposures(connection: Connection, told: Iterable[Showing], sign: int) -> None:
    """Add exposures to the summary, or subtract them."""
    connection.executemany(
        ADD_EXPOSURES,
        [(each.phase, each.variant, each.day, sign * each.own, sign * (not each.own)) for each in told],
    )


def _figures(found: Iterable[Any]) -> Iterator[MetricFigures]:
    for phase, place, day, *columns in found:
        yield MetricFigures(phase, place, day, sums(*columns))


def _fold_exposures(connection: Connection, low: int, upto: int) -> None:
    if connection.execute("SELECT exposure_watermark FROM summary").fetchone() != (low,):
        return
    told = list[Showing]()
    for showed_other, showed_own, *columns in connection.execute(NEW_EXPOSURES, (low, upto)):
        each = _showing(*columns)
        if (showed_own if each.own else showed_other) is None:
            told.append(each)
    first = _first(told)
    rows.insert(connection, ADD_EXPOSED, [(each.experiment, each.device, each.own) for each in first])
    add_exposures(connection, first, 1)


def _showing(*columns: Any) -> Showing:
    *others, type, own, shown = columns
    return Showing(*(*others, shown is None or same(Type(type), shown, own)))


def _first(told: Iterable[Showing]) -> list[Showing]:
    """Of ascending exposures, the first in which each device showed its own value, and the first with another one."""
    found: dict[tuple[int, int, bool], Showing] = {}
    for each in told:
        found.setdefault((each.experiment, each.device, each.own), each)
    return list(found.values())


def _fold_metrics(connection: Connection, low: int, upto: int) -> None:
    tally = Tally(metrics(connection))
    for metric, before, *occurrence in connection.execute(NEW_EVENTS, (low, upto)):
        tally.add(metric, Occurrence(*occurrence), None if before is None else int(before))
    rows.insert(connection, SET_TOTAL, [(*key, _stored(total)) for key, total in tally.totals.items()])
    add(connection, tally, 1)


def _row(before: Sums | None, more: Sums, sign: int) -> tuple[int | str, ...]:
    """A cell's columns. The times of receipt stay when events are subtracted: they say nothing about a person."""
    old = before or Sums(first_at=more.first_at, last_at=more.last_at)
    buckets = dict(old.buckets)
    add_buckets(buckets, more.buckets, sign)
    return (
        old.converters + sign * more.converters,
        str(old.total + sign * more.total),
        str(old.squares + sign * more.squares),
        old.events + sign * more.events,
        old.without_amount + sign * more.without_amount,
        old.lag + sign * more.lag,
        min(old.first_at, more.first_at),
        max(old.last_at, more.last_at),
        dump_buckets(buckets),
        dump_delays(
            {
                days: old.delays.get(days, 0) + sign * more.delays.get(days, 0)
                for days in {**old.delays, **more.delays}
            }
        ),
    )


def _stored(total: int) -> int | str:
    """An integer if it fits in 64 bits, else a text."""
    return total if SMALLEST <= total <= LARGEST else str(total)
