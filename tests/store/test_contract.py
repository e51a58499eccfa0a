"""What every store must do, in SQLite and in PostgreSQL."""

import asyncio
from collections import Counter
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings, strategies

from abtest import clock
from abtest.domain import scoped
from abtest.domain.events import Event
from abtest.domain.experiments import Change, NewExperiment, Status, Variant
from abtest.domain.metrics import parse_metrics
from abtest.domain.values import Type
from abtest.errors import Conflict, UnknownApp, UnknownDevice, UnknownExperiment
from abtest.results import worker
from abtest.results.judging import judged
from abtest.results.reports import ReportService
from abtest.store.audit import AssignmentRecord
from abtest.store.catalogue import Alteration
from abtest.store.figures import DayFigures, Folded, Measured
from abtest.store.sqlite.store import SQLiteStore
from abtest.trust.verification import VerificationService
from tests.scenes import answers, experiment, opened, tokens


@pytest.fixture
def store(each_store: Any) -> Any:
    """A store of an empty database."""
    return each_store


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


async def test_coverage_is_exact_after_each_block_and_other_devices_get_no_value(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", coverage="0.2")], 1)
    for block in range(5):
        got = await answers(store, tokens(f"of-{block}", 10))
        assert Counter(answer.get("color") for answer in got) == {"color-0": 1, "color-1": 1, None: 8}
        assert await answers(store, tokens(f"of-{block}", 10)) == got
    more = await answers(store, tokens("more", 7))
    assert (await store.experiments())[0].enrolled == 10 + sum("color" in answer for answer in more)


async def test_another_coverage_is_a_new_phase_and_devices_outside_stay_outside(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "3", coverage="0.2")], 1)
    before = await answers(store, tokens("a", 20))
    changed = await store.change("color", lambda _: Change(coverage=Decimal("0.5")), 2)
    assert [(phase.weights, phase.coverage) for phase in changed.phases] == [
        ((Decimal(1), Decimal(3)), Decimal(part)) for part in ("0.2", "0.5")
    ]
    later = await answers(store, tokens("b", 8))
    assert Counter(answer.get("color") for answer in later) == {"color-0": 1, "color-1": 3, None: 4}
    await store.change("color", lambda _: Change(coverage=Decimal(1)), 2)
    assert all(await answers(store, tokens("c", 8)))
    await store.change("color", lambda _: Change(status=Status.FINISHED, winner="color-1"), 3)
    assert await answers(store, ["won"]) == [{"color": "color-1"}]
    assert await answers(store, [*tokens("a", 20), *tokens("b", 8)]) == [*before, *later]


async def test_devices_outside_the_coverage_are_in_no_figure_that_is_judged(store: SQLiteStore) -> None:
    metrics = ("conversion:purchase", "amount:purchase")
    await store.add([experiment("color", "1", "1", metrics=metrics, coverage="0.2")], 1)
    asked = tokens("a", 50)
    await answers(store, asked)
    for token in asked:
        await store.track([(token, [Event("1", "purchase", amount=9), Event("2", "exposure", "color")])], 2)
    while (await store.fold(20, 3)).left:
        pass
    (measured,), summary = await store.measured(), await store.summary()
    assert {day.place for day in measured.days} == {each.place for each in measured.metrics[0]} == {0, 1}
    assert sum(day.devices for day in measured.days) == sum(day.exposed for day in measured.days) == 10
    assert [sum(each.sums.converters for each in figures) for figures in measured.metrics] == [10, 10]
    assert (measured.uncovered, summary.uncovered, summary.counts) == ({1: 40}, {(1, 1): 40}, {(1, 1): (5, 5)})
    assert await store.enrolled_per_hour(1) == [(0, 10)]
    assert judged(measured, 5).health.exact


async def test_only_a_running_experiment_enrols(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", draft=True)], 1)
    assert await answers(store, ["drafted"]) == [{}]
    await store.change("color", lambda _: Change(status=Status.RUNNING), 2)
    running = await answers(store, ["running"])
    await store.change("color", lambda _: Change(status=Status.PAUSED), 3)
    assert await answers(store, ["drafted", "running", "paused"]) == [{}, *running, {}]


async def test_new_devices_get_the_winner_and_are_not_in_the_statistics(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    before = await answers(store, ["before"])
    await store.change("color", lambda _: Change(status=Status.FINISHED, winner="color-1"), 2)
    assert await answers(store, ["before", "after"]) == [*before, {"color": "color-1"}]
    assert (await store.experiments())[0].phase.enrolled == 1


async def test_whoever_knows_sql_finds_a_row_for_each_assignment(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "0")], 1)
    await answers(store, ["a", "b"])
    await store.change("color", lambda _: Change(status=Status.FINISHED, winner="color-1"), 2)
    await store.add([experiment("price", "0", "1")], 3)
    await answers(store, ["c"])
    statement = """
        SELECT token, experiment.key, variant.value, phase.number, position FROM device_token
        JOIN assignment ON assignment.device_id = device_token.device_id
        JOIN experiment ON experiment.id = assignment.experiment_id
        JOIN phase ON phase.id = phase_id JOIN variant ON variant.id = variant_id
        ORDER BY assignment.device_id, experiment.id"""
    assert await store.read(lambda connection: connection.execute(statement).fetchall()) == [
        ("a", "color", "color-0", 1, 0),
        ("b", "color", "color-0", 1, 1),
        ("c", "color", "color-1", 1, None),
        ("c", "price", "price-1", 1, 0),
    ]


