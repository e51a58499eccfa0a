"""The figures as services read them. Each function runs in one snapshot."""

from collections import Counter, defaultdict

from abtest.domain import DEFAULT_APP, KEY, Kind
from abtest.errors import UnknownExperiment
from abtest.store.audit import ALL_DEVICES, OUTSIDE_AUDIENCE
from abtest.store.figures import AudienceCounts, NewDevices, Summary
from abtest.store.relational import cataloguing
from abtest.store.relational.connection import Connection

SUMMARY = "SELECT device_watermark, as_of FROM summary"

DEVICES = "SELECT coalesce((SELECT devices FROM summary_app WHERE app_id = ?), 0)"

# Each plus keeps SQLite from reading the figures of all apps.
COUNTS = """
SELECT phase.experiment_id, phase.number, variant.place, summary_variant.devices
FROM experiment
JOIN phase ON phase.experiment_id = +experiment.id
JOIN summary_variant ON summary_variant.phase_id = +phase.id
JOIN variant ON variant.id = summary_variant.variant_id
WHERE experiment.app_id = ? AND experiment.kind = ?
"""

WINNERS = "SELECT experiment_id, devices FROM summary_winner"

OUTSIDE = """
SELECT status_change.experiment_id, place, CAST(sum(devices) AS BIGINT),
  CAST(sum(CASE WHEN status_change.status = 'running' THEN devices ELSE 0 END) AS BIGINT)
FROM summary_outside JOIN status_change ON status_change.id = status_change_id
WHERE status_change.winner IS NULL
GROUP BY 1, 2
"""

PER_HOUR = "SELECT hour, devices FROM summary_hour WHERE experiment_id = ? ORDER BY hour"

RESTORED = "SELECT name, value FROM meta WHERE name IN ('restored_at', 'restored_to')"

RESULT = """
SELECT document FROM experiment LEFT JOIN summary_result ON summary_result.experiment_id = experiment.id
WHERE key = ? AND app_id = ? AND kind = ?
"""

RESULTS = "SELECT experiment_id, document FROM summary_result"


def summary(connection: Connection, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> Summary:
    """All figures of an app's experiments, groups or holdouts, with these as they are now. Raises UnknownApp."""
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


def enrolled_per_hour(connection: Connection, experiment_id: int) -> list[tuple[int, int]]:
    """Hours with the devices enrolled in them."""
    return [(hour, devices) for hour, devices in connection.execute(PER_HOUR, (experiment_id,))]


def result(connection: Connection, key: str, app: str = DEFAULT_APP, kind: Kind = Kind.EXPERIMENT) -> str | None:
    """What the worker concluded about an experiment or a holdout. Raises UnknownApp or UnknownExperiment."""
    asked = key, cataloguing.app_id(connection, app), kind
    found = connection.execute(RESULT, asked).fetchone() if KEY.fullmatch(key) else None
    if found is None:
        raise UnknownExperiment(key, kind)
    (document,) = found
    return None if document is None else str(document)


def results(connection: Connection) -> dict[int, str]:
    """What the worker concluded about every experiment, by its id."""
    return dict(connection.execute(RESULTS).fetchall())
