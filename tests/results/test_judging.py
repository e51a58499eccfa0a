"""From events of devices to a verdict, through the real store and worker."""

import asyncio
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from statistics import NormalDist

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from abtest import clock
from abtest.commands import abtest
from abtest.domain import read_attributes
from abtest.domain.events import Event
from abtest.domain.experiments import Change, NewExperiment, Status
from abtest.domain.metrics import parse_metrics
from abtest.errors import Unavailable
from abtest.inference import Moments, Question, planning
from abtest.inference.comparison import sequence_lifts
from abtest.inference.pair import enough, pairs
from abtest.inference.statistics import sequence
from abtest.results import worker
from abtest.results.conclusions import Conclusions, ExperimentResults, ResultService, encoded, worded
from abtest.results.exporting import table
from abtest.results.judging import judged, observed_days
from abtest.store.relational.enrolling import profiles
from abtest.store.sqlite.driver import PRAGMAS, open_raw
from abtest.store.sqlite.store import SQLiteStore
from tests.scenes import experiment, opened, tokens, values_of

TODAY = 20_000 * clock.DAY
BOTH = ("conversion:purchase", "amount:purchase")


async def live(
    store: SQLiteStore,
    prefix: str,
    devices: int,
    rates: dict[str, int],
    days: int = 14,
    exposed: bool = True,
    now: int = TODAY,
) -> None:
    """So many devices come over these days up to now, and of every hundred with a value so many buy at once."""
    names = tokens(prefix, devices)
    came = dict.fromkeys(rates, 0)
    for day in range(days):
        at = now - (days - 1 - day) * clock.DAY
        requests = []
        enrolment = await store.enrol(names[day::days], at)
        for place, token in enumerate(names[day::days]):
            value = values_of(enrolment, token)["color"]
            came[value] += 1
            events = [Event("seen", "exposure", "color")] if exposed else []
            if came[value] % 100 < rates[value]:
                events.append(Event("bought", "purchase", amount=50_000 + place % 7, at=at))
            requests.append((token, events))
        await store.track(requests, at)


async def conclusions(store: SQLiteStore, now: int = TODAY) -> Conclusions:
    while (await store.fold(10_000, now)).left:
        pass
    return judged((await store.measured())[0], now)


async def results(store: SQLiteStore, now: int = TODAY) -> ExperimentResults:
    return worded(await conclusions(store, now))


async def test_a_difference_is_told_by_conversion_and_by_amount(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("color", "1", "1", metrics=BOTH)], 1)
        await live(store, "a", 4_000, {"color-0": 10, "color-1": 20})
        found = await results(store)
    assert found.verdict is not None
    assert found.verdict.sentence.startswith("color color-1 beats color-0: conversion of purchase up by 100% (")
    assert [metric.verdict.code for metric in found.metrics] == ["difference", "difference"]
    variants = found.metrics[0].variants
    assert [(each.devices, each.exposed, each.converters) for each in variants] == [
        (2000, 2000, 200),
        (2000, 2000, 400),
    ]
    assert (found.days, found.health.exact, found.metrics[1].without_amount) == (14, True, 0)


async def test_no_difference_and_too_few_days_show_none(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("color", "1", "1", metrics=BOTH)], 1)
        await live(store, "a", 4_000, {"color-0": 10, "color-1": 10}, days=3)
        early = await results(store)
        await live(store, "b", 4_000, {"color-0": 10, "color-1": 10})
        late = await results(store)
    assert early.verdict is not None
    assert early.verdict.sentence == "Not enough data: 4 more days"
    assert all(each.safe is not None and each.decided_by is None for each in early.metrics[0].comparisons)
    assert late.verdict is not None
    assert late.verdict.code == "no_difference"


async def test_a_full_experiment_waits_for_no_device(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        planned = structs.replace(experiment("color", "1", "1", metrics=BOTH, stop_at=4_000), planned=12_000)
        await store.add([planned], 1)
        await live(store, "a", 3_998, {"color-0": 10, "color-1": 10})
        before = await results(store)
        await store.enrol(tokens("b", 10), TODAY)
        full = await results(store)
        await store.change("color", lambda _: Change(stop_at=5_000), 2)
        again = await results(store)
    more = [each.verdict and each.verdict.more_devices for each in (before, full, again)]
    assert more == [8_000, None, 8_000]
    assert full.verdict is not None
    assert full.verdict.sentence.endswith(
        "; it takes no more than its 4,000 devices, so the test at 12,000 devices will not be made"
    )


async def test_a_variant_that_loses_its_exposures_is_not_trusted(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("color", "1", "1", metrics=BOTH)], 1)
        await live(store, "a", 4_000, {"color-0": 10, "color-1": 20})
        names = tokens("b", 400)
        enrolment = await store.enrol(names, TODAY)
        seen = [token for token in names if values_of(enrolment, token)["color"] == "color-0"]
        await store.track([(token, [Event("seen", "exposure", "color")]) for token in seen], TODAY)
        found = await results(store)
    assert found.verdict is not None
    assert found.verdict.sentence.startswith(
        "Don't trust this: 90.9% of the devices in color-1 report exposure, but 100%"
    )


