"""Reading back every decision from SQLite: functions on a raw connection, run inside one transaction each.

Whoever audits must not stumble over what is damaged: what can't be read is given as empty.
"""

import json
from array import array
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from abtest import allocation
from abtest.domain import (
    DEFAULT_APP,
    NO_ATTRIBUTES,
    Attributes,
    Audience,
    Metric,
    Sums,
    read_attributes,
    scoped,
)
from abtest.errors import InvalidExperiment, UnknownDevice
from abtest.store.audit import (
    AssignmentRecord,
    Chunk,
    DeviceRecord,
    EventChunk,
    EventLedger,
    ExperimentRecord,
    Ledger,
    MetricRecord,
    PhaseRecord,
    StatusRecord,
    TestValueRecord,
)
from abtest.store.relational import cataloguing, summarising
from abtest.store.relational.columns import load_audience, load_weights
from abtest.store.relational.enrolling import load_attributes
from abtest.store.relational.numbers import last_device, last_event
from abtest.store.sqlite.driver import Raw

DEVICE_ROWS = "SELECT count(*) FROM device"

STRANGERS = """
SELECT (SELECT count(*) FROM device WHERE id < 1) + (SELECT count(*) FROM device WHERE id > ?1)
  + (SELECT count(*) FROM assignment WHERE device_id < 1) + (SELECT count(*) FROM assignment WHERE device_id > ?1)
"""

TOKENS = """
SELECT device_id, CASE instr(token, ' ') WHEN 0 THEN 1 ELSE CAST(token AS INTEGER) END FROM device_token
"""

WITHOUT_PROFILE = """
SELECT count(*) FROM device
WHERE profile_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM profile WHERE profile.id = device.profile_id)
"""

PROFILES = "SELECT id, app_id, attributes FROM profile"

WATERMARK = "SELECT device_watermark FROM summary"

COUNTED = "SELECT phase_id, variant_id, devices FROM summary_variant"

HOURLY = "SELECT experiment_id, hour, devices FROM summary_hour"

OUTSIDE = "SELECT status_change_id, place, devices FROM summary_outside"

WINNERS = "SELECT experiment_id, devices FROM summary_winner"

OF_APPS = "SELECT app_id, devices FROM summary_app"

DAILY = "SELECT phase_id, variant_id, day, devices FROM summary_day"

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
SELECT metric_device.metric_id, device_id, total
FROM metric CROSS JOIN metric_device ON metric_device.metric_id = metric.id
WHERE device_id > ? AND device_id <= ?
"""

EXPOSED = """
SELECT exposed.experiment_id, device_id, own
FROM experiment CROSS JOIN exposed ON exposed.experiment_id = experiment.id
WHERE device_id > ? AND device_id <= ?
"""

NAMES = """
SELECT experiment.id, CASE (SELECT count(*) FROM app) WHEN 1 THEN experiment.key
  ELSE ifnull(app.key, app_id) || '/' || experiment.key END
