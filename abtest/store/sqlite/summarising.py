"""The summary in SQLite: functions on a raw connection, run inside one transaction each."""

from collections import Counter, defaultdict

from abtest import clock
from abtest.domain import DEFAULT_APP, DEFAULT_APP_ID, KEY, Kind, is_open
from abtest.errors import StorageError, UnknownExperiment
from abtest.store.audit import ALL_DEVICES, OUTSIDE_AUDIENCE
from abtest.store.figures import AudienceCounts, Folded, NewDevices, Summary
from abtest.store.relational import cataloguing
from abtest.store.relational.columns import dump_audience
from abtest.store.relational.enrolling import config_version
from abtest.store.relational.numbers import last_device
from abtest.store.sqlite import measuring
from abtest.store.sqlite.audiences import Decided
from abtest.store.sqlite.driver import Raw

NO_AUDIENCE = dump_audience(())

SUMMARY = "SELECT device_watermark, as_of FROM summary"

DEVICES = "SELECT ifnull((SELECT devices FROM summary_app WHERE app_id = ?), 0)"

COUNTS = """
SELECT phase.experiment_id, phase.number, variant.place, summary_variant.devices
FROM experiment
CROSS JOIN phase ON phase.experiment_id = experiment.id
CROSS JOIN summary_variant ON summary_variant.phase_id = phase.id
CROSS JOIN variant ON variant.id = summary_variant.variant_id
WHERE experiment.app_id = ? AND experiment.kind = ?
"""

WINNERS = "SELECT experiment_id, devices FROM summary_winner"

OUTSIDE = """
SELECT status_change.experiment_id, place, sum(devices), sum(iif(status_change.status = 'running', devices, 0))
FROM summary_outside JOIN status_change ON status_change.id = status_change_id
WHERE status_change.winner IS NULL
GROUP BY 1, 2
"""

PER_HOUR = "SELECT hour, devices FROM summary_hour WHERE experiment_id = ? ORDER BY hour"

# One long text that is counted outside: GROUP BY would sort all these rows first, and take three times as long.
NEW_VARIANTS = """
SELECT group_concat(variant_id)
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
ON CONFLICT (experiment_id) DO UPDATE SET devices = devices + excluded.devices
"""

ADD_TO_APP = """
INSERT INTO summary_app (app_id, devices) VALUES (?, ?)
ON CONFLICT (app_id) DO UPDATE SET devices = devices + excluded.devices
"""

APPS = "SELECT id FROM app"

NEXT_CHANGE = """
SELECT min(after_device) FROM (
  SELECT created_after_device AS after_device FROM phase UNION ALL SELECT after_device FROM status_change
)
WHERE after_device > ? AND after_device < ?
"""

# Beside max(), SQLite takes the other columns from the row with the maximum.
AUDIENCES = """
SELECT max(status_change.id), app_id, status_change.status, status_change.winner, audience
FROM experiment JOIN status_change ON status_change.experiment_id = experiment.id
WHERE kind = 'experiment' AND after_device <= ?
GROUP BY experiment.id
"""

NEW_PROFILES = "SELECT group_concat(ifnull(profile_id, 0)) FROM device WHERE id > ? AND id <= ?"

PHASE = """
SELECT phase.experiment_id, max(phase.id), variant.place >= 0
FROM variant JOIN phase ON phase.experiment_id = variant.experiment_id
WHERE variant.id = ? AND phase.created_after_device <= ?
"""

HOURS = "SELECT min(first_seen) / ?1, max(first_seen) / ?1 FROM device WHERE id > ?2 AND id <= ?3"

NEW_COUNTS_PER_DAY = """
SELECT assignment.phase_id, assignment.variant_id, device.first_seen / ?1, count(*)
FROM device CROSS JOIN assignment ON assignment.device_id = device.id
WHERE device.id > ?2 AND device.id <= ?3 AND assignment.position IS NOT NULL
  AND assignment.variant_id NOT IN (SELECT id FROM variant WHERE place < 0)
GROUP BY 1, 2, 3
"""

NEW_COUNTS_PER_HOUR = """
SELECT assignment.experiment_id, device.first_seen / ?1, count(*)
FROM device CROSS JOIN assignment ON assignment.device_id = device.id
WHERE device.id > ?2 AND device.id <= ?3 AND assignment.position IS NOT NULL
  AND assignment.variant_id NOT IN (SELECT id FROM variant WHERE place < 0)
GROUP BY 1, 2
"""

ADD_TO_VARIANT = """
INSERT INTO summary_variant (phase_id, variant_id, devices) VALUES (?, ?, ?)
ON CONFLICT (phase_id, variant_id) DO UPDATE SET devices = devices + excluded.devices
"""

ADD_TO_OUTSIDE = """
INSERT INTO summary_outside (status_change_id, place, devices) VALUES (?, ?, ?)
ON CONFLICT (status_change_id, place) DO UPDATE SET devices = devices + excluded.devices
"""

ADD_TO_HOUR = """
INSERT INTO summary_hour (experiment_id, hour, devices) VALUES (?, ?, ?)
ON CONFLICT (experiment_id, hour) DO UPDATE SET devices = devices + excluded.devices
"""

RESULT = """
SELECT document FROM experiment LEFT JOIN summary_result ON summary_result.experiment_id = experiment.id
WHERE key = ? AND app_id = ? AND kind = ?
"""

RESULTS = "SELECT experiment_id, document FROM summary_result"

RESTORED = "SELECT name, value FROM meta WHERE name IN ('restored_at', 'restored_to')"

MOVE = "UPDATE summary SET device_watermark = ?, as_of = ?"


