"""Test devices: functions on a connection, each run inside one transaction."""

from collections.abc import Mapping

from abtest.domain import (
    DEFAULT_APP,
    KEY,
    MOST_TEST_DEVICES,
    PROGRAM,
    Action,
    By,
    Facts,
    TestDevice,
    differing,
    scoped,
    unscoped,
)
from abtest.errors import ChangedMeanwhile, Conflict, InvalidTestDevice, UnknownExperiment, UnknownTestDevice
from abtest.language import counted
from abtest.store.figures import Tested
from abtest.store.relational.cataloguing.app_rows import RAISE_CONFIG_VERSION, app_id
from abtest.store.relational.connection import Connection
from abtest.store.relational.journal import record

TEST_DEVICES = """
SELECT id, token, note, made_by, made_at, EXISTS (SELECT 1 FROM device_token WHERE token = test_device.token)
FROM test_device WHERE app_id = ? ORDER BY id
"""

TEST_DEVICE = """
SELECT id, token, note, made_by, made_at, EXISTS (SELECT 1 FROM device_token WHERE token = test_device.token)
FROM test_device WHERE token = ?
"""

VALUES = """
SELECT experiment.key, variant.value
FROM test_value
JOIN experiment ON experiment.id = test_value.experiment_id
JOIN variant ON variant.id = test_value.variant_id
WHERE test_device_id = ? ORDER BY experiment.key
"""

VARIANTS = """
SELECT variant.value, experiment.id, variant.id
FROM experiment JOIN variant ON variant.experiment_id = experiment.id
WHERE app_id = ? AND kind = 'experiment' AND key = ? AND place >= 0 ORDER BY place
"""

COUNT = "SELECT count(*) FROM test_device WHERE app_id = ?"

TESTED = """
SELECT count(*), count(device_id)
FROM test_value
JOIN test_device ON test_device.id = test_device_id
LEFT JOIN device_token ON device_token.token = test_device.token
WHERE experiment_id = ?
"""

ADD = "INSERT INTO test_device (app_id, token, note, made_by, made_at) VALUES (?, ?, ?, ?, ?) RETURNING id"

ADD_VALUE = "INSERT INTO test_value (test_device_id, experiment_id, variant_id) VALUES (?, ?, ?)"

REMOVE = "DELETE FROM test_device WHERE token = ?"


def test_devices(connection: Connection, app: str = DEFAULT_APP) -> list[TestDevice]:
    """The test devices of an app, in the order in which they were made or last changed. Raises UnknownApp."""
    rows = connection.execute(TEST_DEVICES, (app_id(connection, app),)).fetchall()
    return [_test_device(connection, *row) for row in rows]


def test_device(connection: Connection, token: str, app: str = DEFAULT_APP) -> TestDevice | None:
    """The test device of an app with this token, if there is one. Raises UnknownApp."""
    row = connection.execute(TEST_DEVICE, (scoped(app_id(connection, app), token),)).fetchone()
    return None if row is None else _test_device(connection, *row)


def add_test_device(
    connection: Connection,
    token: str,
    values: Mapping[str, str],
    note: str,
    now: int,
    app: str = DEFAULT_APP,
    by: By = PROGRAM,
    newest: int | None = None,
) -> tuple[TestDevice, bool]:
    """Make a token a test device that gets these values, by key. Also returns whether it was one before.

    Saving it as it was changes nothing. `newest`: the largest number of a test device that the caller has seen.
    Raises UnknownApp, UnknownExperiment, InvalidTestDevice when an experiment has no such value, Conflict when the
    app has too many test devices, or ChangedMeanwhile.
    """
    id = app_id(connection, app)
    chosen = [_variant(connection, id, key, value) for key, value in values.items()]
    there = scoped(id, token)
    before = test_device(connection, token, app)
    _require_seen(before, newest)
    if before is not None and (before.values, before.note) == (values, note):
        return before, True
    connection.execute(REMOVE, (there,))
    if connection.execute(COUNT, (id,)).fetchone() >= (MOST_TEST_DEVICES,):
        message = f"there are {counted(MOST_TEST_DEVICES, 'test device')} already; remove one first"
        raise Conflict(message, code="too_many_test_devices")
    ((number,),) = connection.execute(ADD, (id, there, note, by.name, now))
    connection.executemany(ADD_VALUE, [(number, *each) for each in chosen])
    connection.execute(RAISE_CONFIG_VERSION)
    if before is None:
        record(connection, by, now, Action.ADD_TEST_DEVICE, app, after=_facts(values))
    else:
        differ = differing(_facts(before.values), _facts(values))
        record(connection, by, now, Action.CHANGE_TEST_DEVICE, app, "", *differ)
    made = _test_device(connection, *connection.execute(TEST_DEVICE, (there,)).fetchone())
    return made, before is not None


def remove_test_device(
    connection: Connection,
    token: str,
    now: int,
    app: str = DEFAULT_APP,
    by: By = PROGRAM,
    newest: int | None = None,
) -> bool:
    """Remove a test device; returns whether it is a device. `newest`: as above.

    Raises UnknownApp, UnknownTestDevice or ChangedMeanwhile.
    """
    there = scoped(app_id(connection, app), token)
    found = test_device(connection, token, app)
    if found is None:
        raise UnknownTestDevice
    _require_seen(found, newest)
    connection.execute(REMOVE, (there,))
    connection.execute(RAISE_CONFIG_VERSION)
    record(connection, by, now, Action.REMOVE_TEST_DEVICE, app, before=_facts(found.values))
    return found.is_device


def tested(connection: Connection, experiment_id: int) -> Tested:
    """How many test devices have a value of an experiment."""
    return Tested(*connection.execute(TESTED, (experiment_id,)).fetchone())


def _require_seen(found: TestDevice | None, newest: int | None) -> None:
    if found is not None and newest is not None and found.number > newest:
        raise ChangedMeanwhile(f"this test device was changed by {found.made_by} meanwhile; look at it and try again")


def _facts(values: Mapping[str, str]) -> Facts:
    """What the journal keeps: not the token and the note, which say whose device it is, and go if it is forgotten."""
    return {"values": dict(values)}


def _test_device(
    connection: Connection, id: int, scoped_token: str, note: str, made_by: str, made_at: int, is_device: int
) -> TestDevice:
    values = dict(connection.execute(VALUES, (id,)).fetchall())
    return TestDevice(id, unscoped(scoped_token), values, note, made_by, made_at, bool(is_device))


def _variant(connection: Connection, app: int, key: str, value: str) -> tuple[int, int]:
    """The ids of an experiment and of one of its variants."""
    rows = connection.execute(VARIANTS, (app, key)).fetchall() if KEY.fullmatch(key) else []
    if not rows:
        raise UnknownExperiment(key)
    for text, experiment, variant in rows:
        if text == value:
            return int(experiment), int(variant)
    there = ", ".join(text for text, *_ in rows)
    raise InvalidTestDevice(f"the experiment {key} has no value {value!r}; it has {there}")
