"""The summary in SQLite: functions on a raw connection, run inside one transaction each."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence

from abtest import clock
from abtest.domain import KEY, Experiment, is_open
from abtest.errors import StorageError, UnknownExperiment
from abtest.store.figures import AudienceCounts, Folded, Summary
from abtest.store.sqlite import cataloguing, measuring
from abtest.store.sqlite.columns import load_audience
from abtest.store.sqlite.driver import Raw
from abtest.store.sqlite.enrolling import config_version, last_device
from abtest.store.sqlite.profiles import load_attributes

ALL = -1
"""The place of all conditions together."""

SUMMARY = "SELECT device_watermark, as_of FROM summary"

COUNTS = """
SELECT phase.experiment_id, phase.number, variant.place, summary_variant.devices
FROM summary_variant
JOIN phase ON phase.id = summary_variant.phase_id
JOIN variant ON variant.id = summary_variant.variant_id
"""

# Devices are numbered without gaps, so none need be read to count those that came while an experiment had a status.
PERIODS = """
SELECT id, experiment_id, status, winner, min(ended_after, ?1) - min(after_device, ?1)
FROM (
  SELECT id, experiment_id, status, winner, after_device,
    lead(after_device, 1, ?1) OVER (PARTITION BY experiment_id ORDER BY id) AS ended_after
  FROM status_change
)
"""

OUTSIDE = "SELECT status_change_id, place, devices FROM summary_outside"

PER_HOUR = "SELECT hour, devices FROM summary_hour WHERE experiment_id = ? ORDER BY hour"

# One long text that is counted outside: GROUP BY would sort all these rows first, and take three times as long.
NEW_VARIANTS = """
SELECT group_concat(variant_id)
FROM assignment
WHERE device_id > ? AND device_id <= ? AND position IS NOT NULL
"""

NEXT_CHANGE = """
SELECT min(after_device) FROM (
  SELECT created_after_device AS after_device FROM phase UNION ALL SELECT after_device FROM status_change
)
WHERE after_device > ? AND after_device < ?
"""

# Beside max(), SQLite takes the other columns from the row with the maximum.
AUDIENCES = """
SELECT max(status_change.id), status_change.status, status_change.winner, audience
FROM experiment JOIN status_change ON status_change.experiment_id = experiment.id
WHERE audience != '[]' AND after_device <= ?
GROUP BY experiment.id
"""

NEW_PROFILES = "SELECT group_concat(ifnull(profile_id, 0)) FROM device WHERE id > ? AND id <= ?"

PROFILES = "SELECT profile.id, attributes FROM json_each(?) AS asked JOIN profile ON profile.id = asked.value"

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
SELECT document FROM experiment LEFT JOIN summary_result ON summary_result.experiment_id = experiment.id WHERE key = ?
"""

RESULTS = "SELECT experiment_id, document FROM summary_result"

RESTORED = "SELECT name, value FROM meta WHERE name IN ('restored_at', 'restored_to')"

MOVE = "UPDATE summary SET device_watermark = ?, as_of = ?"


def fold(connection: Raw, most: int, now: int) -> Folded:
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
        _fold_outside(connection, watermark, last)
    connection.execute(MOVE, (last, now))
    events, left = measuring.fold(connection, most) if last == newest else (0, newest - last)
    return Folded(last - watermark, events, left, config_version(connection))


def _fold(connection: Raw, after: int, upto: int) -> None:
    counts = _new_counts(connection, after, upto)
    connection.executemany(ADD_TO_VARIANT, [(phase, variant, devices) for _, phase, _, variant, devices in counts])
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


