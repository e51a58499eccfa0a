from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import structs

from abtest.domain import By, Hand
from abtest.domain.events import Event
from abtest.domain.experiments import NewExperiment, Status, Variant, parse_coverage, parse_weight
from abtest.domain.metrics import parse_metrics
from abtest.errors import Conflict, InvalidExperiment, UnknownExperiment
from abtest.management.experiments import DEMO, ExperimentService, Question, ask_direction
from abtest.results import worker
from tests.scenes import ANNA, answers, experiment, opened

ACTIONS = ("start", "pause", "resume", "finish", "archive")
ALLOWED = {
    Status.DRAFT: {"start", "archive"},
    Status.RUNNING: {"pause", "finish", "archive"},
    Status.PAUSED: {"resume", "finish", "archive"},
    Status.FINISHED: {"archive"},
    Status.ARCHIVED: set(),
}
WAYS: dict[Status, tuple[str, ...]] = {
    Status.DRAFT: (),
    Status.RUNNING: ("start",),
    Status.PAUSED: ("start", "pause"),
    Status.FINISHED: ("start", "finish"),
    Status.ARCHIVED: ("archive",),
}


@pytest.mark.parametrize("status", Status)
async def test_a_status_allows_its_changes_and_no_other(tmp_path: Path, status: Status) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        for action in ACTIONS:
            await service.add([experiment(action, "1", "1", draft=True)])
            for step in WAYS[status]:
                await getattr(service, step)(action)
            if action in ALLOWED[status]:
                await getattr(service, action)(action)
                continue
            with pytest.raises(Conflict, match=f"{action} is (a )?{status}"):
                await getattr(service, action)(action)
            assert (await service.one(action)).status == status


