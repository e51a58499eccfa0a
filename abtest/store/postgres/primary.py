"""Which of several servers is the primary, and whether it has all that was answered before it became the primary."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from threading import Lock

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import ConnectionTimeout

from abtest.domain import Action, By
from abtest.errors import StorageError
from abtest.store.postgres.connection import Connection, Written, defaults, in_time
from abtest.store.relational.journal import record

# Each promotion begins a new timeline. The name of a file of the log begins with it, in eight digits.
TIMELINE = "SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"

LATEST = """
SELECT
  (SELECT first_seen FROM device WHERE id = $1),
  (SELECT number FROM last_number WHERE name = 'event'),
  (SELECT received_at FROM event WHERE id = $2),
  (SELECT value FROM meta WHERE name = 'accepted_losses')
"""


# The version rises above every one that a server may have seen, so that it forgets all answers that it cached.
ACCEPT = """
UPDATE meta SET value = value + CASE name WHEN 'config_version' THEN 1000000 ELSE 1 END
WHERE name IN ('config_version', 'accepted_losses')
"""


class Primary:
    """The one server, of those in a URL, that can be written to.

    Remembers the newest timeline that was seen, and the newest rows that this process wrote. A standby that becomes
    the primary begins another timeline. It has replayed commits in their order: if it has the newest row, it has all
    rows.

    `lost`: whether it lacks rows.
    """

    def __init__(self, url: str) -> None:
        self._urls = _of_each_host(url)
        self._accepted = 0
        self._device = self._event = Written()
        self._looking = Lock()
        self.timeline = 0
        self.lost = False

    def find(self) -> str:
        """The URL of the server that can be written to; of several, the one with the newest timeline.

        Raises psycopg.OperationalError if there is none.
        """
        if len(self._urls) == 1:
            return self._urls[0]
        found, failed = _primaries(self._urls)
        if not found:  # one may have become the primary while others, which are gone, were waited for
            others = [url for url, error in failed.items() if not isinstance(error, ConnectionTimeout)]
            found, again = _primaries(others)
            failed |= again
        if not found:
            why = "; ".join(str(error).splitlines()[0] for error in failed.values())
            raise psycopg.OperationalError(f"no server can be written to: {why}")
        return max(found)[1]

    def meet(self, server: psycopg.Connection, end_others: Callable[[], None]) -> None:
        """Look at a new connection. The first one to a new primary ends all others, before anything is written to it.

        Raises psycopg.OperationalError for an old primary, whose place another server has taken.
        """
        found = self._timeline_of(server)
        if found > self.timeline:
            end_others()
            with self._looking:
                self._look_for_losses(server)
                self.timeline = found

    def look_for_losses(self, server: psycopg.Connection) -> None:
        """Look again whether this primary lacks what was acknowledged. Raises as `meet` does."""
        with self._looking, in_time(server):
            self._timeline_of(server)
            self._look_for_losses(server)

    def _timeline_of(self, server: psycopg.Connection) -> int:
        found = timeline(server)
        if found < self.timeline:
            raise psycopg.OperationalError("this server was the primary, but another one has taken its place")
        return found

    def _look_for_losses(self, server: psycopg.Connection) -> None:
        device, event = self._device, self._event
        ((first_seen, events, received_at, accepted),) = server.execute(LATEST, (device.id, event.id))
        if self.timeline == 0 or accepted > self._accepted:
            device = event = self._device = self._event = Written()
            self._accepted = accepted
        # The row of a device stays for ever. The row of an event goes when its device is forgotten.
        no_device = device.id > 0 and first_seen != device.at
        no_event = event.id > events or (event.id > 0 and received_at not in {None, event.at})
        self.lost = no_device or no_event

    def remember(self, connection: Connection, timeline: int) -> None:
        """Remember the newest rows that this connection wrote: after this they are acknowledged.

        `timeline`: the one before they were written. Raises psycopg.OperationalError if a new primary was met
        meanwhile: it may lack these rows, and was not asked for them.
        """
        with self._looking:
            if timeline != self.timeline:
                raise psycopg.OperationalError("another server became the primary")
            self._device = max(self._device, connection.device, key=attrgetter("id"))
            self._event = max(self._event, connection.event, key=attrgetter("id"))


def accept_loss(connection: Connection, by: By, now: int) -> None:
    """Let servers go on without what they stored and this database lacks."""
    connection.execute(ACCEPT)
    record(connection, by, now, Action.ACCEPT_LOSS)


def timeline(server: psycopg.Connection) -> int:
    """The number of the server's timeline: it begins with 1, and rises whenever a standby becomes the primary."""
    ((digits,),) = server.execute(TIMELINE)
    return int(digits, 16)


def _primaries(urls: Sequence[str]) -> tuple[list[tuple[int, str]], dict[str, BaseException]]:
    """The timelines and URLs of servers that can be written to, and why others can't; all are asked at once."""
    with ThreadPoolExecutor(len(urls) or 1) as threads:
        asked = [(threads.submit(_timeline_at, url), url) for url in urls]
    found = [(each.result(), url) for each, url in asked if each.exception() is None]
    return found, {url: error for each, url in asked if (error := each.exception())}


def _timeline_at(url: str) -> int:
    with psycopg.connect(url, autocommit=True, **defaults(url)) as server, in_time(server):
        return timeline(server)


def _of_each_host(url: str) -> list[str]:
    """A URL for each host of a URL, which has one port for all of them or one for each."""
    said = conninfo_to_dict(url)
    hosts = str(said.get("host") or "").split(",")
    ports = str(said.get("port") or "").split(",")
    if len(hosts) == 1:
        return [url]
    if len(ports) == 1:
        ports *= len(hosts)
    if len(ports) != len(hosts) or "hostaddr" in said:
        raise StorageError("the database's URL must have one port for all hosts or one for each, and no hostaddr")
    return [make_conninfo(url, host=host, port=port or None) for host, port in zip(hosts, ports, strict=True)]