def _fold_outside(connection: Raw, after: int, upto: int) -> None:
    """Count the devices outside each audience. No status begins among them."""
    audiences = [
        (status_change, load_audience(audience))
        for status_change, status, winner, audience in connection.execute(AUDIENCES, (after,))
        if is_open(status, winner)
    ]
    if not audiences:
        return
    (profiles,) = connection.execute(NEW_PROFILES, (after, upto)).fetchone()
    devices = Counter(map(int, profiles.split(",")))
    rows = connection.execute(PROFILES, (json.dumps(list(devices)),))
    kept = {id: dict(load_attributes(attributes).pairs) for id, attributes in rows}
    alike: dict[tuple[str, ...], Counter[tuple[str | None, ...]]] = {}
    outside: Counter[tuple[int, int]] = Counter()
    for status_change, conditions in audiences:
        names = tuple(each.attribute for each in conditions)
        if names not in alike:  # many audiences ask for the same attributes, and these have few values
            alike[names] = Counter()
            for profile, count in devices.items():
                said = kept.get(profile, {})
                alike[names][tuple(map(said.get, names))] += count
        for texts, count in alike[names].items():
            if places := [place for place, each in enumerate(conditions) if not each.is_fulfilled(texts[place])]:
                for place in (ALL, *places):
                    outside[status_change, place] += count
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


def summary(connection: Raw) -> Summary:
    """All figures, with the experiments as they stand."""
    watermark, as_of = connection.execute(SUMMARY).fetchone()
    experiments = cataloguing.experiments(connection)
    counts: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    for experiment_id, phase, place, devices in connection.execute(COUNTS):
        counts[experiment_id, phase][place] = devices
    winners, audiences = _periods(connection, experiments, watermark)
    restored = dict(connection.execute(RESTORED).fetchall())
    return Summary(
        restored_at=restored.get("restored_at"),
        restored_to=restored.get("restored_to"),
        as_of=as_of,
        devices=watermark,
        experiments=tuple(experiments),
        counts={
            (experiment.id, phase.number): tuple(
                counts[experiment.id, phase.number].get(place, 0) for place in range(len(experiment.values))
            )
            for experiment in experiments
            for phase in experiment.phases
        },
        uncovered={where: each[-1] for where, each in counts.items() if -1 in each},
        winners=winners,
        audiences=audiences,
    )


def _periods(
    connection: Raw, experiments: Sequence[Experiment], watermark: int
) -> tuple[dict[int, int], dict[int, AudienceCounts]]:
    """How many devices got the winner, and who was outside the audience, of the experiments with one."""
    winners: dict[int, int] = {}
    periods: dict[int, list[tuple[int, int]]] = defaultdict(list)
    outside = Counter({(status_change, place): count for status_change, place, count in connection.execute(OUTSIDE)})
    for id, experiment, status, winner, devices in connection.execute(PERIODS, (watermark,)):
        if is_open(status, winner):
            if winner is None:
                periods[experiment].append((id, devices))
            else:
                winners[experiment] = devices - outside[id, ALL]
    audiences = {
        each.id: AudienceCounts(
            devices=sum(devices for _, devices in periods[each.id]),
            outside=sum(outside[id, ALL] for id, _ in periods[each.id]),
            failed=tuple(
                sum(outside[id, place] for id, _ in periods[each.id]) for place in range(len(each.audience))
            ),
        )
        for each in experiments
        if each.audience
    }
    return winners, audiences


def enrolled_per_hour(connection: Raw, experiment_id: int) -> list[tuple[int, int]]:
    """Hours with the devices enrolled in them."""
    return [(hour, devices) for hour, devices in connection.execute(PER_HOUR, (experiment_id,))]


def result(connection: Raw, key: str) -> str | None:
    """What the worker concluded of an experiment. Raises UnknownExperiment."""
    found = connection.execute(RESULT, (key,)).fetchone() if KEY.fullmatch(key) else None
    if found is None:
        raise UnknownExperiment(key)
    (document,) = found
    return None if document is None else str(document)


def results(connection: Raw) -> dict[int, str]:
    """What the worker concluded of every experiment, by its id."""
    return dict(connection.execute(RESULTS).fetchall())