async def test_new_weights_name_every_value_and_begin_a_phase(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await service.add([experiment("color", "1", "1")])
        changed = await service.reweight("color", [Variant("color-1", Decimal(3)), Variant("color-0", Decimal(1))])
        assert [phase.weights for phase in changed.phases] == [(Decimal(1),) * 2, (Decimal(1), Decimal(3))]
        for values, words in ((("color-0", "pink"), "pink"), (("color-0", "color-0"), "given twice")):
            with pytest.raises(InvalidExperiment, match=words):
                await service.reweight("color", [Variant(value, Decimal(1)) for value in values])
        await service.finish("color")
        with pytest.raises(Conflict, match="finished"):
            await service.reweight("color", [Variant(f"color-{n}", Decimal(1)) for n in range(2)])


async def test_another_coverage_keeps_the_weights_and_other_weights_keep_the_coverage(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await service.add([experiment("color", "1", "1", coverage="0.01")])
        await service.reweight("color", coverage=Decimal("0.1"))
        changed = await service.reweight("color", [Variant(f"color-{n}", Decimal(n + 1)) for n in range(2)])
        assert [(str(phase.coverage), phase.integers) for phase in changed.phases] == [
            ("0.01", (1, 1)), ("0.1", (1, 1)), ("0.1", (1, 2)),
        ]  # fmt: skip
        assert [phase.drawn for phase in changed.phases] == [(1, 1, 198), (1, 1, 18), (1, 2, 27)]


@pytest.mark.parametrize(
    ("text", "part"),
    [("20%", "0.2"), ("100%", "1"), ("0.2", "0.2"), ("1", "1"), ("33.3333%", "0.333333"), (".5%", "0.005")],
)
def test_a_coverage_is_a_part_of_the_devices(text: str, part: str) -> None:
    assert parse_coverage(text) == Decimal(part)


@pytest.mark.parametrize(
    "text", ["", "0%", "0", "0.0", "101%", "100.0001%", "-5%", "101", "20 %", "1e-1", "0.00001%"]
)
def test_what_is_no_part_is_no_coverage(text: str) -> None:
    with pytest.raises(InvalidExperiment, match="coverage: must be above 0% and at most 100%"):
        parse_coverage(text)


@pytest.mark.parametrize("text", ["5", "20", "1.5", "100"])
def test_a_part_without_its_percent_sign_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(InvalidExperiment, match=f"share: the percent sign is missing: write {text}%"):
        parse_coverage(text, "share")


async def test_a_winner_is_one_of_the_values(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await service.add([experiment("color", "1", "1")])
        with pytest.raises(InvalidExperiment, match="'pink' is not a value of color"):
            await service.finish("color", "pink")
        assert (await service.finish("color", "color-1")).winner == "color-1"
        with pytest.raises(UnknownExperiment):
            await service.pause("nothing")


async def test_a_winner_can_be_named_once_after_the_end(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await service.add([experiment("color", "1", "1")])
        await service.finish("color")
        with pytest.raises(Conflict, match="color is finished"):
            await service.finish("color")
        with pytest.raises(InvalidExperiment, match="'pink' is not a value"):
            await service.finish("color", "pink")
        assert (await service.finish("color", "color-1")).winner == "color-1"
        assert await answers(store, ["new"]) == [{"color": "color-1"}]
        with pytest.raises(Conflict, match="color is finished"):
            await service.finish("color", "color-0")


async def test_a_decision_has_its_reason_and_who_took_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await service.add([experiment("color", "1", "1")])
        assert (await service.one("color")).decided_at is None
        for text, fault in (("x" * 1001, "at most 1000 characters"), ("two\nlines", "control characters")):
            with pytest.raises(InvalidExperiment, match=f"because: .*{fault}"):
                await service.finish("color", "color-1", text)
        decided = await service.finish("color", "color-1", "people buy more")
        assert (decided.because, decided.decided_at) == ("people buy more", decided.ended_at)
        assert decided.decided_by == By(ANNA.kind, ANNA.name)
        archived = await service.archive("color")
        assert archived.decided_by == decided.decided_by


async def test_a_reason_can_be_given_once_afterwards_and_whose_decision_it_was_stays(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        anna, ben = (ExperimentService(store, by=By(Hand.PERSON, name)) for name in ("anna", "ben"))
        await anna.add([experiment("color", "1", "1")])
        await anna.finish("color", "color-1")
        given = await ben.finish("color", "color-1", "people buy more")
        assert (given.because, given.winner, given.decided_by) == ("people buy more", "color-1", By("person", "anna"))
        for winner, because in ((None, "another"), (None, ""), ("color-0", "another")):
            with pytest.raises(Conflict, match="color is finished"):
                await ben.finish("color", winner, because)


async def test_a_winner_that_is_named_later_is_another_decision_with_another_reason(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        anna, ben = (ExperimentService(store, by=By(Hand.PERSON, name)) for name in ("anna", "ben"))
        await anna.add([experiment("color", "1", "1")])
        await anna.finish("color", because="no effect")
        named = await ben.finish("color", "color-1")
        assert (named.because, named.decided_by) == ("", By(Hand.PERSON, "ben"))


async def test_a_plan_has_a_device_for_each_variant(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await service.add([experiment("color", "1", "1", "1")])
        with pytest.raises(InvalidExperiment, match="planned: must be from 3 devices, one for each variant, to 10"):
            await service.measure("color", planned=2)
        assert (await service.measure("color", planned=3)).planned == 3


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (experiment("Color", "1", "1"), "key"),
        (experiment("a" * 65, "1", "1"), "key"),
        (experiment("color", "1"), "2 to 20, not 1"),
        (experiment("color", *["1"] * 21), "2 to 20, not 21"),
        (experiment("color", "0", "0"), "above 0"),
        (NewExperiment("color", (Variant("a", Decimal(1)), Variant("a", Decimal(1)))), "'a' is given twice"),
        (NewExperiment("color", (Variant("", Decimal(1)), Variant("a", Decimal(1)))), "variant 1"),
        (NewExperiment("color", (Variant("a", Decimal(1)), Variant("a" * 257, Decimal(1)))), "variant 2"),
        (NewExperiment("color", (Variant("a", Decimal(1)), Variant("a\n", Decimal(1)))), "variant 2: .*control char"),
        (NewExperiment("color", (Variant("\udcff", Decimal(1)), Variant("a", Decimal(1)))), "variant 1: .*UTF-8"),
        (
            NewExperiment("color", experiment("color", "1", "1").variants, description="a\x1b[2J"),
            "description: .*control characters",
        ),
        (
            NewExperiment("color", (Variant("a", Decimal(1)), Variant("red\u202e", Decimal(1)))),
            "variant 2: .*change the direction",
        ),
        (
            NewExperiment("color", experiment("color", "1", "1").variants, description="\u2066red\u2069"),
            "description: .*change the direction",
        ),
        (NewExperiment("color", experiment("color", "1", "1").variants, metrics=("mood:good",)), "metric"),
        (experiment("color", "1", "1", audience=("colour=red",)), "audience: .*unknown; did you mean country"),
    ],
)
async def test_a_bad_experiment_is_refused_with_what_and_where(
    tmp_path: Path, new: NewExperiment, words: str
) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        with pytest.raises(InvalidExperiment, match=words):
            await ExperimentService(store, by=ANNA).add([experiment("good", "1", "1"), new])
        assert await store.experiments() == []


async def test_a_value_may_be_any_text_that_people_write(tmp_path: Path) -> None:
    values = ("👩‍🚀", "1\N{NO-BREAK SPACE}000 €", "עברית")
    new = NewExperiment("greeting", tuple(Variant(value, Decimal(1)) for value in values))
    async with opened(tmp_path / "abtest.db") as store:
        (added,) = await ExperimentService(store, by=ANNA).add([new])
        assert added.values == values


@pytest.mark.parametrize("text", ["1", "33.3333", ".5", "1%", "0"])
def test_a_weight_is_a_decimal_number(text: str) -> None:
    assert parse_weight(text) == Decimal(text.rstrip("%"))


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1\n", "+1", "1e1", "1,5", "1%%", "1.", "12345678", "\u0661"])
def test_anything_else_is_not_a_weight(text: str) -> None:
    with pytest.raises(InvalidExperiment, match="weight: must be a decimal number"):
        parse_weight(text)


def test_the_demo_experiments_are_sound() -> None:
    assert [new.checked().key for new in DEMO] == ["button_color", "price"]


def test_a_metric_may_say_that_less_is_better() -> None:
    texts = ("conversion:refund less", "amount:refund/30d   less", " conversion:crash ")
    refund, amount, crash = parse_metrics(texts)
    assert (refund.less, amount.less, crash.less) == (True, True, False)
    assert [str(each) for each in (refund, amount, crash)] == [
        "conversion:refund less", "amount:refund/30d less", "conversion:crash",
    ]  # fmt: skip
    with pytest.raises(InvalidExperiment, match="only the word less may follow the metric, not 'is fewer'"):
        parse_metrics(["conversion:refund is fewer"])
    with pytest.raises(InvalidExperiment, match="the same metric is given twice"):
        parse_metrics(["conversion:refund", "conversion:refund less"])
    with pytest.raises(InvalidExperiment, match="metrics: must be at most 50, not 51"):
        parse_metrics([f"conversion:event-{number}" for number in range(51)])


@pytest.mark.parametrize(
    "event", ["refund", "app_crash", "uninstalled", "order.cancelled", "errors", "complaint-sent"]
)
def test_whether_less_is_better_is_asked_if_an_event_sounds_like_harm(event: str) -> None:
    metrics = parse_metrics(["conversion:purchase", f"conversion:{event}"])
    command = f"abtest experiments metrics color --metric conversion:purchase --metric 'conversion:{event} less'"
    assert ask_direction("color", metrics) == Question(event, command)
    assert ask_direction("color", parse_metrics(["conversion:purchase", f"conversion:{event} less"])) is None
    assert ask_direction("color", parse_metrics(["conversion:scrash", "amount:purchase"])) is None


async def test_less_can_be_set_later_and_changes_no_figure(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await service.add([experiment("color", "1", "1", metrics=("conversion:refund",))])
        await store.enrol(["device"], 1)
        await store.track([("device", [Event("1", "refund")])], 2)
        await worker.tick(store)
        changed = await service.measure("color", ["conversion:refund less"])
        (measured,) = await store.measured()
    assert (str(changed.metrics[0]), changed.primary_changed_at) == ("conversion:refund less", None)
    assert [each.sums.converters for each in measured.metrics[0]] == [1]


async def test_a_baseline_that_no_device_would_get_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        with pytest.raises(InvalidExperiment, match="color: baseline: 'color-0' has weight 0"):
            await service.add([experiment("color", "0", "1")])
        await service.add([structs.replace(experiment("color", "0", "1"), baseline="color-1")])


async def test_a_baseline_that_is_changed_after_devices_came_is_noted(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await service.add([experiment("color", "1", "1")])
        before = await service.measure("color", baseline="color-1")
        await store.enrol(["device"], 1)
        same = await service.measure("color", baseline="color-1")
        after = await service.measure("color", baseline="color-0")
    assert before.baseline_changed_at is same.baseline_changed_at is None
    assert after.baseline_changed_at is not None