async def test_an_archived_experiment_is_delivered_to_no_device(store: SQLiteStore) -> None:
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


async def test_a_change_of_an_unknown_experiment_is_refused(store: SQLiteStore) -> None:
    with pytest.raises(UnknownExperiment, match="nothing"):
        await store.change("nothing", lambda _: Change(), 1)


async def test_experiments_are_altered_all_together_or_not_at_all(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    new = experiment("price", "1", "1")
    changes = (("color", Change(description="which?")), ("price", Change(status=Status.FINISHED, winner="price-1")))
    with pytest.raises(Conflict):
        await store.alter(lambda _: Alteration((new, experiment("color", "1", "1")), changes), 2)
    with pytest.raises(UnknownExperiment):
        await store.alter(lambda _: Alteration((new,), (*changes, ("nothing", Change()))), 2)
    assert [(each.key, each.description) for each in await store.experiments()] == [("color", "")]
    await store.alter(lambda present: Alteration((new,) if len(present) == 1 else (), changes), 2)
    assert [(each.key, each.description, each.status, each.winner) for each in await store.experiments()] == [
        ("color", "which?", Status.RUNNING, None), ("price", "", Status.FINISHED, "price-1"),
    ]  # fmt: skip


async def test_the_summary_counts_each_device_once(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    version = await store.config_version()
    for batch in ("a", "b"):
        await answers(store, tokens(batch, 30))
        assert [await store.fold(most=20, now=5) for _ in range(3)] == [
            Folded(20, 0, 10, version),
            Folded(10, 0, 0, version),
            Folded(0, 0, 0, version),
        ]
    summary = await store.summary()
    assert (summary.as_of, summary.devices) == (5, 60)
    assert summary.counts == {(summary.experiments[0].id, 1): (30, 30)}
    assert await store.enrolled_per_hour(summary.experiments[0].id) == [(0, 60)]


async def test_devices_that_only_get_the_winner_count_in_no_variant(store: SQLiteStore) -> None:
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
    assert chunk.devices == [(3, device.first_seen, None)]
    assert [AssignmentRecord(*row[1:]) for row in chunk.assignments] == list(device.assignments)


async def test_one_store_at_a_time_holds_the_lease(store: SQLiteStore, other_store: SQLiteStore) -> None:
    asked = store, store, other_store
    assert [await each.try_lease() for each in asked] == [True, True, False]
    await store.close()
    assert await other_store.try_lease()


def purchase(id: str, amount: int | None = None, at: int | None = None) -> Event:
    return Event(id, "purchase", amount=amount, at=at)


def exposure(id: str, key: str = "color", value: str | None = None) -> Event:
    return Event(id, "exposure", key, value=value)


async def folded(store: SQLiteStore, key: str = "color") -> Measured:
    """The figures of an experiment, after everything was folded."""
    while (await store.fold(most=3, now=5)).left:
        pass
    return next(each for each in await store.measured() if each.experiment.key == key)


async def test_an_event_is_stored_once(store: SQLiteStore) -> None:
    await store.enrol(["a", "b"], 1)
    twice = [purchase("1"), purchase("1"), purchase("2")]
    assert await store.track([("a", twice), ("b", [purchase("1")]), ("c", [purchase("1")])], 2) == [2, 1, None]
    assert await store.track([("a", twice)], 3) == [0]
    await store.add([experiment("color", "1", "1")], 1)
    found = await folded(store)
    assert (found.duplicate_events, found.unknown_device_events) == (4, 1)


async def test_an_exposure_in_an_unknown_experiment_is_kept_and_counted_once(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    await store.enrol(["a"], 1)
    told = [exposure("1", "colour"), exposure("2"), exposure("1", "colour")]
    assert await store.track([("a", told)], 2) == [2]
    assert await store.track([("a", told)], 3) == [0]
    found = await folded(store)
    assert (found.unknown_experiment_events, found.duplicate_events) == (1, 4)
    assert sum(day.exposed for day in found.days) == 1


async def test_metrics_are_folded_from_the_events_of_devices_that_were_drawn(store: SQLiteStore) -> None:
    await store.enrol(["early"], 1)
    await store.add([experiment("color", "1", "0", metrics=("conversion:purchase", "amount:purchase"))], 1)
    await store.enrol(tokens("a", 10), clock.DAY)
    asked = [("early", [purchase("1", 5)]), ("a-0", [purchase("1", 5), purchase("2", -7)]), ("a-1", [exposure("1")])]
    await store.track(asked, 2 * clock.DAY)
    await store.track([("a-0", [purchase("3", 10**16), exposure("4"), exposure("5")])], 3 * clock.DAY)
    found = await folded(store)
    assert found.days == (DayFigures(1, 0, 1, 10, 0), DayFigures(1, 0, 2, 0, 1), DayFigures(1, 0, 3, 0, 1))
    (conversion, repeated), (amount, later) = found.metrics
    assert (repeated.sums.converters, repeated.sums.events) == (0, 1)
    assert (conversion.day, conversion.sums.converters, conversion.sums.total, conversion.sums.events) == (2, 1, 1, 2)
    assert (amount.sums.total, amount.sums.squares) == (-2, 4)
    assert (later.sums.total, later.sums.squares) == (10**16, (10**16 - 2) ** 2 - 4)
    assert found.happened[0] == ((2, 1),)


async def test_a_device_counts_once_as_showing_its_own_value_and_once_as_showing_another(
    store: SQLiteStore,
) -> None:
    await store.add([experiment("color", "1", "0")], 1)
    await store.enrol(tokens("a", 4), clock.DAY)
    own, other = "color-0", "color-1"
    first: dict[str, list[str | None]] = {
        "a-0": [own],
        "a-1": [other, "default", other],
        "a-2": [other, own],
        "a-3": [None],
    }
    shown = [
        (token, [exposure(f"{n}", value=value) for n, value in enumerate(values)]) for token, values in first.items()
    ]
    await store.track(shown, clock.DAY)
    assert (await folded(store)).days == (DayFigures(1, 0, 1, 4, 3, 2),)
    await store.track([(token, [exposure("late", value=own)]) for token in tokens("a", 4)], 2 * clock.DAY)
    await store.track([("a-3", [exposure("later", value=other)])], 3 * clock.DAY)
    found = await folded(store)
    assert [(day.day, day.exposed, day.showed_other) for day in found.days] == [(1, 3, 2), (2, 1, 0), (3, 0, 1)]
    await store.forget(["a-1", "a-2"])
    found = await folded(store)
    assert [(day.day, day.exposed, day.showed_other) for day in found.days] == [(1, 2, 0), (2, 0, 0), (3, 0, 1)]


async def test_numbers_and_json_are_compared_as_such(store: SQLiteStore) -> None:
    for key, type, value in (("price", "number", "9.50"), ("page", "json", '{"a":[1.0,"x"],"b":true}')):
        variants = (Variant(value, Decimal(1)), Variant("0", Decimal(0)))
        await store.add([NewExperiment(key, variants, type=Type(type))], 1)
    await store.enrol(["a", "b"], 1)
    alike = [exposure("1", "price", "9.5"), exposure("2", "page", '{"b": true, "a": [1, "x"]}')]
    others = [exposure("1", "price", "9,50"), exposure("2", "page", "{")]
    await store.track([("a", alike), ("b", others)], 1)
    for key in ("price", "page"):
        assert [(day.exposed, day.showed_other) for day in (await folded(store, key)).days] == [(1, 1)]


async def test_events_after_the_end_do_not_count(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", metrics=("conversion:purchase",))], 1)
    await store.enrol(tokens("a", 4), 1)
    await store.track([("a-0", [purchase("1")])], 2)
    await store.change("color", lambda _: Change(status=Status.FINISHED, winner="color-1"), 3)
    await store.enrol(["late"], 3)
    await store.track([("a-1", [purchase("1"), exposure("2")]), ("late", [purchase("1"), exposure("2")])], 4)
    found = await folded(store)
    assert sum(figures.sums.converters for figures in found.metrics[0]) == 1
    assert sum(figures.exposed for figures in found.days) == 0


async def test_a_metric_that_is_added_later_counts_what_came_before(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", metrics=("conversion:purchase",))], 1)
    await store.enrol(tokens("a", 9), 1)
    await store.track([(token, [purchase("1", 3)]) for token in tokens("a", 9)], 2)
    await folded(store)
    metrics = parse_metrics(["amount:purchase", "conversion:purchase"])
    await store.change("color", lambda _: Change(metrics=metrics), 3)
    await store.track([("a-0", [purchase("2", 4)])], 4)
    amount, conversion = (await folded(store)).metrics
    assert sum(figures.sums.total for figures in amount) == 31
    assert sum(figures.sums.converters for figures in conversion) == 9


async def test_a_metric_that_is_put_back_continues_where_it_was(store: SQLiteStore) -> None:
    one, other = parse_metrics(["conversion:purchase"]), parse_metrics(["conversion:refund"])
    await store.add([experiment("color", "1", "1", metrics=("conversion:purchase",))], 1)
    await store.enrol(tokens("a", 3), 1)
    for number, metrics in enumerate((one, other, one)):
        changed = await store.change("color", lambda _, metrics=metrics: Change(metrics=metrics), 7)  # type: ignore[misc]
        assert changed.metrics == metrics
        await store.track([(f"a-{number}", [purchase("1")])], 2)
        await folded(store)
    assert changed.primary_changed_at == 7
    assert sum(figures.sums.converters for figures in (await folded(store)).metrics[0]) == 3


async def test_forgetting_a_device_subtracts_its_events(store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1", metrics=("amount:purchase", "conversion:purchase"))], 1)
    await store.enrol(tokens("a", 6), 1)
    asked = [(token, [purchase("1", place), exposure("2")]) for place, token in enumerate(tokens("a", 6))]
    await store.track(asked, 2)
    await folded(store)
    await store.track([("a-5", [purchase("3", 100)]), ("a-2", [purchase("3", 7)])], clock.DAY)
    assert await store.forget(["a-5", "nobody", "a-2"]) == 2
    found = await folded(store)
    assert sum(figures.sums.total for figures in found.metrics[0]) == 0 + 1 + 3 + 4
    assert sum(figures.sums.squares for figures in found.metrics[0]) == 0 + 1 + 9 + 16
    assert sum(figures.sums.events for figures in found.metrics[1]) == 4
    assert [sum(getattr(each, name) for each in found.days) for name in ("devices", "exposed")] == [6, 4]
    assert await store.track([("a-5", [purchase("9")])], 3) == [None]


async def test_results_are_kept(store: SQLiteStore) -> None:
    (color,) = await store.add([experiment("color", "1", "1")], 1)
    assert await store.result("color") is None
    for document in ("{}", "[]"):
        await store.conclude([(color.id, document)])
    assert (await store.result("color"), await store.results()) == ("[]", {color.id: "[]"})
    with pytest.raises(UnknownExperiment):
        await store.result("nothing")


async def test_the_same_token_in_two_apps_is_two_devices(store: SQLiteStore) -> None:
    staging = await store.add_app("staging", 1)
    await store.add([experiment("color", "1", "1")], 1, app="staging")
    await store.enrol(["a", scoped(staging.id, "a"), scoped(staging.id, "b")], 1)
    assert [(await store.device("a", app)).id for app in ("default", "staging")] == [1, 2]
    assert await store.forget(["a", "b"], "staging") == 2
    with pytest.raises(UnknownDevice):
        await store.device("a", "staging")
    assert (await store.device("a")).id == 1
    (after,) = await answers(store, [scoped(staging.id, "a")])
    assert after.keys() == {"color"}


async def test_whatever_is_asked_of_an_unknown_app_is_refused(store: SQLiteStore) -> None:
    for asked in (
        store.experiments("nothing"),
        store.add([experiment("color", "1", "1")], 1, app="nothing"),
        store.change("color", lambda _: Change(), 1, "nothing"),
        store.summary("nothing"),
        store.result("color", "nothing"),
        store.device("a", "nothing"),
        store.forget(["a"], "nothing"),
    ):
        with pytest.raises(UnknownApp):
            await asked


@settings(max_examples=25)
@given(batches=strategies.lists(strategies.lists(strategies.integers(1, 3), min_size=1, max_size=40), max_size=8))
def test_shares_are_exact_in_each_app_however_their_devices_are_mixed(batches: list[list[int]]) -> None:
    async def check(folder: str) -> None:
        async with opened(Path(folder) / "abtest.db") as store:
            apps = ["default", "staging", "other"]
            for app in apps[1:]:
                await store.add_app(app, 1)
            for app in apps:
                await store.add([experiment("color", "33.3", "33.3", "33.3")], 1, app=app)
                await store.add([experiment("price", "75", "10", "5", "10")], 1, app=app)
            for number, batch in enumerate(batches):
                await store.enrol([scoped(app, f"{number}-{place}") for place, app in enumerate(batch)], 1)
            await worker.tick(store)
            for number, app in enumerate(apps, start=1):
                report = await ReportService(store, app).report()
                devices = sum(batch.count(number) for batch in batches)
                assert [each.devices for each in report.experiments] == [devices, devices]
                assert all(each.exact for each in report.experiments)
            assert (await VerificationService(store).verify()).findings == ()

    with TemporaryDirectory() as folder:
        asyncio.run(check(folder))
