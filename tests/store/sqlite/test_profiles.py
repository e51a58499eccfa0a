"""Combinations of attributes: each is kept once, and there is a bound."""

from collections.abc import Sequence
from typing import Any

import pytest

from abtest.domain import Attributes, readable
from abtest.store.sqlite import profiles
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust.verification import VerificationService
from tests.scenes import opened

IOS = readable([("platform", "ios"), ("country", "DE")])
ANDROID = readable([("platform", "android"), ("country", "DE")])


async def rows(store: SQLiteStore, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await (await store._writer.execute(query)).fetchall()]


async def kept(store: SQLiteStore, token: str) -> dict[str, str]:
    return dict((await store.device(token)).attributes.pairs)


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


async def test_another_process_finds_the_same_profile(store: SQLiteStore) -> None:
    await enrol(store, [ANDROID, IOS])
    async with opened(store.path) as other:
        await enrol(other, [IOS, readable([("language", "fr")])], "b")
    await enrol(store, [readable([("language", "fr")])], "c")
    assert await rows(store, "SELECT profile_id FROM device ORDER BY id") == [(1,), (2,), (2,), (3,), (3,)]


async def test_only_the_first_request_says_something(store: SQLiteStore) -> None:
    await store.enrol(["device", "silent"], 1, {"device": IOS})
    await store.enrol(["device", "silent"], 1, {"device": ANDROID, "silent": ANDROID})
    assert await kept(store, "device") == {"country": "DE", "platform": "ios"}
    assert await kept(store, "silent") == {}


async def test_a_profile_of_a_transaction_that_failed_is_not_known(store: SQLiteStore) -> None:
    await store._writer.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON device_token BEGIN SELECT raise(ABORT, 'no'); END"
    )
    with pytest.raises(Exception, match="no"):
        await enrol(store, [IOS])
    await store._writer.execute("DROP TRIGGER refuse")
    await enrol(store, [ANDROID, IOS])
    assert await kept(store, "a-1") == {"country": "DE", "platform": "ios"}


async def test_without_room_the_rarest_attribute_is_left_out_and_counted(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "MOST_PROFILES", 12)
    monkeypatch.setattr(profiles, "RESERVED_PROFILES", 2)
    various = [readable([("platform", "ios"), ("os_version", f"17.{place}")]) for place in range(20)]
    await enrol(store, various)
    for place, attributes in enumerate(various):
        expected = dict(attributes.pairs) if place < 10 else {"platform": "ios"}
        assert await kept(store, f"a-{place}") == expected
    assert await rows(store, "SELECT max(id), count(*) FROM profile") == [(11, 11)]
    await enrol(store, [various[0], various[19], ANDROID], "b")
    assert await kept(store, "b-0") == dict(various[0].pairs)
    assert await kept(store, "b-2") == {"platform": "android", "country": "DE"}
    await enrol(store, [readable([("country", "FR"), ("os_version", "1")])], "c")
    assert await kept(store, "c-0") == {}
    assert await rows(store, "SELECT value FROM meta WHERE name = 'shortened_devices'") == [(13,)]
    assert not (await VerificationService(store).verify()).broken


async def test_all_profiles_are_read_only_once_to_find_the_rarest(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "MOST_PROFILES", 1)
    monkeypatch.setattr(profiles, "RESERVED_PROFILES", 0)
    ran: list[str] = []
    for connection in store._connections:
        connection._conn.set_trace_callback(ran.append)
    for place in range(3):
        await enrol(store, [readable([("os_version", str(place))])], f"of-{place}")
    assert ran.count(profiles.RAREST) == 1
