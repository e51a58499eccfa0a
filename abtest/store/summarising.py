"""The summary in SQLite: functions on a raw connection, run inside one transaction each."""

from collections import defaultdict

from abtest import clock
from abtest.store import cataloguing
from abtest.store.base import Summary
from abtest.store.driver import Raw

SUMMARY = "SELECT device_watermark, as_of FROM summary"

COUNTS = """
SELECT phase.experiment_id, phase.number, variant.place, summary_variant.devices
FROM summary_variant
JOIN phase ON phase.id = summary_variant.phase_id
JOIN variant ON variant.id = summary_variant.variant_id
"""

PER_HOUR = "SELECT hour, devices FROM summary_hour WHERE experiment_id = ? ORDER BY hour"

LAST_OF_CHUNK = "SELECT ifnull(max(id), 0) FROM (SELECT id FROM device WHERE id > ? ORDER BY id LIMIT ?)"

FOLD_VARIANTS = """
INSERT INTO summary_variant (phase_id, variant_id, devices)
SELECT phase_id, variant_id, count(*)
FROM assignment
WHERE device_id > ? AND device_id <= ? AND position IS NOT NULL
GROUP BY phase_id, variant_id
ON CONFLICT (phase_id, variant_id) DO UPDATE SET devices = devices + excluded.devices
"""

FOLD_HOURS = """
INSERT INTO summary_hour (experiment_id, hour, devices)
SELECT assignment.experiment_id, device.first_seen / ?, count(*)
FROM device CROSS JOIN assignment ON assignment.device_id = device.id
WHERE device.id > ? AND device.id <= ? AND assignment.position IS NOT NULL
GROUP BY 1, 2
ON CONFLICT (experiment_id, hour) DO UPDATE SET devices = devices + excluded.devices
"""

MOVE = "UPDATE summary SET device_watermark = ?, as_of = ?"


def fold(connection: Raw, most: int, now: int) -> int:
    """Fold at most so many devices after the watermark, and move it; how many there were."""
    watermark, _ = connection.execute(SUMMARY).fetchone()
    (last,) = connection.execute(LAST_OF_CHUNK, (watermark, most)).fetchone()
    last = max(last, watermark)
    if last > watermark:
        connection.execute(FOLD_VARIANTS, (watermark, last))
        connection.execute(FOLD_HOURS, (clock.HOUR, watermark, last))
    connection.execute(MOVE, (last, now))
    return int(last - watermark)


def summary(connection: Raw) -> Summary:
    """All figures, with the experiments as they stand."""
    watermark, as_of = connection.execute(SUMMARY).fetchone()
    experiments = cataloguing.experiments(connection)
    counts: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    for experiment_id, phase, place, devices in connection.execute(COUNTS):
        counts[experiment_id, phase][place] = devices
    return Summary(
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
    )


def per_hour(connection: Raw, experiment_id: int) -> list[tuple[int, int]]:
    """Hours with the devices enrolled in them."""
    return [(hour, devices) for hour, devices in connection.execute(PER_HOUR, (experiment_id,))]
