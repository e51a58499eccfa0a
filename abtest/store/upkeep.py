"""The condition of the store, what operators watch in it, and the erasure of tokens."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from abtest.domain import DEFAULT_APP, PROGRAM, By
from abtest.errors import StorageError
from abtest.language import number
from abtest.settings import FREE_DISK


class Condition(Struct, frozen=True):
    """The sizes of the database and its log, and the free disk space, in bytes.

    The last two are None if they are not known, because the database is on another machine.
    """

    database_bytes: int
    log_bytes: int | None
    free_bytes: int | None


def is_full(free_bytes: int | None, free_disk: float) -> bool:
    """Whether new devices and events are refused because less than `free_disk` megabytes are known to be free."""
    return free_bytes is not None and free_bytes < free_disk * 1_000_000


def lacking(free_bytes: int | None, free_disk: float) -> str:
    """A message for operators when the disk is too full for new devices and events; empty when it is not."""
    if free_bytes is None or not is_full(free_bytes, free_disk):
        return ""
    return (
        f"new devices and events are refused: only {number(free_bytes // 1_000_000)} MB of disk space is free, "
        f"less than the {number(free_disk)} MB of {FREE_DISK.variable}"
    )


class ConditionStore(Protocol):
    """Tells the condition of the store."""

    @property
    def failure(self) -> StorageError | None:
        """The first StorageError, if any. From then on every call raises it, and this process must end."""
        ...

    async def condition(self) -> Condition:
        """The present sizes. Raises Unavailable or StorageError."""
        ...


class Process(Struct, frozen=True):
    """A server or a worker that runs, as it last noted itself; times in milliseconds.

    `kind`: server or worker. `started_at`: by its own clock. `seen_at`: by the store's clock. `stats_interval`,
    `free_disk`: its settings. `waiting`: the most requests that waited at once since its note before this one.
    `refused`: by code, how many requests it refused since it started; `refused_lately`: in the last minutes.
    """

    kind: str
    host: str
    pid: int
    version: str
    started_at: int
    seen_at: int
    stats_interval: float
    free_disk: float
    waiting: int = 0
    refused: Mapping[str, int] = {}
    refused_lately: Mapping[str, int] = {}


class Upkeep(Struct, frozen=True):
    """What the store tells operators about one moment; times in milliseconds.

    `engine`: the database program with its version. `devices`: how many there ever were; `folded`: how many of them
    the worker has counted; `as_of`: its last tick. `newest_at`: when the last device came. `backups_known`: whether
    abtest itself makes the backups; `backed_up_at`: if so, when it made the last one. `sizes`: for each of the last
    days, when a process first looked, and how many bytes the database had then.
    """

    engine: str
    schema: int
    newest_schema: int
    created_at: int
    devices: int
    newest_at: int | None
    folded: int
    as_of: int | None
    backups_known: bool
    backed_up_at: int | None
    sizes: tuple[tuple[int, int], ...]
    processes: tuple[Process, ...]


class UpkeepStore(ConditionStore, Protocol):
    """Keeps what operators watch."""

    async def now(self) -> int:
        """The time in milliseconds, by the clock that all processes share: with PostgreSQL, that of its machine."""
        ...

    async def boot(self) -> None:
        """Count the start of a process. Afterwards, everything that it can read is durable."""
        ...

    async def boots(self) -> int:
        """How often a server or a worker was started on this database."""
        ...

    async def note_process(self, process: Process, database_bytes: int) -> None:
        """Note that a process runs, in place of what it noted before, and once a day how large the database is.

        Forgets the processes that were not seen for ten minutes.
        """
        ...

    async def remove_process(self, process: Process) -> None:
        """Forget a process that stops. Raises Unavailable (`busy`) if other writers keep it waiting for a second."""
        ...

    async def note_backup(self, at: int) -> None:
        """Note that there is a backup of this moment."""
        ...

    async def upkeep(self) -> Upkeep:
        """All of it, from one snapshot. Takes no longer when there are more devices."""
        ...


class ForgettingStore(Protocol):
    """Deletes what no longer counts."""

    async def finish_forgetting(self) -> bool:
        """Delete the events that forgotten devices still have; returns whether any device still had some.

        Each transaction deletes a limited number, so that others can write in between.
        """
        ...

    async def empty_log(self) -> bool:
        """Remove erased data from the log too; False if it can't because the database is read all the time.

        PostgreSQL's own log is left to PostgreSQL.
        """
        ...


class ErasureStore(ForgettingStore, Protocol):
    """Erases tokens."""

    async def forget(self, tokens: Sequence[str], app: str = DEFAULT_APP, by: By = PROGRAM) -> int:
        """Replace these tokens of an app with random ones that nobody knows, and erase the events.

        Returns how many of them existed. Raises UnknownApp.

        The device rows and their assignments stay, so counts and blocks stay as they are. A forgotten device that
        asks again is a new device. One transaction replaces a token and subtracts all that its events had added to
        the figures, so a reader sees all of these events or none; then `finish_forgetting` deletes them.
        """
        ...
