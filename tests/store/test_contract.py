"""What every store must do. Another store is put under it by adding it to `stores`."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from abtest.errors import Conflict, UnknownExperiment
from abtest.models import Change, Status
from abtest.store.base import AssignmentRecord
from abtest.store.sqlite import SQLiteStore
from tests.scenes import answers, experiment, opened, tokens

stores = [SQLiteStore]


@pytest.fixture(params=stores, ids=lambda store: store.__name__)
def store(request: pytest.FixtureRequest, tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStore]:
    opened = request.param(tmp_path / "abtest.db")
    io_loop.run_sync(opened.open)
    yield opened
    io_loop.run_sync(opened.close)


async def test_600_devices_are_shared_exactly_however_they_come(store: SQLiteStore) -> None:
    await store.add([experiment("color", "33.3", "33.3", "33.3"), experiment("price", "75", "10", "5", "10")], 1)
    got = await answers(store, tokens("a", 1)) + await answers(store, tokens("b", 7))
    got += await answers(store, tokens("c", 592))
    assert Counter(answer["color"] for answer in got) == {"color-0": 200, "color-1": 200, "color-2": 200}
    assert sorted(Counter(answer["price"] for answer in got).values()) == [30, 60, 60, 450]


async def test_a_known_device_keeps_its_answer(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", "1")], 1)
    first = await answers(store, tokens("a", 50))
    mixed = tokens("b", 20) + tokens("a", 50)
    assert await answers(store, mixed) == await answers(store, mixed)
    assert await answers(store, tokens("a", 50)) == first


async def test_an_experiment_takes_only_devices_that_come_after_it(store: SQLiteStore) -> None:
    assert await answers(store, ["early"]) == [{}]
    await store.add([experiment("color", "1", "1")], 1)
    assert await answers(store, ["early"]) == [{}]
    assert list((await answers(store, ["late"]))[0]) == ["color"]


async def test_known_devices_are_found_and_unknown_ones_are_not_stored(store: SQLiteStore) -> None:
    await store.enrol(["known"], 1)
    for _ in range(2):
        assert (await store.find(["known", "unknown"])).variants == {"known": ()}


async def test_a_device_keeps_its_variant_after_the_weights_change(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    before = await answers(store, tokens("a", 10))
    await store.change("color", lambda _: Change(weights=(Decimal(0), Decimal(1))), 2)
    assert await answers(store, tokens("a", 10)) == before
    assert await answers(store, tokens("b", 10)) == [{"color": "color-1"}] * 10


async def test_only_a_running_experiment_enrols(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", draft=True)], 1)
    assert await answers(store, ["drafted"]) == [{}]
    await store.change("color", lambda _: Change(status=Status.RUNNING), 2)
    running = await answers(store, ["running"])
    await store.change("color", lambda _: Change(status=Status.PAUSED), 3)
    assert await answers(store, ["drafted", "running", "paused"]) == [{}, *running, {}]


async def test_a_winner_goes_to_new_devices_outside_the_statistics(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    before = await answers(store, ["before"])
    await store.change("color", lambda _: Change(status=Status.FINISHED, winner="color-1"), 2)
    assert await answers(store, ["before", "after"]) == [*before, {"color": "color-1"}]
    assert (await store.experiments())[0].phase.enrolled == 1


async def test_an_archived_experiment_is_delivered_to_nobody(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    await answers(store, ["before"])
    version = await store.config_version()
    await store.change("color", lambda _: Change(status=Status.ARCHIVED), 2)
    assert await answers(store, ["before", "after"]) == [{}, {}]
    assert await store.config_version() > version


async def test_a_key_is_taken_once_and_nothing_is_half_added(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    with pytest.raises(Conflict, match="color"):
        await store.add([experiment("price", "1", "1"), experiment("color", "1", "1")], 2)
    assert [found.key for found in await store.experiments()] == ["color"]


async def test_a_change_of_nothing_is_refused(store: SQLiteStore) -> None:
    with pytest.raises(UnknownExperiment, match="nothing"):
        await store.change("nothing", lambda _: Change(), 1)


async def test_the_summary_counts_each_device_once(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    for batch in ("a", "b"):
        await answers(store, tokens(batch, 30))
        assert [await store.fold(most=20, now=5) for _ in range(3)] == [(20, 10), (10, 0), (0, 0)]
    summary = await store.summary()
    assert (summary.as_of, summary.devices) == (5, 60)
    assert summary.counts == {(summary.experiments[0].id, 1): (30, 30)}
    assert await store.enrolled_per_hour(summary.experiments[0].id) == [(0, 60)]


async def test_winners_and_devices_outside_are_not_in_the_summary(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    await store.change("color", lambda _: Change(status=Status.FINISHED, winner="color-1"), 2)
    await answers(store, tokens("late", 10))
    await store.fold(most=100, now=5)
    summary = await store.summary()
    assert (summary.devices, list(summary.counts.values())) == (10, [(0, 0)])


async def test_a_device_is_found_with_all_its_assignments(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1"), experiment("price", "1", "1")], 1)
    await answers(store, tokens("a", 3))
    ledger, device = await store.ledger(), await store.device("a-2")
    assert (ledger.devices, ledger.last_device, device.id) == (3, 3, 3)
    assert [assignment.position for assignment in device.assignments] == [2, 2]
    chunk = await store.chunk(after=2, upto=9)
    assert chunk.devices == [(3, device.first_seen)]
    assert [AssignmentRecord(*row[1:]) for row in chunk.assignments] == list(device.assignments)


async def test_one_store_at_a_time_holds_the_lease(store: SQLiteStore, tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as other:
        assert [store.try_lease(), store.try_lease(), other.try_lease()] == [True, True, False]
        await store.close()
        assert other.try_lease()
