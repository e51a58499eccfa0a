"""Combinations of attributes: each is kept once, and their number is bounded."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from abtest.domain import Attributes, read_attributes
from abtest.store.relational.enrolling import profiles
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust.verification import VerificationService

IOS = read_attributes([("platform", "ios"), ("country", "DE")])
ATTRIBUTES = """
SELECT coalesce(attributes, '{}')
FROM device_token JOIN device ON device.id = device_id LEFT JOIN profile ON profile.id = profile_id
WHERE device_token.token = ?
"""
ANDROID = read_attributes([("platform", "android"), ("country", "DE")])


@pytest.fixture
def store(each_store: Any) -> Any:
    """A store of an empty database."""
    return each_store


async def rows(store: SQLiteStore, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    return await store.read(lambda connection: [tuple(row) for row in connection.execute(query, parameters)])


async def kept(store: SQLiteStore, token: str) -> dict[str, str]:
    ((text,),) = await rows(store, ATTRIBUTES, token)
    return dict(json.loads(text))


async def is_sound(store: SQLiteStore) -> bool:
    """Whether `verify` finds nothing in SQLite. PostgreSQL is not verified here."""
    return not isinstance(store, SQLiteStore) or not (await VerificationService(store).verify()).broken


async def enrol(store: SQLiteStore, devices: Sequence[Attributes], prefix: str = "a") -> None:
    attributes = {f"{prefix}-{place}": each for place, each in enumerate(devices)}
    await store.enrol(list(attributes), 1, attributes)


async def test_equal_attributes_of_many_devices_are_one_profile(store: SQLiteStore) -> None:
    await enrol(store, [IOS, ANDROID, IOS, Attributes()])
    await enrol(store, [ANDROID, IOS], "b")
    assert await rows(store, "SELECT profile_id FROM device ORDER BY id") == [(1,), (2,), (1,), (None,), (2,), (1,)]
    assert await rows(store, "SELECT attributes FROM profile ORDER BY id") == [
        ('{"country":"DE","platform":"ios"}',),
        ('{"country":"DE","platform":"android"}',),
    ]


async def test_another_process_finds_the_same_profile(store: SQLiteStore, other_store: SQLiteStore) -> None:
    await enrol(store, [ANDROID, IOS])
    await enrol(other_store, [IOS, read_attributes([("language", "fr")])], "b")
    await enrol(store, [read_attributes([("language", "fr")])], "c")
    assert await rows(store, "SELECT profile_id FROM device ORDER BY id") == [(1,), (2,), (2,), (3,), (3,)]


async def test_attributes_are_taken_from_the_first_request_alone(store: SQLiteStore) -> None:
    await store.enrol(["device", "silent"], 1, {"device": IOS})
    await store.enrol(["device", "silent"], 1, {"device": ANDROID, "silent": ANDROID})
    assert await kept(store, "device") == {"country": "DE", "platform": "ios"}
    assert await kept(store, "silent") == {}


async def test_a_profile_of_a_transaction_that_failed_is_not_remembered(store: SQLiteStore) -> None:
    with pytest.raises(RuntimeError):
        await store.enrol(["twice", "twice"], 1, {"twice": IOS})
    await enrol(store, [ANDROID, IOS])
    assert await kept(store, "a-1") == {"country": "DE", "platform": "ios"}


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave room for 10 combinations of five attributes, and for one more with each attribute fewer."""
    monkeypatch.setattr(profiles, "MOST_PROFILES", 14)
    monkeypatch.setattr(profiles, "RESERVED_PROFILES", 4)


async def shortened(store: SQLiteStore) -> int:
    return int((await rows(store, "SELECT shortened_devices FROM app"))[0][0])


FIVE = {"platform": "ios", "country": "DE", "language": "de", "app_version": "1", "os_version": "17"}


@pytest.mark.usefixtures("room")
async def test_devices_without_room_lose_the_same_attribute_first(store: SQLiteStore) -> None:
    various = [read_attributes((FIVE | {"os_version": f"17.{place}"}).items()) for place in range(20)]
    await enrol(store, various)
    for place, attributes in enumerate(various):
        left_out = {"os_version"} if place >= 10 else set()
        assert await kept(store, f"a-{place}") == {
            name: value for name, value in attributes.pairs if name not in left_out
        }
    assert await shortened(store) == 10
    await enrol(store, [various[0], various[19]], "b")
    assert await kept(store, "b-0") == dict(various[0].pairs)
    assert await shortened(store) == 11
    assert await is_sound(store)


@pytest.mark.usefixtures("room")
async def test_a_device_that_sends_little_finds_room_for_all_of_it(store: SQLiteStore) -> None:
    await enrol(store, [read_attributes((FIVE | {"os_version": f"17.{place}"}).items()) for place in range(20)])
    await enrol(store, [ANDROID, read_attributes([("platform", "web")])], "b")
    assert await kept(store, "b-0") == {"platform": "android", "country": "DE"}
    assert await kept(store, "b-1") == {"platform": "web"}
    assert await shortened(store) == 10


@pytest.mark.usefixtures("room")
async def test_when_all_profiles_are_taken_the_longest_part_that_is_kept_is_used(store: SQLiteStore) -> None:
    await enrol(
        store, [read_attributes([("country", "DE"), ("language", "de")]), read_attributes([("platform", "ios")])]
    )
    await enrol(store, [read_attributes([("platform", f"made-up-{place}")]) for place in range(12)], "b")
    assert await rows(store, "SELECT max(id), count(*) FROM profile") == [(14, 14)]
    await enrol(store, [read_attributes(FIVE.items()), IOS, read_attributes([("country", "FR")])], "c")
    assert await kept(store, "c-0") == {"country": "DE", "language": "de"}
    assert await kept(store, "c-1") == {"platform": "ios"}
    assert await kept(store, "c-2") == {}
    assert await shortened(store) == 3
    assert await is_sound(store)


async def test_a_process_remembers_no_more_than_some_profiles(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "MOST_REMEMBERED", 5)
    for place in range(20):
        await enrol(store, [read_attributes([("os_version", str(place))]), IOS], f"of-{place}")
        assert len(store._kept.known()[1]) <= 5
    assert await rows(store, "SELECT count(*) FROM profile") == [(21,)]
