"""Every device with its assignments, and what they must agree with: functions on a connection, each run inside one
transaction.
"""

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache

from abtest.domain import DEFAULT_APP, DEFAULT_APP_ID, NO_ATTRIBUTES, Attributes, read_attributes, scoped
from abtest.errors import UnknownDevice
from abtest.store.audit import AssignmentRecord, Chunk, DeviceRecord, Ledger, TestValueRecord
from abtest.store.relational.auditing.experiment_rows import experiment_records
from abtest.store.relational.cataloguing import app_id
from abtest.store.relational.connection import Connection
from abtest.store.relational.enrolling import load_attributes
from abtest.store.relational.numbers import last_device

DEVICE_ROWS = "SELECT count(*) FROM device"

STRANGERS = """
SELECT (SELECT count(*) FROM device WHERE id < 1) + (SELECT count(*) FROM device WHERE id > ?1)
  + (SELECT count(*) FROM assignment WHERE device_id < 1) + (SELECT count(*) FROM assignment WHERE device_id > ?1)
"""

# Only the beginning of each token, which says its app.
TOKENS = "SELECT device_id, substr(token, 1, instr(token, ' ')) FROM device_token"

WITHOUT_PROFILE = """
SELECT count(*) FROM device
WHERE profile_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM profile WHERE profile.id = device.profile_id)
"""

PROFILES = "SELECT id, app_id, attributes FROM profile"

WATERMARK = "SELECT device_watermark FROM summary"

COUNTED = "SELECT phase_id, variant_id, devices FROM summary_variant"

HOURLY = "SELECT experiment_id, hour, devices FROM summary_hour"

OUTSIDE = "SELECT status_change_id, place, devices FROM summary_outside"

WINNERS = "SELECT experiment_id, devices FROM summary_winner"

OF_APPS = "SELECT app_id, devices FROM summary_app"

DAILY = "SELECT phase_id, variant_id, day, devices FROM summary_day"

APP_ROWS = "SELECT id, key, profiles FROM app"

TEST_DEVICES = "SELECT app_id, substr(token, 1, instr(token, ' ')) FROM test_device"

NUMBERS = "SELECT name FROM meta"

NEEDED = ("boots", "config_version", "erasures")

TEST_VALUES = """
SELECT test_device_id, substr(token, 1, instr(token, ' ')), experiment_id, variant_id
FROM test_device JOIN test_value ON test_device_id = test_device.id
"""

DEVICES = "SELECT id, first_seen, profile_id FROM device WHERE id > ? AND id <= ? ORDER BY id"

# A damaged row of a device in PostgreSQL may lack a variant: it is read as 0, which no variant has.
ASSIGNMENTS = """
SELECT device_id, experiment_id, phase_id, coalesce(variant_id, 0), position
FROM assignment WHERE device_id > ? AND device_id <= ? ORDER BY device_id, experiment_id
"""

DEVICE = """
SELECT device.id, device.first_seen, coalesce(profile.attributes, '{}')
FROM device_token JOIN device ON device.id = device_id LEFT JOIN profile ON profile.id = device.profile_id
WHERE device_token.token = ?
"""

MANY = 255
MOST_DIGITS = 10


def ledger(connection: Connection, token_rows: Iterable[tuple[int, str]]) -> Ledger:
    """What the assignments must agree with. `token_rows`: what TOKENS gives, too much for memory."""
    (devices,) = connection.execute(DEVICE_ROWS).fetchone()
    last = last_device(connection)
    (strangers,) = connection.execute(STRANGERS, (last,)).fetchone()
    tokens, token_apps, strange_tokens = _tokens(token_rows, last)
    (watermark,) = connection.execute(WATERMARK).fetchone() or (None,)
    (without_profile,) = connection.execute(WITHOUT_PROFILE).fetchone()
    profiles = connection.execute(PROFILES).fetchall()
    numbers = {name for (name,) in connection.execute(NUMBERS)}
    return Ledger(
        devices=devices,
        last_device=last,
        strangers=strangers + strange_tokens,
        tokens=tokens,
        token_apps=token_apps,
        without_profile=without_profile,
        profiles={id: _attributes(text) for id, _, text in profiles},
        apps={id: app for id, app, _ in profiles},
        app_rows={id: (key, kept) for id, key, kept in connection.execute(APP_ROWS)},
        strange_test_devices=sum(_app(prefix) != app for app, prefix in connection.execute(TEST_DEVICES)),
        missing=tuple(name for name in NEEDED if name not in numbers),
        experiments=experiment_records(connection),
        test_values=tuple(
            TestValueRecord(test_device, _app(prefix), *chosen)
            for test_device, prefix, *chosen in connection.execute(TEST_VALUES)
        ),
        watermark=watermark,
        counted={(phase, variant): count for phase, variant, count in connection.execute(COUNTED)},
        hourly={(experiment, hour): count for experiment, hour, count in connection.execute(HOURLY)},
        daily={(phase, variant, day): count for phase, variant, day, count in connection.execute(DAILY)},
        outside={(status, place): count for status, place, count in connection.execute(OUTSIDE)},
        winners=dict(connection.execute(WINNERS).fetchall()),
        of_apps=dict(connection.execute(OF_APPS).fetchall()),
    )


def chunk(connection: Connection, after: int, upto: int) -> Chunk:
    """The devices with after < id <= upto, and their assignments."""
    return Chunk(
        after=after,
        upto=upto,
        devices=connection.execute(DEVICES, (after, upto)).fetchall(),
        assignments=connection.execute(ASSIGNMENTS, (after, upto)).fetchall(),
    )


def device(connection: Connection, token: str, app: str = DEFAULT_APP) -> DeviceRecord:
    """The device of an app with this token. Raises UnknownApp or UnknownDevice."""
    number = app_id(connection, app)
    found = connection.execute(DEVICE, (scoped(number, token),)).fetchone()
    if found is None:
        raise UnknownDevice("no device has asked for its experiments with this token")
    id, first_seen, attributes = found
    rows = connection.execute(ASSIGNMENTS, (id - 1, id))
    said = _attributes(attributes) or NO_ATTRIBUTES
    return DeviceRecord(id, number, first_seen, said, tuple(AssignmentRecord(*row[1:]) for row in rows))


def _tokens(rows: Iterable[tuple[int, str]], last: int) -> tuple[bytes, Sequence[int], int]:
    """See Ledger.tokens and Ledger.token_apps; also how many tokens are of devices that never existed."""
    found, apps, strange = bytearray(last), array("q", bytes(8 * last)), 0
    for device, prefix in rows:
        if 0 < device <= last:
            found[device - 1] = min(found[device - 1] + 1, MANY)
            apps[device - 1] = _app(prefix)
        else:
            strange += 1
    return bytes(found), apps, strange


def _attributes(text: str) -> Attributes | None:
    """The stored attributes; None when the text is damaged, or no device can have these attributes."""
    try:
        attributes = load_attributes(text)
    except (ValueError, TypeError, AttributeError):
        return None
    return attributes if read_attributes(attributes.pairs) == attributes else None


@lru_cache(maxsize=1_000)
def _app(prefix: str) -> int:
    """The number of the app whose tokens begin with this; -1 if it is not a number."""
    if not prefix:
        return DEFAULT_APP_ID
    number = prefix.rstrip()
    return int(number) if number.isdecimal() and len(number) <= MOST_DIGITS else -1