def fold(connection: Raw, decided: Decided, most: int, now: int) -> Folded:
    """Fold at most so many devices after the watermark, and move it; then as many events, once no device is left.

    Raises StorageError when more are counted than there ever were.
    """
    watermark, _ = connection.execute(SUMMARY).fetchone()
    newest = last_device(connection)
    if watermark > newest:
        raise StorageError(f"{watermark} devices are counted and {newest} were seen; see what 'abtest verify' says")
    last = min(newest, watermark + most)
    (changed,) = connection.execute(NEXT_CHANGE, (watermark, last)).fetchone()
    last = changed or last  # so that a chunk knows one phase and one status of each experiment
    if last > watermark:
        _fold(connection, watermark, last)
        _fold_profiles(connection, decided, watermark, last)
    connection.execute(MOVE, (last, now))
    events, left = measuring.fold(connection, most) if last == newest else (0, newest - last)
    return Folded(last - watermark, events, left, config_version(connection))


def _fold(connection: Raw, after: int, upto: int) -> None:
    counts = _new_counts(connection, after, upto)
    connection.executemany(ADD_TO_VARIANT, [(phase, variant, devices) for _, phase, _, variant, devices in counts])
    if connection.execute(FINISHED).fetchone() != (0,):  # else there is nobody to look for
        connection.executemany(ADD_TO_WINNER, connection.execute(NEW_WINNERS, (after, upto)).fetchall())
    first, last = connection.execute(HOURS, (clock.HOUR, after, upto)).fetchone()
    if first == last:  # nearly always: then the devices need not be read once more beside their assignments
        day = first * clock.HOUR // clock.DAY
        covered = [each for each in counts if each[2]]
        per_hour = [(experiment, first, devices) for experiment, *_, devices in covered]
        per_day = [(phase, variant, day, devices) for _, phase, _, variant, devices in covered]
    else:
        per_hour = connection.execute(NEW_COUNTS_PER_HOUR, (clock.HOUR, after, upto)).fetchall()
        per_day = connection.execute(NEW_COUNTS_PER_DAY, (clock.DAY, after, upto)).fetchall()
    connection.executemany(ADD_TO_HOUR, per_hour)
    connection.executemany(measuring.ADD_DEVICES, per_day)


def _fold_profiles(connection: Raw, decided: Decided, after: int, upto: int) -> None:
    """Count the devices of each app, for each open experiment too, and those outside its audience.

    No status begins among them.
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


def _new_counts(connection: Raw, after: int, upto: int) -> list[tuple[int, int, bool, int, int]]:
    """Experiment, phase, whether it is covered, variant, and how many of these devices were drawn there.

    No phase begins among them.
    """
    (variants,) = connection.execute(NEW_VARIANTS, (after, upto)).fetchone()
    counts = Counter(variants.split(",")) if variants else {}
    return [
        (*connection.execute(PHASE, (int(variant), after)).fetchone(), int(variant), devices)
        for variant, devices in counts.items()
    ]


def summary(connection: Raw, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> Summary:
    """All figures of an app's experiments, groups or holdouts, with these as they stand. Raises UnknownApp."""
    (watermark, as_of), id = connection.execute(SUMMARY).fetchone(), cataloguing.app_id(connection, app)
    (devices_of_app,) = connection.execute(DEVICES, (id,)).fetchone()
    experiments = cataloguing.experiments(connection, app, kind)
    counts: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    for experiment_id, phase, place, devices in connection.execute(COUNTS, (id, kind)):
        counts[experiment_id, phase][place] = devices
    outside, while_running = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    for experiment_id, place, open_count, running_count in connection.execute(OUTSIDE):
        outside[experiment_id, place], while_running[experiment_id, place] = open_count, running_count
    restored = dict(connection.execute(RESTORED).fetchall())
    return Summary(
        restored_at=restored.get("restored_at"),
        restored_to=restored.get("restored_to"),
        as_of=as_of,
        devices=devices_of_app,
        devices_of_all=watermark,
        experiments=tuple(experiments),
        counts={
            (experiment.id, phase.number): tuple(
                counts[experiment.id, phase.number].get(place, 0) for place in range(len(phase.weights))
            )
            for experiment in experiments
            for phase in experiment.phases
        },
        uncovered={where: each[-1] for where, each in counts.items() if -1 in each},
        winners=dict(connection.execute(WINNERS).fetchall()),
        audiences={
            each.id: AudienceCounts(
                devices=outside[each.id, ALL_DEVICES],
                outside=outside[each.id, OUTSIDE_AUDIENCE],
                failed=tuple(outside[each.id, place] for place in range(len(each.audience))),
            )
            for each in experiments
            if each.audience
        },
        new_devices={
            each.id: NewDevices(while_running[each.id, ALL_DEVICES], while_running[each.id, OUTSIDE_AUDIENCE])
            for each in experiments
        },
    )


def enrolled_per_hour(connection: Raw, experiment_id: int) -> list[tuple[int, int]]:
    """Hours with the devices enrolled in them."""
    return [(hour, devices) for hour, devices in connection.execute(PER_HOUR, (experiment_id,))]


def result(connection: Raw, key: str, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> str | None:
    """What the worker concluded of an experiment or a holdout. Raises UnknownApp or UnknownExperiment."""
    asked = key, cataloguing.app_id(connection, app), kind
    found = connection.execute(RESULT, asked).fetchone() if KEY.fullmatch(key) else None
    if found is None:
        raise UnknownExperiment(key, kind)
    (document,) = found
    return None if document is None else str(document)


def results(connection: Raw) -> dict[int, str]:
    """What the worker concluded of every experiment, by its id."""
    return dict(connection.execute(RESULTS).fetchall())
