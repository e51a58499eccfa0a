"""What operators are warned of, in words, and what they can do about it."""

from collections.abc import Sequence

from msgspec import Struct

from abtest import clock
from abtest.language.counts import counted
from abtest.language.numbers import number, size
from abtest.language.times import age, exact_time
from abtest.settings import FREE_DISK, NEW_IN_ALL, NEW_PER_SOURCE, STATS_INTERVAL, TRUSTED_PROXIES

BUSY = (
    "The disk is slow, or another program locks the database: look for a long manual write, for a program that is "
    "copying the file, or for a disk at its limit. PostgreSQL may be unreachable, or waiting for a synchronous "
    "standby. Devices ask again by themselves."
)
ADVICE = {
    "busy": BUSY,
    "queue_full": f"Devices come faster than the disk can store them. {BUSY}",
    "too_many_connections": "Find out who holds the connections: a proxy should keep only a few. Or raise "
    "ABTEST_CONNECTIONS, and the number of open files that the system allows.",
    "storage_full": "Free some space on the disk. No restart is needed.",
    "storage_failed": "The server starts again by itself and recovers what it can. If this comes back, run "
    "`abtest db check` and examine the disk.",
    "database_away": "PostgreSQL could not be reached, or ended connections: look at its log, the servers' logs and "
    "the network. Servers find a new primary by themselves.",
    "database_read_only": "Find out who set default_transaction_read_only, or took rights from the database user of "
    "the servers. No restart is needed.",
    "answers_lost": "A standby that lacks some of what servers had stored became the primary. Promote a standby that "
    "lacks nothing, or bring back the old primary. To go on without what was lost, run `abtest db accept-loss`.",
    "internal_error": "This is a fault in the server: its log has the traceback. Please report it.",
    "too_many_new_devices": f"If they come through a proxy, name it in {TRUSTED_PROXIES.variable}. If that many "
    f"devices share an address, raise {NEW_PER_SOURCE.variable}. If all addresses together bring that many, raise "
    f"{NEW_IN_ALL.variable}.",
}
"""What to do when requests are refused with this code. Other codes mean that the request was at fault."""


class Advice(Struct, frozen=True):
    """A warning: what is wrong, and what to do, each in sentences."""

    says: str
    do: str


def newer_schema(found: int, known: int) -> Advice:
    """Somebody migrated the database under running processes."""
    return Advice(
        f"The database has schema {found}, but this program knows only up to {known}.",
        "The database was upgraded while this version was running: install the new version everywhere, and restart.",
    )


def disk_full(free_bytes: int, free_disk: float) -> Advice:
    """The server refuses devices."""
    return Advice(
        f"New devices and events are refused: only {size(free_bytes)} of disk space is free, less than the "
        f"{size(free_disk * 1_000_000)} of {FREE_DISK.variable}. Known devices are still answered.",
        "Free some space on the database's disk. No restart is needed.",
    )


def disk_filling(free_bytes: int, days: float, bytes_per_day: float) -> Advice:
    """The server will soon refuse devices."""
    return Advice(
        f"The disk will be full in about {counted(max(1, round(days)), 'day')}: {size(free_bytes)} is free, and the "
        f"database grows by {size(bytes_per_day)} a day.",
        "Free some space on the database's disk, or move the database to a larger one.",
    )


def disk_small(free_bytes: int, database_bytes: int) -> Advice:
    """A restore needs a second copy."""
    return Advice(
        f"Only {size(free_bytes)} of disk space is free, less than the database takes ({size(database_bytes)}).",
        "A restore needs a second copy of the database while it works: make room for it before you need it.",
    )


def log_large(log_bytes: int) -> Advice:
    """The log can't start over while somebody reads."""
    return Advice(
        f"The database's log takes {size(log_bytes)}: some program has been reading the database for a long time.",
        "Find that program (`sqlite3`, a copy, an analysis) and end it. The log then shrinks by itself.",
    )


def worker_stopped(as_of: int | None, now: int) -> Advice:
    """No worker counts."""
    return Advice(
        f"The stats worker is not running: {_since(as_of, now)}, and experiments don't start or end by themselves.",
        "Start it with `abtest worker`, or start everything with `abtest up`. Devices still get their answers.",
    )


def worker_late(as_of: int | None, now: int) -> Advice:
    """The worker runs, but does not finish."""
    return Advice(
        f"The stats worker is running, but {_since(as_of, now)}.",
        "Its log says why. If it writes nothing, restart it. A larger "
        f"{STATS_INTERVAL.variable} gives it more time for each update.",
    )


def no_server(last: int | None, now: int) -> Advice:
    """No server answers."""
    seen = "" if last is None else f" The last one was seen {age((now - last) / 1000)} ago."
    return Advice(f"No server is running.{seen}", "Start one with `abtest up`, or `abtest serve`.")


def processes_lost(lost: Sequence[tuple[str, int, str]], seen_at: int, now: int) -> Advice:
    """`lost`: kind, process id and host of each. `seen_at`: when the last of them was seen."""
    kind, pid, host = lost[0]
    silent = age((now - seen_at) / 1000)
    if len(lost) == 1:
        says = (
            f"The {kind} with process id {pid} on {host} has not been seen for {silent}: it was killed, or it hangs."
        )
        look, started = "Look at its log", "it was"
    else:
        says = f"{number(len(lost))} processes have not been seen for {silent}: they were killed, or they hang."
        look, started = "Look at their logs", "they were"
    return Advice(
        says,
        f"{look}; the system's log says whether memory ran out. If {started} started again, there is nothing left to "
        "do: this line goes away after ten minutes.",
    )


def several_versions(versions: Sequence[str]) -> Advice:
    """An upgrade that was not finished."""
    *most, last = versions
    return Advice(
        f"Several versions of abtest run at once: {', '.join(most)} and {last}.",
        "Finish the upgrade: restart what still runs an older version.",
    )


def refused(code: str, requests: int, minutes: int) -> Advice:
    """Requests were refused lately with a code that has advice."""
    return Advice(
        f"{counted(requests, 'request')} {'was' if requests == 1 else 'were'} refused in the last "
        f"{number(minutes)} minutes with the code `{code}`.",
        ADVICE[code],
    )


def no_backup(backed_up_at: int | None, now: int) -> Advice:
    """None at all, or none for long."""
    return Advice(
        "There has never been a backup."
        if backed_up_at is None
        else f"The last backup is {age((now - backed_up_at) / 1000)} old.",
        "Run `abtest backup FILE` every day, with a file on another disk. Other kinds of backups are not seen here.",
    )


def clock_behind(newest_at: int, now: int) -> Advice:
    """Something was written at a time that has not come yet."""
    return Advice(
        f"The clock of this machine is wrong: the database has entries of {exact_time(clock.iso(newest_at))} UTC, "
        f"{age((newest_at - now) / 1000)} from now.",
        "Set the clock; NTP keeps it right. No device gets another value because of it, but times and daily figures "
        "are wrong.",
    )


def _since(as_of: int | None, now: int) -> str:
    if as_of is None:
        return "it has never updated the statistics"
    return f"the statistics are {age((now - as_of) / 1000)} old"
