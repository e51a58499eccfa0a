"""What would come of an experiment."""

from decimal import Decimal
from fractions import Fraction

import pytest
from msgspec import structs

from abtest import clock
from abtest.domain import Attributes
from abtest.management import HoldoutService
from abtest.results import ProspectService
from abtest.store.sqlite.store import SQLiteStore
from tests.scenes import ANNA, experiment, tokens


async def phones(store: SQLiteStore) -> None:
    """600 new devices, 400 of them iPhones."""
    said = {
        token: Attributes((("platform", "ios" if place % 3 else "android"),))
        for place, token in enumerate(tokens("phone", 600))
    }
    await store.enrol(list(said), clock.now(), said)


async def test_the_shares_of_600_devices_are_exact(store: SQLiteStore) -> None:
    found = await ProspectService(store).of(experiment("price", "75", "10", "5", "10"))
    assert [share.devices for share in found.shares] == [450, 60, 30, 60]
    thirds = await ProspectService(store).of(experiment("color", "1", "1", "0"))
    assert [share.part for share in thirds.shares] == [Fraction(1, 2), Fraction(1, 2), 0]


async def test_the_audience_is_tried_on_the_newest_devices(store: SQLiteStore) -> None:
    await phones(store)
    found = await ProspectService(store).of(experiment("price", "1", "1", audience=["platform=ios"]))
    assert (found.per_day, found.devices, found.inside) == (600, 600, 400)
    assert found.taking_part(600) == 400


async def test_coverage_group_and_holdouts_leave_fewer(store: SQLiteStore) -> None:
    await phones(store)
    await HoldoutService(store, by=ANNA).add("everything", Decimal("0.1"))
    new = structs.replace(experiment("price", "1", "1", coverage="0.5"), group="screen", group_share=Decimal("0.4"))
    found = await ProspectService(store).of(new)
    assert found.part == pytest.approx(0.5 * 0.4 * 0.9)
    assert found.holdouts == ("everything",)


async def test_a_holdout_that_has_ended_keeps_nobody_out(store: SQLiteStore) -> None:
    holdouts = HoldoutService(store, by=ANNA)
    await holdouts.add("everything", Decimal("0.1"))
    await holdouts.end("everything")
    found = await ProspectService(store).of(experiment("price", "1", "1"))
    assert (found.part, found.holdouts) == (1, ())


async def test_without_a_device_every_one_is_thought_to_be_inside(store: SQLiteStore) -> None:
    found = await ProspectService(store).of(experiment("price", "1", "1", audience=["platform=ios"]))
    assert (found.per_day, found.part) == (0, 1)
