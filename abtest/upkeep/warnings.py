"""What operators have to know. Pure: makes warnings, the urgent ones first, from what the store tells."""

from collections.abc import Collection, Iterator, Sequence

from msgspec import Struct

from abtest import clock
from abtest.language import warnings as words
from abtest.settings import FREE_DISK, STATS_INTERVAL
from abtest.store import Condition, Process, Upkeep, is_full
from abtest.upkeep.heartbeat import LATELY_SECONDS, LEAST_ROOM

LARGE_LOG = 64 * 1024 * 1024
ALIVE = 30_000
"""Milliseconds for which a process counts as running after it was seen: three times the time between two notes."""
LATE_SECONDS, LATE_TICKS = 60, 3
BACKUP = 7 * clock.DAY
FORESIGHT_DAYS, URGENT_DAYS = 14, 2
CLOCK_AHEAD = 10_000
"""Milliseconds by which the clocks of two processes may differ, or one may be set back."""
DEVICES_ASK_AGAIN = {"too_many_new_devices"}


class Warning(Struct, frozen=True):
    """One thing that is wrong: a stable word for programs, what is wrong, and what to do.

    `urgent`: devices, people or figures suffer from it at this moment.
    """

    code: str
    urgent: bool
    says: str
    do: str


def is_alive(process: Process, now: int) -> bool:
    """Whether the process was seen a moment ago."""
    return process.seen_at > now - ALIVE


def growth(upkeep: Upkeep, condition: Condition, now: int) -> tuple[float, float] | None:
    """Bytes per day, and over how many days that was measured; None before a whole day has passed."""
    if not upkeep.sizes:
        return None
    at, size = upkeep.sizes[0]
    days = (now - at) / clock.DAY
    return ((condition.database_bytes - size) / days, days) if days >= 1 else None


def warnings(upkeep: Upkeep, condition: Condition, now: int) -> list[Warning]:
    """All that is wrong."""
    alive = [each for each in upkeep.processes if is_alive(each, now)]
    disk = list(_disk(upkeep, condition, alive, now))
    said = {"storage_full"} if any(each.code == "disk_full" for each in disk) else set()
    found = [
        *_schema(upkeep),
        *disk,
        *(_processes(upkeep, alive, now) if not is_full(condition.free_bytes, LEAST_ROOM) else ()),
        *_worker(upkeep, alive, now),
        *_refused(alive, words.ADVICE.keys() - said),
        *_clock(upkeep, now),
        *_backup(upkeep, now),
    ]
    return sorted(found, key=lambda each: not each.urgent)


def _schema(upkeep: Upkeep) -> Iterator[Warning]:
    if upkeep.schema > upkeep.newest_schema:
        yield _warning("newer_schema", True, words.newer_schema(upkeep.schema, upkeep.newest_schema))


def _disk(upkeep: Upkeep, condition: Condition, alive: Sequence[Process], now: int) -> Iterator[Warning]:
    servers = [each.free_disk for each in alive if each.kind == "server"]
    free, least = condition.free_bytes, max(servers, default=float(FREE_DISK.default))
    if free is None or condition.log_bytes is None:
        return
    growing = growth(upkeep, condition, now)
    per_day = growing[0] if growing else 0
    days = (free - least * 1_000_000) / per_day if per_day > 0 else FORESIGHT_DAYS
    if is_full(free, least):
        yield _warning("disk_full", True, words.disk_full(free, least))
    elif days < FORESIGHT_DAYS:
        yield _warning("disk_filling", days < URGENT_DAYS, words.disk_filling(free, days, per_day))
    elif free < condition.database_bytes:
        yield _warning("disk_small", False, words.disk_small(free, condition.database_bytes))
    if condition.log_bytes > LARGE_LOG:
        yield _warning("log_large", False, words.log_large(condition.log_bytes))


def _processes(upkeep: Upkeep, alive: Sequence[Process], now: int) -> Iterator[Warning]:
    lost = [each for each in upkeep.processes if each not in alive]
    if not any(each.kind == "server" for each in alive):
        seen = [each.seen_at for each in lost if each.kind == "server"]
        yield _warning("no_server", True, words.no_server(max(seen, default=None), now))
    elif lost:
        named, last = [(each.kind, each.pid, each.host) for each in lost], max(each.seen_at for each in lost)
        yield _warning("process_lost", False, words.processes_lost(named, last, now))
    versions = sorted({each.version for each in alive}, key=_in_order)
    if len(versions) > 1:
        yield _warning("several_versions", False, words.several_versions(versions))


def _worker(upkeep: Upkeep, alive: Sequence[Process], now: int) -> Iterator[Warning]:
    interval = max((each.stats_interval for each in alive), default=float(STATS_INTERVAL.default))
    late = upkeep.as_of is None or now - upkeep.as_of > 1000 * max(LATE_SECONDS, LATE_TICKS * interval)
    workers = [each for each in alive if each.kind == "worker"]
    if late and workers:
        if now - min(each.started_at for each in workers) > 1000 * LATE_SECONDS:
            yield _warning("worker_late", True, words.worker_late(upkeep.as_of, now))
    elif late:
        yield _warning("worker_stopped", True, words.worker_stopped(upkeep.as_of, now))


def _refused(alive: Sequence[Process], codes: Collection[str]) -> Iterator[Warning]:
    for code in sorted(codes):
        requests = sum(each.refused_lately.get(code, 0) for each in alive)
        if requests:
            advice = words.refused(code, requests, round(LATELY_SECONDS / 60))
            yield _warning(f"refused_{code}", code not in DEVICES_ASK_AGAIN, advice)


def _clock(upkeep: Upkeep, now: int) -> Iterator[Warning]:
    times = (upkeep.newest_at, upkeep.as_of, *(each.seen_at for each in upkeep.processes))
    newest = max((each for each in times if each is not None), default=0)
    if newest > now + CLOCK_AHEAD:
        yield _warning("clock_behind", True, words.clock_behind(newest, now))


def _backup(upkeep: Upkeep, now: int) -> Iterator[Warning]:
    if upkeep.backups_known and now - (upkeep.backed_up_at or upkeep.created_at) > BACKUP:
        yield _warning("no_backup", False, words.no_backup(upkeep.backed_up_at, now))


def _in_order(version: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdecimal() else -1, part) for part in version.split(".")]


def _warning(code: str, urgent: bool, advice: words.Advice) -> Warning:
    return Warning(code, urgent, advice.says, advice.do)
