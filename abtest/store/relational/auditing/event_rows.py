"""Events, and how the worker counted them: functions on a connection, each run inside one transaction."""

from typing import Any

from abtest.domain import Metric, Sums
from abtest.store.audit import EventChunk, EventLedger, MetricRecord
from abtest.store.relational import summarising
from abtest.store.relational.auditing.experiment_rows import names_of
from abtest.store.relational.connection import Connection
from abtest.store.relational.numbers import last_device, last_event

METRICS = "SELECT id, experiment_id, kind, event, window_days, watermark FROM metric"

EXPOSURE_WATERMARK = "SELECT exposure_watermark FROM summary"

CELLS = """
SELECT metric_id, phase_id, variant_id, day,
  converters, total, squares, events, without_amount, lag, first_at, last_at, buckets, delays
FROM summary_metric
"""

HAPPENED = "SELECT metric_id, day, devices FROM summary_happened"

EXPOSED_PER_DAY = "SELECT phase_id, variant_id, day, exposed, showed_other FROM summary_day"

ERASURES = "SELECT value FROM meta WHERE name = 'erasures'"

TOTALS = """
SELECT metric_id, device_id, total FROM metric_device
WHERE metric_id IN (SELECT id FROM metric) AND device_id > ? AND device_id <= ?
"""

EXPOSED = """
SELECT experiment_id, device_id, own FROM exposed
WHERE experiment_id IN (SELECT id FROM experiment) AND device_id > ? AND device_id <= ?
"""


def event_ledger(connection: Connection) -> EventLedger:
    """What the events must agree with."""
    last, names = last_device(connection), names_of(connection)
    (exposure_watermark,) = connection.execute(EXPOSURE_WATERMARK).fetchone() or (0,)
    return EventLedger(
        last_event=last_event(connection),
        last_device=last,
        metrics={
            id: MetricRecord(names.get(of, "an unknown experiment"), Metric(kind, event, window), watermark)
            for id, of, kind, event, window, watermark in connection.execute(METRICS)
        },
        exposure_watermark=exposure_watermark,
        cells={tuple(row[:4]): _sums(*row[4:]) for row in connection.execute(CELLS)},
        happened={(metric, day): devices for metric, day, devices in connection.execute(HAPPENED)},
        exposed={
            (phase, variant, day, own): devices
            for phase, variant, day, *counts in connection.execute(EXPOSED_PER_DAY)
            for own, devices in zip((True, False), counts, strict=True)
        },
        erasures=_erasures(connection),
    )


def event_chunk(connection: Connection, after: int, upto: int) -> EventChunk:
    """What the devices with after < id <= upto did."""
    return EventChunk(
        metrics=summarising.metrics(connection),
        events=list(summarising.folded_events(connection, after, upto)),
        exposures=summarising.folded_exposures(connection, after, upto),
        totals={
            (metric, device): _whole(total) for metric, device, total in connection.execute(TOTALS, (after, upto))
        },
        exposed=frozenset(
            (experiment, device, bool(own)) for experiment, device, own in connection.execute(EXPOSED, (after, upto))
        ),
        erasures=_erasures(connection),
    )


def _erasures(connection: Connection) -> int:
    (erasures,) = connection.execute(ERASURES).fetchone() or (0,)
    return int(erasures)


def _sums(*columns: Any) -> Sums:
    try:
        return summarising.sums(*columns)
    except (ValueError, TypeError):
        return Sums()


def _whole(text: int | str) -> int | None:
    """A total; None when what is stored is not a number."""
    try:
        return int(text)
    except ValueError:
        return None
