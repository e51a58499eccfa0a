"""The state of the whole system, for operators."""

import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from importlib.metadata import version

from msgspec import Struct

from abtest import clock
from abtest.store import Process, UpkeepStore
from abtest.upkeep.warnings import Warning, growth, is_alive, warnings


class State(StrEnum):
    """Whether somebody has to act: not at all, soon, or at once."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Versions(Struct, frozen=True):
    """The versions that the reporting process uses."""

    abtest: str
    python: str
    database: str


class Schema(Struct, frozen=True):
    """The number of the database's schema, and the newest that this program knows."""

    number: int
    newest: int


class DatabaseSize(Struct, frozen=True):
    """Sizes in bytes. `bytes_per_day`: measured over the last `measured_days`; None before the first day has passed.

    `log_bytes`, `free_disk_bytes`: None with PostgreSQL, whose disk may be in another machine.
    """

    bytes: int
    log_bytes: int | None
    free_disk_bytes: int | None
    bytes_per_day: int | None
    measured_days: float | None


class WorkerState(Struct, frozen=True):
    """The last update of the statistics, and how many devices have come since."""

    running: bool
    last_tick: str | None
    age_seconds: float | None
    devices_behind: int


class ProcessState(Struct, frozen=True):
    """A server or a worker, as it last noted itself."""

    kind: str
    host: str
    pid: int
    version: str
    started: str
    started_seconds: float
    last_seen: str
    last_seen_seconds: float
    running: bool
    waiting: int


class Refused(Struct, frozen=True):
    """Requests that the running servers refused, by code: since they started, and in the last five minutes."""

    since: str | None
    by_code: Mapping[str, int]
    lately: Mapping[str, int]


class System(Struct, frozen=True):
    """All that an operator sees. `waiting`: requests that wait for the database, in all running servers.

    `backups_known`: whether `abtest backup` makes the backups; with PostgreSQL, other programs do.
    """

    as_of: str
    state: State
    warnings: tuple[Warning, ...]
    versions: Versions
    schema: Schema
    database: DatabaseSize
    devices: int
    worker: WorkerState
    waiting: int
    refused: Refused
    processes: tuple[ProcessState, ...]
    backups_known: bool
    last_backup: str | None
    last_backup_seconds: float | None


class SystemService:
    """Looks at the store, and judges."""

    def __init__(self, store: UpkeepStore) -> None:
        self._store = store

    async def system(self) -> System:
        """The state at this moment. Raises Unavailable or StorageError."""
        upkeep, condition = await self._store.upkeep(), await self._store.condition()
        now = await self._store.now()
        found = warnings(upkeep, condition, now)
        growing = growth(upkeep, condition, now)
        alive = [each for each in upkeep.processes if is_alive(each, now)]
        # A PostgreSQL database has this time only from a database that was copied into it.
        backed_up_at = upkeep.backed_up_at if upkeep.backups_known else None
        return System(
            as_of=clock.iso(now),
            state=_state(found),
            warnings=tuple(found),
            versions=Versions(version("abtest"), platform.python_version(), upkeep.engine),
            schema=Schema(upkeep.schema, upkeep.newest_schema),
            database=DatabaseSize(
                bytes=condition.database_bytes,
                log_bytes=condition.log_bytes,
                free_disk_bytes=condition.free_bytes,
                bytes_per_day=round(growing[0]) if growing else None,
                measured_days=round(growing[1], 1) if growing else None,
            ),
            devices=upkeep.devices,
            worker=WorkerState(
                running=any(each.kind == "worker" for each in alive),
                last_tick=clock.iso_or_none(upkeep.as_of),
                age_seconds=clock.age(upkeep.as_of, now),
                devices_behind=upkeep.devices - upkeep.folded,
            ),
            waiting=sum(each.waiting for each in alive),
            refused=_refused([each for each in alive if each.kind == "server"]),
            processes=tuple(
                ProcessState(
                    kind=each.kind,
                    host=each.host,
                    pid=each.pid,
                    version=each.version,
                    started=clock.iso(each.started_at),
                    started_seconds=clock.age(each.started_at, now) or 0,
                    last_seen=clock.iso(each.seen_at),
                    last_seen_seconds=clock.age(each.seen_at, now) or 0,
                    running=each in alive,
                    waiting=each.waiting,
                )
                for each in upkeep.processes
            ),
            backups_known=upkeep.backups_known,
            last_backup=clock.iso_or_none(backed_up_at),
            last_backup_seconds=clock.age(backed_up_at, now),
        )


def _state(found: Iterable[Warning]) -> State:
    urgent = {each.urgent for each in found}
    return State.PROBLEM if True in urgent else State.WARNING if urgent else State.OK


def _refused(servers: list[Process]) -> Refused:
    by_code, lately = Counter[str](), Counter[str]()
    for each in servers:
        by_code.update(each.refused)
        lately.update(each.refused_lately)
    since = min((each.started_at for each in servers), default=None)
    return Refused(clock.iso_or_none(since), dict(by_code.most_common()), dict(lately.most_common()))
