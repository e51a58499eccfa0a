"""Events that were not stored, or count nowhere."""

from collections.abc import Mapping
from operator import itemgetter

from msgspec import Struct, structs

from abtest.store.relational.connection import Connection

COUNT = """
UPDATE app SET duplicate_events = duplicate_events + ?, unknown_device_events = unknown_device_events + ?,
  unknown_experiment_events = unknown_experiment_events + ?
WHERE id = ?
"""


class Refused(Struct):
    """How many events came again, or for an unknown device or experiment. Only those of the last kind are stored."""

    duplicates: int = 0
    unknown_devices: int = 0
    unknown_experiments: int = 0


def count_refused(connection: Connection, refused: Mapping[int, Refused]) -> None:
    """Add these to the counts of each app, in ascending order: so two that do this never wait for each other."""
    for app, each in sorted(refused.items(), key=itemgetter(0)):
        if any(structs.astuple(each)):
            connection.execute(COUNT, (*structs.astuple(each), app))