FROM experiment LEFT JOIN app ON app.id = app_id
"""

EXPERIMENTS = """
SELECT id, app_id, kind, key, status, winner, seed, algorithm, created_after_device, audience
FROM experiment ORDER BY id
"""

VARIANTS = "SELECT id, value, place FROM variant WHERE experiment_id = ? ORDER BY place"

APP_ROWS = "SELECT id, key, profiles FROM app"

# CAST takes the number that the token begins with.
STRANGE_TEST_DEVICES = """
SELECT count(*) FROM test_device WHERE iif(instr(token, ' '), CAST(token AS INTEGER), 1) != app_id
"""

NUMBERS = "SELECT name FROM meta"

NEEDED = ("boots", "config_version", "erasures")

TEST_VALUES = """
SELECT test_device_id, iif(instr(token, ' '), CAST(token AS INTEGER), 1), experiment_id, variant_id
FROM test_device CROSS JOIN test_value ON test_device_id = test_device.id
"""

PHASES = """
SELECT id, number, weights, coverage, stop_at, created_after_device, next_position, block_counts
FROM phase WHERE experiment_id = ? ORDER BY number
"""

STATUSES = "SELECT id, status, winner, after_device FROM status_change WHERE experiment_id = ? ORDER BY id"

DEVICES = "SELECT id, first_seen, profile_id FROM device WHERE id > ? AND id <= ? ORDER BY id"

ASSIGNMENTS = """
SELECT device_id, experiment_id, phase_id, variant_id, position
FROM assignment WHERE device_id > ? AND device_id <= ? ORDER BY device_id, experiment_id
"""

DEVICE = """
SELECT device.id, device.first_seen, ifnull(profile.attributes, '{}')
FROM device_token JOIN device ON device.id = device_id LEFT JOIN profile ON profile.id = device.profile_id
WHERE token = ?
"""

MANY = 255


def ledger(connection: Raw) -> Ledger:
    """What the assignments must agree with."""
    (devices,) = connection.execute(DEVICE_ROWS).fetchone()
    last = last_device(connection)
    (strangers,) = connection.execute(STRANGERS, (last,)).fetchone()
    tokens, token_apps, strange_tokens = _tokens(connection, last)
    (watermark,) = connection.execute(WATERMARK).fetchone() or (None,)
    (without_profile,) = connection.execute(WITHOUT_PROFILE).fetchone()
    profiles = connection.execute(PROFILES).fetchall()
    (strange_test_devices,) = connection.execute(STRANGE_TEST_DEVICES).fetchone()
    return Ledger(
        devices=devices,
        last_device=last,
        strangers=strangers + strange_tokens,
        tokens=tokens,
        token_apps=token_apps,
        without_profile=without_profile,
        profiles={id: _attributes(text) for id, _, text in profiles},
        apps={id: app for id, app, _ in profiles},
        app_rows={id: (key, kept) for id, key, kept in connection.execute(APP_ROWS)},
        strange_test_devices=strange_test_devices,
        missing=tuple(name for name in NEEDED if (name,) not in connection.execute(NUMBERS).fetchall()),
        experiments=experiment_records(connection),
        test_values=tuple(TestValueRecord(*row) for row in connection.execute(TEST_VALUES)),
        watermark=watermark,
        counted={(phase, variant): count for phase, variant, count in connection.execute(COUNTED)},
        hourly={(experiment, hour): count for experiment, hour, count in connection.execute(HOURLY)},
        daily={(phase, variant, day): count for phase, variant, day, count in connection.execute(DAILY)},
        outside={(status, place): count for status, place, count in connection.execute(OUTSIDE)},
        winners=dict(connection.execute(WINNERS).fetchall()),
        of_apps=dict(connection.execute(OF_APPS).fetchall()),
    )


def experiment_records(connection: Raw) -> tuple[ExperimentRecord, ...]:
    """Every experiment with all that ever decided for a device; no device is looked at."""
    names = _names(connection)
    return tuple(_experiment(connection, names, *row) for row in connection.execute(EXPERIMENTS).fetchall())


def chunk(connection: Raw, after: int, upto: int) -> Chunk:
    """The devices with after < id <= upto, and their assignments."""
    return Chunk(
        after=after,
        upto=upto,
        devices=connection.execute(DEVICES, (after, upto)).fetchall(),
        assignments=connection.execute(ASSIGNMENTS, (after, upto)).fetchall(),
    )


def event_ledger(connection: Raw) -> EventLedger:
    """What the events must agree with."""
    last, names = last_device(connection), _names(connection)
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


def event_chunk(connection: Raw, after: int, upto: int) -> EventChunk:
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


def device(connection: Raw, token: str, app: str = DEFAULT_APP) -> DeviceRecord:
    """The device of an app with this token. Raises UnknownApp or UnknownDevice."""
    number = cataloguing.app_id(connection, app)
    found = connection.execute(DEVICE, (scoped(number, token),)).fetchone()
    if found is None:
        raise UnknownDevice("no device has asked with this token")
    id, first_seen, attributes = found
    rows = connection.execute(ASSIGNMENTS, (id - 1, id))
    said = _attributes(attributes) or NO_ATTRIBUTES
    return DeviceRecord(id, number, first_seen, said, tuple(AssignmentRecord(*row[1:]) for row in rows))


def _tokens(connection: Raw, last: int) -> tuple[bytes, Sequence[int], int]:
    """See Ledger.tokens and Ledger.token_apps; and how many tokens are of devices that never were."""
    found, apps, strange = bytearray(last), array("q", bytes(8 * last)), 0
    for device, app in connection.execute(TOKENS):
        if 0 < device <= last:
            found[device - 1] = min(found[device - 1] + 1, MANY)
            apps[device - 1] = app
        else:
            strange += 1
    return bytes(found), apps, strange


def _names(connection: Raw) -> dict[int, str]:
    """See ExperimentRecord.name."""
    return dict(connection.execute(NAMES).fetchall())


def _experiment(
    connection: Raw,
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


def _erasures(connection: Raw) -> int:
    (erasures,) = connection.execute(ERASURES).fetchone() or (0,)
    return int(erasures)


def _sums(*columns: Any) -> Sums:
    try:
        return summarising.sums(*columns)
    except (ValueError, TypeError):
        return Sums()


def _whole(text: int | str) -> int | None:
    """A total; None when what is stored is no number."""
    try:
        return int(text)
    except ValueError:
        return None


def _attributes(text: str) -> Attributes | None:
    """As they are kept; None when the text is damaged, or not what a device can have."""
    try:
        attributes = load_attributes(text)
    except (ValueError, TypeError, AttributeError):
        return None
    return attributes if read_attributes(attributes.pairs) == attributes else None


def _audience(text: str) -> Audience | None:
    try:
        return load_audience(text)
    except (ValueError, TypeError, InvalidExperiment):
        return None


def _weights(text: str, coverage: str) -> tuple[allocation.Weights, int | None]:
    """What positions are drawn from, and the place of devices outside."""
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
