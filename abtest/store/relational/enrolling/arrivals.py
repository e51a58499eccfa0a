"""The newest devices of an app: how many come a day, and what they say about themselves."""

from bisect import bisect_left

from abtest import clock
from abtest.domain import DEFAULT_APP, DEFAULT_APP_ID, NO_ATTRIBUTES
from abtest.store.enrolment import Newcomers
from abtest.store.relational import cataloguing
from abtest.store.relational.connection import Connection
from abtest.store.relational.enrolling.profiles import load_attributes
from abtest.store.relational.numbers import last_device

DAYS = 7
MOST = 10_000
"""At most so many of the newest devices are read."""

FIRST_SEEN = "SELECT first_seen FROM device WHERE id >= ? ORDER BY id LIMIT 1"

BY_PROFILE = "SELECT profile_id, count(*) FROM device WHERE id > ? GROUP BY profile_id"

PROFILE_OF = "SELECT app_id, attributes FROM profile WHERE id = ?"


def newcomers(connection: Connection, now: int, app: str = DEFAULT_APP) -> Newcomers:
    """The new devices of an app, by the newest devices of the last days. Raises UnknownApp.

    If only some of the devices of these days are read, the app's share of them is taken for its share of all.
    """
    id = cataloguing.app_id(connection, app)
    last = last_device(connection)
    if not last:
        return Newcomers()

    def first_seen(device: int) -> int:
        found: tuple[int] | None = connection.execute(FIRST_SEEN, (device,)).fetchone()
        return found[0] if found else now

    since = max(now - DAYS * clock.DAY, first_seen(1))
    before = bisect_left(range(1, last + 1), since, key=first_seen)
    looked_at, of_app, said = 0, 0, []
    for profile, devices in connection.execute(BY_PROFILE, (max(before, last - MOST),)).fetchall():
        looked_at += devices
        owner, attributes = DEFAULT_APP_ID, NO_ATTRIBUTES
        if profile is not None:
            owner, text = connection.execute(PROFILE_OF, (profile,)).fetchone()
            attributes = load_attributes(text)
        if owner == id:
            of_app += devices
            said.append((attributes, devices))
    days = max(1, (now - since) / clock.DAY)
    return Newcomers(round((last - before) * of_app / max(looked_at, 1) / days), of_app, tuple(said))
