"""Forgetting a device with many events, in both stores: in pieces, yet as a whole for everyone who reads."""

import asyncio
from typing import Any

import pytest

from abtest.domain import DEFAULT_APP, Change, Event, parse_metrics
from abtest.results import worker
from abtest.store.relational import erasing
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust import VerificationService
from tests.scenes import ANNA, experiment, tokens

METRICS = ("conversion:purchase", "amount:purchase", "amount:purchase/1d")


def purchases(prefix: str, number: int) -> list[Event]:
    """Purchases, each followed by an exposure."""
    return [
        event
        for n in range(number // 2)
        for event in (
            Event(f"{prefix}-{n}", "purchase", amount=n),
            Event(f"{prefix}-shown-{n}", "exposure", "color"),
        )
    ]


async def one_busy_device(store: SQLiteStore, number: int) -> None:
    """An experiment with a device `busy` that has this many events, and others with one each. All are counted."""
    await store.add([experiment("color", "1", "1", metrics=METRICS)], 1)
    await store.enrol(["busy", *tokens("a", 9)], 1)
    await store.track([("busy", purchases("secret", number))], 2)
    await store.track([(token, [Event("1", "purchase", amount=5)]) for token in tokens("a", 9)], 2)
    await worker.tick(store)


async def figures(store: SQLiteStore) -> tuple[list[int], list[int], int]:
    """Events and total of each metric, and the exposures."""
    (measured,) = await store.measured()
    cells = [[figure.sums for figure in metric] for metric in measured.metrics]
    return (
        [sum(sums.events for sums in metric) for metric in cells],
        [sum(sums.total for sums in metric) for metric in cells],
        sum(day.exposed for day in measured.days),
    )


OF_THE_OTHERS = ([9, 9, 9], [9, 45, 45], 0)


@pytest.fixture
def store(each_store: Any) -> Any:
    """A store of an empty database."""
    return each_store


async def test_what_the_worker_counts_while_a_device_is_being_forgotten_is_subtracted_too(store: SQLiteStore) -> None:
    await one_busy_device(store, 10)
    found = await store.read(erasing.counted, "busy")
    assert found is not None
    later = (*METRICS, "conversion:purchase/2d")
    await store.change("color", lambda _: Change(metrics=parse_metrics(later)), 3)
    await store.track([("busy", purchases("later", 6))], 3)
    await store.fold(most=15, now=4)  # so that the new metric counts some of the events, and the others none
    await store.fold(most=22, now=4)
    await store.fold(most=2, now=4)
    assert await store.write_all(erasing.forget, "busy", DEFAULT_APP, ANNA, 3, *found)
    assert not await store.write_all(erasing.forget, "busy", DEFAULT_APP, ANNA, 3, *found)
    assert (await VerificationService(store).verify()).findings == ()
    await worker.tick(store)
    assert (await VerificationService(store).verify()).findings == ()
    assert await figures(store) == ([9, 9, 9, 9], [9, 45, 45, 9], 0)


async def test_others_go_on_and_see_all_of_a_device_or_nothing(
    store: SQLiteStore, other_store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "EVENTS_AT_ONCE", 10)
    await one_busy_device(store, 200)
    before = await figures(store)
    seen: list[tuple[list[int], list[int], int]] = []
    forgetting = asyncio.create_task(store.forget(["busy"]))
    while not forgetting.done():
        await other_store.enrol([f"new-{len(seen)}"], 3)
        seen.append(await figures(other_store))
    assert len(seen) > 5
    assert all(each in (before, OF_THE_OTHERS) for each in seen)
    assert seen[-1] == OF_THE_OTHERS
    assert await forgetting == 1
    assert (await VerificationService(store).verify()).findings == ()
