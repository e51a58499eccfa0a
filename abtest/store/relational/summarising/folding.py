"""Adds new devices to the figures."""

from collections import Counter

from abtest import clock
from abtest.domain import DEFAULT_APP_ID, is_open
from abtest.errors import StorageError
from abtest.store.audit import ALL_DEVICES, OUTSIDE_AUDIENCE
from abtest.store.figures import Folded
from abtest.store.relational.columns import dump_audience
from abtest.store.relational.connection import Connection
from abtest.store.relational.enrolling import config_version
from abtest.store.relational.numbers import last_device
from abtest.store.relational.summarising import measuring
from abtest.store.relational.summarising.audiences import Decided

NO_AUDIENCE = dump_audience(())

WATERMARK = "SELECT device_watermark FROM summary"

# One long text, which Python counts: for GROUP BY, SQLite would sort all these rows, and take three times as long.
NEW_VARIANTS = """
SELECT string_agg(CAST(variant_id AS TEXT), ',')
FROM assignment
WHERE device_id > ? AND device_id <= ? AND position IS NOT NULL
"""

NEW_WINNERS = """
SELECT experiment_id, count(*)
FROM assignment
WHERE device_id > ? AND device_id <= ? AND position IS NULL
GROUP BY experiment_id
"""

FINISHED = "SELECT count(*) FROM experiment WHERE status IN ('finished', 'archived') AND winner IS NOT NULL"

ADD_TO_WINNER = """
INSERT INTO summary_winner (experiment_id, devices) VALUES (?, ?)
ON CONFLICT (experiment_id) DO UPDATE SET devices = summary_winner.devices + excluded.devices
"""

ADD_TO_APP = """
INSERT INTO summary_app (app_id, devices) VALUES (?, ?)
ON CONFLICT (app_id) DO UPDATE SET devices = summary_app.devices + excluded.devices
"""

APPS = "SELECT id FROM app"

NEXT_CHANGE = """
SELECT min(after_device) FROM (
  SELECT created_after_device AS after_device FROM phase UNION ALL SELECT after_device FROM status_change
) AS change
WHERE after_device > ? AND after_device < ?
"""

AUDIENCES = """
SELECT status_change.id, app_id, status_change.status, status_change.winner, audience
FROM experiment
JOIN status_change ON status_change.id = (
  SELECT max(id) FROM status_change AS until WHERE until.experiment_id = experiment.id AND after_device <= ?
)
WHERE kind = 'experiment'
ORDER BY experiment.id
"""

NEW_PROFILES = """
SELECT string_agg(CAST(coalesce(profile_id, 0) AS TEXT), ',') FROM device WHERE id > ? AND id <= ?
"""

PHASES = """
SELECT variant.id, variant.experiment_id, phase.id, variant.place >= 0
FROM variant
JOIN phase ON phase.id = (
  SELECT max(id) FROM phase AS until
  WHERE until.experiment_id = variant.experiment_id AND created_after_device <= ?
)
WHERE variant.id >= ? AND variant.id <= ?
"""

HOURS = "SELECT min(first_seen) / ?1, max(first_seen) / ?1 FROM device WHERE id > ?2 AND id <= ?3"

# The bounds are on both tables, so that neither is read beyond them, whichever is read first.
NEW_COUNTS_PER_DAY = """
SELECT assignment.phase_id, assignment.variant_id, device.first_seen / ?1, count(*)
FROM device JOIN assignment ON assignment.device_id = device.id
WHERE device.id > ?2 AND device.id <= ?3 AND device_id > ?2 AND device_id <= ?3 AND position IS NOT NULL
  AND assignment.variant_id NOT IN (SELECT id FROM variant WHERE place < 0)
GROUP BY 1, 2, 3
"""

NEW_COUNTS_PER_HOUR = """
SELECT assignment.experiment_id, device.first_seen / ?1, count(*)
FROM device JOIN assignment ON assignment.device_id = device.id
WHERE device.id > ?2 AND device.id <= ?3 AND device_id > ?2 AND device_id <= ?3 AND position IS NOT NULL
  AND assignment.variant_id NOT IN (SELECT id FROM variant WHERE place < 0)
GROUP BY 1, 2
"""

ADD_TO_VARIANT = """
INSERT INTO summary_variant (phase_id, variant_id, devices) VALUES (?, ?, ?)
ON CONFLICT (phase_id, variant_id) DO UPDATE SET devices = summary_variant.devices + excluded.devices
"""

ADD_TO_OUTSIDE = """
INSERT INTO summary_outside (status_change_id, place, devices) VALUES (?, ?, ?)
ON CONFLICT (status_change_id, place) DO UPDATE SET devices = summary_outside.devices + excluded.devices
"""

