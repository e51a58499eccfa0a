"""The highest numbers that were ever given out: none is given out twice, even if its row was deleted."""

from abtest.store.relational.connection import Connection

LARGEST = 2**63 - 1
"""The largest number that fits into a column. No row has this id."""

LAST_DEVICE = "SELECT coalesce((SELECT number FROM last_number WHERE name = 'device'), 0)"

LAST_EVENT = "SELECT coalesce((SELECT number FROM last_number WHERE name = 'event'), 0)"


def last_device(connection: Connection) -> int:
    """The highest id that a device ever had; 0 before the first."""
    (last,) = connection.execute(LAST_DEVICE).fetchone()
    return int(last)


def last_event(connection: Connection) -> int:
    """The highest id that an event ever had; 0 before the first."""
    (last,) = connection.execute(LAST_EVENT).fetchone()
    return int(last)
