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
    """How many events came again, were of unknown devices, or named unknown experiments. Only the last are stored."""

    duplicates: int = 0
    unknown_devices: int = 0
    unknown_experiments: int = 0


def count_refused(connection: Connection, refused: Mapping[int, Refused]) -> None:
    """Add these to the counts of the apps, in ascending order, so that two transactions never wait for each other."""
    for app, each in sorted(refused.items(), key=itemgetter(0)):
        if any(structs.astuple(each)):
            connection.execute(COUNT, (*structs.astuple(each), app))
