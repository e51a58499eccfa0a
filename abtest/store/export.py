"""Reading all rows, for files."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from abtest.domain import KNOWN_ATTRIBUTES, By


class Table(StrEnum):
    """What the rows of a file are."""

    DEVICES = "devices"
    ASSIGNMENTS = "assignments"
    EVENTS = "events"


class Holds(StrEnum):
    """What a column contains.

    TIME: milliseconds since 1970-01-01 UTC. AMOUNT: whole units of 1/10000. FLAG: 0 or 1.
    """

    NUMBER = "number"
    TEXT = "text"
    TIME = "time"
    AMOUNT = "amount"
    FLAG = "flag"


class Column(Struct, frozen=True):
    """A column of a table."""

    name: str
    holds: Holds


def _columns(**columns: Holds) -> tuple[Column, ...]:
    return tuple(Column(name, holds) for name, holds in columns.items())


COLUMNS = {
    Table.DEVICES: _columns(
        device=Holds.NUMBER,
        first_seen=Holds.TIME,
        **dict.fromkeys(KNOWN_ATTRIBUTES, Holds.TEXT),
        holdout=Holds.TEXT,
        test_device=Holds.FLAG,
    ),
    Table.ASSIGNMENTS: _columns(
        device=Holds.NUMBER,
        kind=Holds.TEXT,
        experiment=Holds.TEXT,
        value=Holds.TEXT,
        how=Holds.TEXT,
        phase=Holds.NUMBER,
        position=Holds.NUMBER,
        enrolled_at=Holds.TIME,
    ),
    Table.EVENTS: _columns(
        device=Holds.NUMBER,
        id=Holds.TEXT,
        name=Holds.TEXT,
        amount=Holds.AMOUNT,
        happened_at=Holds.TIME,
        received_at=Holds.TIME,
        experiment=Holds.TEXT,
        value=Holds.TEXT,
    ),
}
"""The columns of each table, in order. The device's number comes first; if its token is asked for, it follows."""
TOKEN = Column("token", Holds.TEXT)


class Extent(Struct, frozen=True):
    """How far the rows of an app go at one moment: its number, and the last device and event of all apps."""

    app: int
    last_device: int
    last_event: int

    def last(self, table: Table) -> int:
        """The last number of a table's rows: of an event for events, otherwise of a device."""
        return self.last_event if table is Table.EVENTS else self.last_device


Row = tuple[Any, ...]
"""The values of one row, in the order of COLUMNS, None where there is none. A tuple, since there are millions."""


class Tokens(Protocol):
    """The tokens of an app's devices."""

    async def of(self, devices: Collection[int]) -> Mapping[int, str]:
        """The token of each of these devices, by number."""
        ...


class ExportStore(Protocol):
    """Reads rows in short pieces, so that a slow reader is in nobody's way.

    Rows never change, and new rows come after an extent. So what is read within an extent is what there was when it
    was taken, except events that have been erased since.
    """

    async def extent(self, app: str) -> Extent:
        """How far the rows of this app go now. Raises UnknownApp."""
        ...

    async def rows(self, table: Table, app: int, since: int, after: int, upto: int) -> Sequence[Row]:
        """Rows of the app with this number, as the COLUMNS say, in the order of storage.

        Only of devices (or events) with after < number <= upto, and not before `since` by the server's clock: the
        first request of a device, or the receipt of an event.
        """
        ...

    async def note_export(self, table: Table, since: int, now: int, app: str, by: By) -> None:
        """Note in the journal that somebody exports the tokens of an app's devices."""
        ...

    def tokens(self, app: int) -> AbstractAsyncContextManager[Tokens]:
        """The tokens of the app's devices, as they are now, for a `with` block. Raises StorageError."""
        ...