ADD_TO_HOUR = """
INSERT INTO summary_hour (experiment_id, hour, devices) VALUES (?, ?, ?)
ON CONFLICT (experiment_id, hour) DO UPDATE SET devices = summary_hour.devices + excluded.devices
"""

MOVE = "UPDATE summary SET device_watermark = ?, as_of = ?"


def fold(connection: Connection, decided: Decided, most: int, now: int) -> Folded:
    """Fold at most so many devices after the watermark, and move it; then as many events, once no device is left.

    Raises StorageError when more devices are counted than there ever were.
    """
    (watermark,) = connection.execute(WATERMARK).fetchone()
    newest = last_device(connection)
    if watermark > newest:
        raise StorageError(f"{watermark} devices are counted, but {newest} were seen; see what 'abtest verify' says")
    last = min(newest, watermark + most)
    (changed,) = connection.execute(NEXT_CHANGE, (watermark, last)).fetchone()
    last = changed or last  # so that a chunk knows one phase and one status of each experiment
    if last > watermark:
        _fold(connection, watermark, last)
        _fold_profiles(connection, decided, watermark, last)
    connection.execute(MOVE, (last, now))
    events, left = measuring.fold(connection, most) if last == newest else (0, newest - last)
    return Folded(last - watermark, events, left, config_version(connection))


def _fold(connection: Connection, after: int, upto: int) -> None:
    counts = _new_counts(connection, after, upto)
    connection.executemany(ADD_TO_VARIANT, [(phase, variant, devices) for _, phase, _, variant, devices in counts])
    if connection.execute(FINISHED).fetchone() != (0,):  # otherwise no device got a winner
        connection.executemany(ADD_TO_WINNER, connection.execute(NEW_WINNERS, (after, upto)).fetchall())
    first, last = connection.execute(HOURS, (clock.HOUR, after, upto)).fetchone()
    if first == last:  # nearly always: then the devices need not be read again with their assignments
        day = first * clock.HOUR // clock.DAY
        covered = [each for each in counts if each[2]]
        per_hour = [(experiment, first, devices) for experiment, *_, devices in covered]
        per_day = [(phase, variant, day, devices) for _, phase, _, variant, devices in covered]
    else:
        per_hour = connection.execute(NEW_COUNTS_PER_HOUR, (clock.HOUR, after, upto)).fetchall()
        per_day = connection.execute(NEW_COUNTS_PER_DAY, (clock.DAY, after, upto)).fetchall()
    connection.executemany(ADD_TO_HOUR, per_hour)
    connection.executemany(measuring.ADD_DEVICES, per_day)


def _fold_profiles(connection: Connection, decided: Decided, after: int, upto: int) -> None:
    """Count the devices of each app and, for each open experiment, all of them and those outside its audience.

    No status begins among these devices.
    """
    asked = [
        (status_change, app, audience)
        for status_change, app, status, winner, audience in connection.execute(AUDIENCES, (after,))
        if is_open(status, winner)
    ]
    alone = connection.execute(APPS).fetchall() == [(DEFAULT_APP_ID,)]
    if alone and all(audience == NO_AUDIENCE for *_, audience in asked):
        connection.execute(ADD_TO_APP, (DEFAULT_APP_ID, upto - after))
        everybody = [(status_change, ALL_DEVICES, upto - after) for status_change, *_ in asked]
        connection.executemany(ADD_TO_OUTSIDE, everybody)
        return
    (profiles,) = connection.execute(NEW_PROFILES, (after, upto)).fetchone()
    audiences = tuple((app, audience) for _, app, audience in asked)
    of_app: Counter[int] = Counter()
    outside: Counter[tuple[int, int]] = Counter()
    for (app, failed), devices in decided.count(connection, audiences, Counter(profiles.split(","))):
        of_app[app] += devices
        for (status_change, of, _), places in zip(asked, failed, strict=True):
            if of == app:
                outside[status_change, ALL_DEVICES] += devices
                for place in (OUTSIDE_AUDIENCE, *places) if places else ():
                    outside[status_change, place] += devices
    connection.executemany(ADD_TO_APP, of_app.items())
    connection.executemany(ADD_TO_OUTSIDE, [(*where, count) for where, count in outside.items()])


def _new_counts(connection: Connection, after: int, upto: int) -> list[tuple[int, int, bool, int, int]]:
    """For each variant drawn: experiment, phase, whether it is inside the coverage, variant, and number of devices.

    No phase begins among these devices.
    """
    (variants,) = connection.execute(NEW_VARIANTS, (after, upto)).fetchone()
    found = Counter(variants.split(",")) if variants else {}
    counts = {int(variant): devices for variant, devices in found.items()}
    phases = connection.execute(PHASES, (after, min(counts), max(counts))).fetchall() if counts else ()
    return [
        (experiment, phase, bool(covered), variant, counts[variant])
        for variant, experiment, phase, covered in phases
        if variant in counts
    ]