async def test_phases_are_strata_and_not_one_pot(tmp_path: Path) -> None:
    """99:1 when hardly anybody buys, then 50:50 when many do: pooled, the second variant would win by far."""
    rule = Change(weights=(Decimal(1), Decimal(1)))
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("color", "99", "1", metrics=BOTH[:1])], 1)
        await live(store, "a", 20_000, {"color-0": 2, "color-1": 2})
        await store.change("color", lambda _: rule, 2)
        await live(store, "b", 10_000, {"color-0": 40, "color-1": 32})
        found = await results(store)
    rates = [each.converters / each.devices for each in found.metrics[0].variants]
    (comparison,) = found.metrics[0].comparisons
    assert rates[1] > 2 * rates[0]
    assert comparison.lift is not None
    assert comparison.lift.value < 0


async def test_the_one_test_looks_at_the_day_on_which_the_plan_was_met(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        planned = experiment("color", "1", "1", metrics=BOTH[:1])
        await store.add([NewExperiment(planned.key, planned.variants, metrics=planned.metrics, planned=8_000)], 1)
        await live(store, "a", 8_000, {"color-0": 10, "color-1": 12}, days=1)
        too_early = [await results(store, TODAY + days * clock.DAY) for days in (0, 6)]
        a_week_later = await results(store, TODAY + 7 * clock.DAY)
    assert [each.metrics[0].comparisons[0].at_plan for each in too_early] == [None, None]
    at_plan = a_week_later.metrics[0].comparisons[0].at_plan
    assert at_plan is not None
    assert at_plan.value == pytest.approx(0.2)


async def test_what_comes_after_the_plan_was_met_does_not_change_its_test(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        new = experiment("color", "1", "1", metrics=BOTH[:1])
        await store.add([NewExperiment(new.key, new.variants, metrics=new.metrics, planned=8_000)], 1)
        await live(store, "a", 8_000, {"color-0": 10, "color-1": 12}, days=1)
        before = await results(store, TODAY + 7 * clock.DAY)
        late = [(token, [Event("late", "purchase")]) for token in tokens("a", 4_000)]
        await store.track(late, TODAY + 7 * clock.DAY)
        after = await results(store, TODAY + 8 * clock.DAY)
    plans = [each.metrics[0].comparisons[0].at_plan for each in (before, after)]
    assert plans[0] == plans[1]
    assert before.metrics[0].comparisons[0].lift != after.metrics[0].comparisons[0].lift


async def test_a_variant_that_is_dropped_later_does_not_move_the_test_that_was_made(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        new = experiment("color", "90", "5", "5", metrics=BOTH[:1])
        await store.add([NewExperiment(new.key, new.variants, metrics=new.metrics, planned=8_000)], 1)
        await live(store, "a", 8_000, dict.fromkeys(("color-0", "color-1", "color-2"), 10))
        before = await results(store, TODAY + 2 * clock.DAY)
        without = Change(weights=(Decimal(90), Decimal(10), Decimal(0)))
        await store.change("color", lambda _: without, 2)
        await live(store, "later", 1_000, {"color-0": 10, "color-1": 20}, days=1, now=TODAY + 3 * clock.DAY)
        after = await results(store, TODAY + 4 * clock.DAY)
    made = [each.metrics[0].due.made for each in (before, after)]
    tests = [[each.at_plan for each in found.metrics[0].comparisons] for found in (before, after)]
    assert made[0] == made[1] is not None
    assert tests[0] == tests[1]
    assert None not in tests[0]


async def test_a_variant_that_is_dropped_before_its_test_is_not_tested_and_holds_up_no_other(tmp_path: Path) -> None:
    """Whoever drops it when it looks bad would else test it at its worst."""
    async with opened(tmp_path / "abtest.db") as store:
        new = experiment("color", "1", "1", "1", metrics=BOTH[:1])
        await store.add([NewExperiment(new.key, new.variants, metrics=new.metrics, planned=6_000)], 1)
        await live(store, "first", 3_000, {"color-0": 10, "color-1": 10, "color-2": 7})
        without = Change(weights=(Decimal(1), Decimal(1), Decimal(0)))
        await store.change("color", lambda _: without, 2)
        await live(store, "then", 4_000, {"color-0": 10, "color-1": 10}, days=1, now=TODAY + clock.DAY)
        metric = (await results(store, TODAY + 30 * clock.DAY)).metrics[0]
    assert metric.due.made == "2024-10-05"
    assert [each.at_plan is None for each in metric.comparisons] == [False, True]


async def test_with_fewer_devices_than_planned_for_it_a_variant_is_waited_for(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        new = experiment("color", "1", "1", metrics=BOTH[:1])
        await store.add([NewExperiment(new.key, new.variants, metrics=new.metrics, planned=4_000)], 1)
        await live(store, "first", 2_000, {"color-0": 10, "color-1": 10})
        await store.change("color", lambda _: Change(weights=(Decimal(9), Decimal(1))), 2)
        await live(store, "then", 3_000, {"color-0": 10, "color-1": 10}, days=1, now=TODAY + clock.DAY)
        fewer = (await results(store, TODAY + 3 * clock.DAY)).metrics[0].due
        await live(store, "last", 3_000, {"color-0": 10, "color-1": 10}, days=1, now=TODAY + 4 * clock.DAY)
        enough = (await results(store, TODAY + 6 * clock.DAY)).metrics[0].due
    assert (fewer.reached, fewer.made, fewer.waits_for) == ("2024-10-05", None, "devices")
    assert (enough.made, enough.waits_for) == ("2024-10-08", None)


async def test_the_sequence_is_tuned_to_the_shares_of_the_first_phase(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        new = experiment("color", "8", "1", "1", metrics=BOTH[:1])
        await store.add([NewExperiment(new.key, new.variants, metrics=new.metrics, planned=40_000)], 1)
        await live(store, "a", 8_000, dict.fromkeys(("color-0", "color-1", "color-2"), 10))
        safe = [each.safe for each in (await results(store)).metrics[0].comparisons]
    big, small = Moments(6_400, 0, 640, 640, 640), Moments(800, 0, 80, 80, 80)
    asked = Question("conversion", ("0", "1", "2"), planned=40_000, shares=(0.8, 0.1, 0.1))
    assert safe == list(sequence_lifts(asked, enough(pairs(asked, [(big, small, small)]))).values())


async def test_where_less_is_better_the_smallest_decrease_that_can_be_found_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("color", "1", "1", metrics=("conversion:purchase less",))], 1)
        await live(store, "a", 4_000, {"color-0": 10, "color-1": 10})
        found = (await results(store)).metrics[0].detectable
    fall = planning.detectable_rate(0.1, 2_000, alpha=planning.as_one_look(4_000, 1, exact=True), less=True)
    assert fall is not None
    assert found == pytest.approx(-fall)


async def test_what_can_be_found_of_an_amount_goes_by_its_deviation(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        new = experiment("color", "1", "1", metrics=BOTH[1:])
        await store.add([NewExperiment(new.key, new.variants, metrics=new.metrics, planned=8_000)], 1)
        await live(store, "a", 2_000, {"color-0": 10, "color-1": 10})
        found = (await results(store)).metrics[0].detectable
    deviation = 5 * (0.1 * 0.9) ** 0.5
    assert found == pytest.approx(planning.detectable_mean(deviation, 4_000, alpha=0.04) / 0.5, rel=1e-3)


async def test_a_test_that_was_not_due_when_the_experiment_ended_is_never_made(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        new = experiment("color", "1", "1", metrics=BOTH[:1])
        await store.add([NewExperiment(new.key, new.variants, metrics=new.metrics, planned=4_000)], 1)
        await live(store, "a", 3_000, {"color-0": 10, "color-1": 11}, days=8)
        await live(store, "b", 1_400, {"color-0": 10, "color-1": 11}, days=1, now=TODAY + clock.DAY)
        await store.change("color", lambda _: Change(Status.FINISHED), TODAY + clock.DAY)
        found = await results(store, TODAY + 90 * clock.DAY)
    assert found.metrics[0].due.made is found.metrics[0].due.until is None
    assert found.verdict is not None
    assert found.verdict.sentence.startswith("No difference was shown: ")
    assert found.verdict.sentence.endswith("; it ended before the test at 4,000 devices, which will not be made")
    assert found.metrics[0].detectable_devices == 4_400


async def test_a_named_baseline_and_a_new_primary_metric(tmp_path: Path) -> None:
    change = Change(metrics=parse_metrics(BOTH[::-1]), baseline="color-1")
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("color", "1", "1", metrics=BOTH)], 1)
        await live(store, "a", 4_000, {"color-0": 10, "color-1": 20})
        await store.change("color", lambda _: change, TODAY)
        found = await results(store)
    changed = (found.primary_changed_at, found.baseline_changed_at)
    assert (found.baseline, changed) == ("color-1", (clock.iso(TODAY), clock.iso(TODAY)))
    assert [metric.role for metric in found.metrics] == ["primary", "guardrail"]
    assert found.metrics[0].verdict.sentence.startswith("color color-0 is worse than color-1: amount of purchase")


async def test_every_kind_of_experiment_has_results(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        many = experiment("many", *["1"] * 20, metrics=("conversion:purchase/14d",))
        new = [experiment("bare", "1", "1"), experiment("draft", "1", "1", draft=True, metrics=BOTH), many]
        await store.add(new, 1)
        service = ResultService(store)
        before = await service.one("many")
        await store.enrol(["device"], TODAY)
        await store.change("bare", lambda _: Change(status=Status.ARCHIVED), 3)
        await worker.tick(store)
        after = {key: await service.one(key) for key in ("bare", "draft", "many")}
        verdicts = await service.verdicts()
    assert before.verdict is not None
    assert before.verdict.code == "not_enough_data"
    assert after["bare"].verdict is None
    assert {key: len(found.metrics) for key, found in after.items()} == {"bare": 0, "draft": 2, "many": 1}
    assert [verdict and verdict.code for verdict in verdicts.values()] == [None, "not_enough_data", "not_enough_data"]


async def test_what_can_be_found_is_told_by_each_phase_on_its_own(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await store.add([experiment("color", "99", "1", metrics=BOTH[:1])], 1)
        await live(store, "ramp", 2_000, {"color-0": 10, "color-1": 10})
        await store.change("color", lambda _: Change(weights=(Decimal(1), Decimal(1))), 2)
        await live(store, "half", 2_000, {"color-0": 2, "color-1": 2})
        found = (await results(store)).metrics[0].detectable
    ramp, half = planning.per_arm(20, 1_980), planning.per_arm(1_000, 1_000)
    rate = (ramp * 199 / 1_980 + half * 20 / 1_000) / (ramp + half)
    level = 2 * NormalDist().cdf(-sequence.quantile(4_000, 0.045, None))
    assert found == pytest.approx(planning.detectable_rate(rate, ramp + half, alpha=level))


async def test_with_a_plan_what_can_be_found_is_what_its_test_finds(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        new = experiment("color", "1", "1", "1", metrics=BOTH[:1])
        await store.add([NewExperiment(new.key, new.variants, metrics=new.metrics, planned=30_000)], 1)
        await live(store, "a", 6_000, {"color-0": 10, "color-1": 10, "color-2": 10})
        found = (await results(store)).metrics[0].detectable
    assert found == pytest.approx(planning.detectable_rate(0.1, 10_000, alpha=0.02))


async def test_a_worker_concludes_only_when_something_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    concluded: list[int] = []
    conclude = SQLiteStore.conclude

    async def counted(self: SQLiteStore, documents: list[tuple[int, str]]) -> None:
        concluded.append(len(documents))
        await conclude(self, documents)

    monkeypatch.setattr(SQLiteStore, "conclude", counted)
    async with opened(tmp_path / "abtest.db") as store:
        ticking = worker.Worker(store)
        await store.add([experiment("color", "1", "1", metrics=BOTH)], 1)
        for expected in (1, 1):
            await ticking.tick()
            assert len(concluded) == expected
        await store.add([experiment("price", "1", "1", metrics=BOTH)], 2)
        await store.enrol(["device"], TODAY)
        await ticking.tick()
        await store.change("color", lambda _: Change(status=Status.PAUSED), 3)
        await ticking.tick()
        await store.enrol(["another"], TODAY)
        await ticking.tick()
        await ticking.tick()
    assert concluded == [1, 2, 1, 1]


async def test_what_could_not_be_concluded_is_concluded_in_the_next_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRAGMAS, "busy_timeout", 0)
    conclude = SQLiteStore.conclude

    async def beside_another_writer(self: SQLiteStore, documents: list[tuple[int, str]]) -> None:
        with closing(open_raw(tmp_path / "abtest.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            await conclude(self, documents)

    async with opened(tmp_path / "abtest.db") as store:
        ticking = worker.Worker(store)
        await store.add([experiment("color", "1", "1", metrics=BOTH)], 1)
        await ticking.tick()
        before = await store.results()
        await store.enrol(["device"], TODAY)
        with monkeypatch.context() as busy:
            busy.setattr(SQLiteStore, "conclude", beside_another_writer)
            with pytest.raises(Unavailable):
                await ticking.tick()
        assert await store.results() == before
        await ticking.tick()
        assert await store.results() != before


async def test_a_value_that_looks_like_a_formula_is_marked_in_the_table(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        values = [each.value for each in experiment("color", "1", "1").variants]
        assert values == ["color-0", "color-1"]
        new = experiment("color", "1", "1", metrics=BOTH[:1])
        hostile = [type(each)(value, each.weight) for value, each in zip(("=1+1", "-5"), new.variants, strict=True)]
        await store.add([NewExperiment("color", tuple(hostile), metrics=new.metrics)], 1)
        text = table(await results(store))
    rows = [line.split(",")[3:5] for line in text.splitlines()]
    assert rows == [["variant", "baseline"], ["'=1+1", "'=1+1"], ["-5", "'=1+1"]]
    assert text.count("\r\n") == 3


def test_no_server_loads_scipy() -> None:
    async def loaded() -> str:
        code = "import sys, abtest.commands.serving; print('scipy' in sys.modules)"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=-1)
        output, _ = await process.communicate()
        return output.decode().strip()

    assert asyncio.run(loaded()) == "False"


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 50)), max_size=10))
def test_days_with_events_are_counted_but_for_the_outermost(days: list[tuple[int, int]]) -> None:
    happened = sorted(dict(days).items())
    found = observed_days(happened)
    if sum(devices for _, devices in happened) < 20:
        assert found == len(happened)
    assert 0 <= found <= len(happened)


def test_two_days_a_week_apart_are_two_days() -> None:
    assert observed_days([(1, 100), (7, 100)]) == 2
    assert observed_days([(day, 0 if day == 3 else 10) for day in range(1, 8)]) == 6


def test_a_twentieth_of_the_devices_is_left_out_at_either_end() -> None:
    assert observed_days([(1, 5), (2, 90), (3, 5)]) == 1
    assert observed_days([(1, 6), (2, 88), (3, 6)]) == 3


def test_a_few_wrong_clocks_open_no_week() -> None:
    slow = [(day, 5) for day in range(1, 7)]
    assert observed_days([*slow, (7, 970)]) == 1


def test_health_says_how_many_devices_showed_something_else(tmp_path: Path) -> None:
    """The commonest fault: the first screen is drawn before the first answer, so everybody sees the default."""
    path = tmp_path / "abtest.db"

    async def scene() -> ExperimentResults:
        async with opened(path) as store:
            await store.add([experiment("color", "1", "1", metrics=BOTH)], 1)
            await live(store, "a", 400, {"color-0": 10, "color-1": 20}, exposed=False)
            shown = Event("seen", "exposure", "color", value="color-0")
            await store.track([(token, [shown]) for token in tokens("a", 300)], TODAY)
            await worker.tick(store)
            return await ResultService(store).one("color")

    health = asyncio.run(scene()).health
    (devices,) = health.showed_other.values()
    assert (health.exposure.missing, health.showed_other) == ((200 - (300 - devices), 200), {"color-1": devices})
    told = CliRunner().invoke(abtest, ["--database", f"sqlite:///{path}", "results", "color"]).output
    assert f"{devices} devices of color-1 showed something else" in told


def test_health_says_of_how_many_devices_attributes_were_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "MOST_PROFILES", 1)
    path = tmp_path / "abtest.db"

    async def scene() -> None:
        async with opened(path) as store:
            await store.add([experiment("color", "1", "1", metrics=BOTH)], 1)
            said = {token: read_attributes([("platform", token)]) for token in tokens("a", 3)}
            await store.enrol(list(said), 1, said)
            await worker.tick(store)

    asyncio.run(scene())
    told = CliRunner().invoke(abtest, ["--database", f"sqlite:///{path}", "results", "color"]).output
    assert "some attributes of 2 devices were not kept: there are too many different combinations" in told


def test_exposures_of_every_device_are_told_as_such(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "abtest.db") as store:
            await store.add([experiment("color", "1", "1", metrics=BOTH)], 1)
            await live(store, "a", 100, {"color-0": 10, "color-1": 20})
            await store.conclude([(1, encoded(await conclusions(store)))])

    asyncio.run(scene())
    done = CliRunner().invoke(abtest, ["--database", f"sqlite:///{tmp_path}/abtest.db", "results", "color"])
    assert "Every device reported exposure." in done.output
