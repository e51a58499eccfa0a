import asyncio
from decimal import Decimal

import pytest

from abtest import clock
from abtest.domain.events import Event
from abtest.domain.experiments import Change
from abtest.results import worker
from abtest.store.postgres import PostgresStore
from abtest.store.sqlite import SQLiteStore
from abtest.trust.verification import VerificationService
from tests.scenes import answers, experiment, tokens, until

FAILING = {
    SQLiteStore: (
        "CREATE TRIGGER failing BEFORE UPDATE OF device_watermark ON summary "
        "BEGIN SELECT raise(ABORT, 'in the middle'); END",
        "DROP TRIGGER failing",
    ),
    PostgresStore: (
        "CREATE FUNCTION fail() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN RAISE 'in the middle'; END $$; "
        "CREATE TRIGGER failing BEFORE UPDATE OF device_watermark ON summary EXECUTE FUNCTION fail()",
        "DROP TRIGGER failing ON summary",
    ),
}
"""How to begin and to end it. The watermark moves last: by then a fold has written all its counts."""

DAMAGE = "UPDATE experiment SET baseline = 'gone' WHERE id = 1"


async def test_a_tick_folds_all_that_is_new_and_only_that(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    assert await worker.tick(store) == 0
    await answers(store, tokens("a", worker.CHUNK + 10))
    assert [await worker.tick(store), await worker.tick(store)] == [worker.CHUNK + 10, 0]
    assert (await store.summary()).counts == {(1, 1): (5005, 5005)}


async def test_devices_before_and_after_new_weights_are_counted_in_their_own_phases(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1"), experiment("price", "1", "1")], 1)
    await answers(store, tokens("a", 10))
    await store.change("color", lambda _: Change(weights=(Decimal(0), Decimal(1))), 2)
    await answers(store, tokens("b", 6))
    assert await worker.tick(store) == 16
    assert (await store.summary()).counts == {(1, 1): (5, 5), (1, 2): (0, 6), (2, 1): (8, 8)}
    assert not (await VerificationService(store).verify()).broken


async def test_a_worker_that_fails_inside_a_fold_counts_nothing_twice(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    await answers(store, tokens("a", 100))

    begin, end = FAILING[type(store)]
    await store.write(lambda connection: connection.execute(begin))
    for _ in range(3):
        with pytest.raises(RuntimeError, match="in the middle"):
            await worker.tick(store)
    await store.write(lambda connection: connection.execute(end))
    assert await worker.tick(store) == 100
    assert (await store.summary()).counts == {(1, 1): (50, 50)}
    assert not (await VerificationService(store).verify()).broken


async def test_a_second_worker_waits_for_the_end_of_the_first(store: SQLiteStore, other_store: SQLiteStore) -> None:
    said: list[str] = []
    stop = asyncio.Event()
    assert await store.try_lease()
    waiting = asyncio.create_task(worker.work(other_store, 0.05, said.append, stop))
    await until(lambda: said)
    assert (await other_store.summary()).as_of is None
    await store.close()
    await until(lambda: len(said) == 2)
    stop.set()
    await waiting
    assert (await other_store.summary()).as_of is not None
    assert said == ["another worker is at work; waiting until it ends", "the other worker ended; taking over"]


async def test_devices_of_several_hours_are_counted_in_their_own(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    for hour in (5, 5, 7):
        await store.enrol(tokens(f"at-{hour}-{await worker.tick(store)}", 10), hour * clock.HOUR + 1)
    await store.enrol(tokens("later", 10), 9 * clock.HOUR)
    await worker.tick(store)
    assert await store.enrolled_per_hour(1) == [(5, 20), (7, 10), (9, 10)]


async def test_an_experiment_that_cannot_be_judged_keeps_no_other_from_its_results(
    store: SQLiteStore, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = ("conversion:purchase",)
    await store.add([experiment(key, "1", "1", metrics=metrics) for key in ("color", "price")], 1)
    await answers(store, tokens("a", 100))
    await store.track([(token, [Event("1", "purchase")]) for token in tokens("a", 60)], clock.now())
    while (await store.fold(1_000, clock.now())).left:
        pass
    await store.write(lambda connection: connection.execute(DAMAGE))
    ticking = worker.Worker(store)
    await ticking.tick()
    await answers(store, tokens("b", 10))
    await ticking.tick()
    assert set(await store.results()) == {2}
    assert [record.args for record in caplog.records] == [("color",)]
