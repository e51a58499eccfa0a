"""Events that left no row, or count nowhere."""

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
    """How many events of an app came again, from no device, or for no experiment. Only the last ones are stored."""

    duplicates: int = 0
    unknown_devices: int = 0
    unknown_experiments: int = 0


def count_refused(connection: Connection, refused: Mapping[int, Refused]) -> None:
    """Count these, by the number of the app, which ascends: two that change these rows never wait for each other."""
    for app, each in sorted(refused.items(), key=itemgetter(0)):
        if any(structs.astuple(each)):
            connection.execute(COUNT, (*structs.astuple(each), app))
