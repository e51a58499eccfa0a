"""How many new devices an app gets each day, and what the newest of them say."""

from typing import Any

import pytest

from abtest import clock
from abtest.domain import Attributes, scoped
from abtest.store.relational.enrolling import arrivals
from abtest.store.sqlite.store import SQLiteStore
from tests.scenes import tokens


@pytest.fixture
def store(each_store: Any) -> Any:
    """A store of an empty database."""
    return each_store


NOW = 1_800_000_000_000
IOS, ANDROID = (Attributes((("platform", name),)) for name in ("ios", "android"))


async def come(store: SQLiteStore, number: int, days_ago: float, said: Attributes = IOS, app: int = 1) -> None:
    """This many new devices, at that time."""
    at = NOW - round(days_ago * clock.DAY)
    there = [scoped(app, token) for token in tokens(f"{at}-{said.pairs[0][1]}", number)]
    await store.enrol(there, at, dict.fromkeys(there, said))


async def test_before_the_first_device_nothing_is_known(store: SQLiteStore) -> None:
    found = await store.newcomers(NOW)
    assert (found.per_day, found.devices, found.said) == (0, 0, ())


async def test_devices_of_the_last_week_count_and_older_ones_do_not(store: SQLiteStore) -> None:
    for days_ago, number in ((30, 50), (8, 50), (6.5, 20), (3, 30), (0.1, 20)):
        await come(store, number, days_ago)
    found = await store.newcomers(NOW)
    assert (found.per_day, found.devices) == (10, 70)


async def test_the_days_begin_with_the_first_device_and_are_at_least_one(store: SQLiteStore) -> None:
    await come(store, 600, 0.01)
    assert (await store.newcomers(NOW)).per_day == 600
    assert (await store.newcomers(NOW + 2 * clock.DAY)).per_day == 299


async def test_what_devices_say_is_counted_and_so_is_silence(store: SQLiteStore) -> None:
    await come(store, 3, 2, IOS)
    await come(store, 2, 1, ANDROID)
    await store.enrol(["silent"], NOW)
    said = dict((await store.newcomers(NOW)).said)
    assert said == {IOS: 3, ANDROID: 2, Attributes(): 1}


async def test_every_app_has_its_own_new_devices(store: SQLiteStore) -> None:
    await store.add_app("staging", NOW)
    await come(store, 30, 3)
    await come(store, 60, 2, app=2)
    assert (await store.newcomers(NOW)).per_day == 10
    staging = await store.newcomers(NOW, "staging")
    assert (staging.per_day, staging.devices) == (20, 60)


async def test_only_the_newest_devices_are_read_and_stand_for_all(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "MOST", 10)
    await come(store, 90, 1, ANDROID)
    await come(store, 10, 0, IOS)
    found = await store.newcomers(NOW)
    assert (found.per_day, found.devices, dict(found.said)) == (100, 10, {IOS: 10})
