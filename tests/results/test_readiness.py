"""What is ready and what is missing before an experiment starts."""

from decimal import Decimal

from msgspec import structs

from abtest import clock
from abtest.domain import Attributes
from abtest.management import ExperimentService, GroupService, HoldoutService, as_declared
from abtest.results import ProspectService, checks
from abtest.store.sqlite.store import SQLiteStore
from tests.scenes import ANNA, experiment, tokens

NOW = 100 * clock.DAY


async def told(store: SQLiteStore, key: str, per_day: int = 0) -> dict[str, bool]:
    """The sentences, and whether each says that something is ready."""
    one, present = await ExperimentService(store, by=ANNA).one(key), await ExperimentService(store, by=ANNA).all()
    prospect = await ProspectService(store).of(as_declared(one).new)
    found = checks(one, structs.replace(prospect, per_day=per_day), present, NOW)
    return {each.sentence: each.ready for each in found}


async def test_a_plan_says_how_long_it_takes_with_the_devices_that_come(store: SQLiteStore) -> None:
    new = experiment("color", "1", "1", draft=True, metrics=["conversion:buy"], coverage="0.5")
    await store.add([new], 1)
    await ExperimentService(store, by=ANNA).measure("color", planned=10_000)
    assert (await told(store, "color"))[
        "It is not known how many devices come per day: none came in the last week"
    ] is False
    come = "about 1,000 new devices come per day, of which about 500 would take part"
    assert (await told(store, "color", 1000))[f"The planned devices take about 20 days: {come}"]
    slow = next(each for each in await told(store, "color", 100) if each.startswith("The planned devices take"))
    assert slow.startswith("The planned devices take about 200 days: ")
    assert slow.endswith("That is long: plan for a larger effect, or fewer variants")
    assert "Hardly any device would take part: 1 new device comes per day" not in await told(store, "color", 100)


async def test_the_start_counts_on_the_devices_that_the_form_counted_on(store: SQLiteStore) -> None:
    said = {token: Attributes((("platform", "ios"),)) for token in tokens("phone", 300)}
    await store.enrol(list(said), clock.now(), said)
    await store.enrol(tokens("other", 300), clock.now())
    await HoldoutService(store, by=ANNA).add("year", Decimal("0.2"))
    await store.add([experiment("color", "1", "1", draft=True, audience=["platform=ios"])], clock.now())
    await ExperimentService(store, by=ANNA).measure("color", planned=2_400)
    come = "about 600 new devices come per day, of which about 240 would take part"
    assert (await told(store, "color", 600))[f"The planned devices take about 10 days: {come}"]


async def test_devices_of_other_audiences_or_of_one_group_are_not_the_same_devices(store: SQLiteStore) -> None:
    await GroupService(store, by=ANNA).add("screen")
    await store.add([experiment("color", "1", "1", draft=True, audience=["app_version>=3", "platform=ios"])], 1)
    for key, audience in (("old", "app_version<2"), ("android", "platform!=ios"), ("grouped", "country=DE")):
        await store.add([experiment(key, "1", "1", audience=[audience])], 1)
    for key in ("grouped", "color"):
        await GroupService(store, by=ANNA).join("screen", key, Decimal("0.5"))
    assert (await told(store, "color"))["No other running experiment takes the same devices"]
    await store.add([experiment("all", "1", "1"), experiment("new", "1", "1", audience=["app_version>4"])], 1)
    assert any(
        each.startswith("all and new are running with the same devices. ") for each in await told(store, "color")
    )
