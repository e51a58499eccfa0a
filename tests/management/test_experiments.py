from decimal import Decimal
from pathlib import Path

import pytest

from abtest.domain.events import Event
from abtest.domain.experiments import NewExperiment, Status, Variant, parse_coverage, parse_weight
from abtest.domain.metrics import parse_metrics
from abtest.domain.values import Type
from abtest.errors import Conflict, InvalidExperiment, UnknownExperiment
from abtest.management.experiments import DEMO, ExperimentService, Question, ask_direction, parse_toml
from abtest.results import worker
from tests.scenes import experiment, opened

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
        service = ExperimentService(store)
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
        service = ExperimentService(store)
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
        service = ExperimentService(store)
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
    "text", ["", "0%", "0", "0.0", "101%", "100.0001%", "20", "1.5", "-5%", "20 %", "1e-1", "0.00001%"]
)
def test_what_is_no_part_is_no_coverage(text: str) -> None:
    with pytest.raises(InvalidExperiment, match="coverage: must be above 0% and at most 100%"):
        parse_coverage(text)


async def test_a_winner_is_one_of_the_values(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store)
        await service.add([experiment("color", "1", "1")])
        with pytest.raises(InvalidExperiment, match="'pink' is not a value of color"):
            await service.finish("color", "pink")
        assert (await service.finish("color", "color-1")).winner == "color-1"
        with pytest.raises(UnknownExperiment):
            await service.pause("nothing")


async def test_a_plan_has_a_device_for_each_variant(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store)
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
            "variant 2: .*turn the direction",
        ),
        (
            NewExperiment("color", experiment("color", "1", "1").variants, description="\u2066red\u2069"),
            "description: .*turn the direction",
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
            await ExperimentService(store).add([experiment("good", "1", "1"), new])
        assert await store.experiments() == []


async def test_a_value_may_be_any_text_that_people_write(tmp_path: Path) -> None:
    values = ("👩‍🚀", "1\N{NO-BREAK SPACE}000 €", "עברית")
    new = NewExperiment("greeting", tuple(Variant(value, Decimal(1)) for value in values))
    async with opened(tmp_path / "abtest.db") as store:
        (added,) = await ExperimentService(store).add([new])
        assert added.values == values


@pytest.mark.parametrize("text", ["1", "33.3333", ".5", "1%", "0"])
def test_a_weight_is_a_decimal_number(text: str) -> None:
    assert parse_weight(text) == Decimal(text.rstrip("%"))


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1\n", "+1", "1e1", "1,5", "1%%", "1.", "12345678", "\u0661"])
def test_anything_else_is_not_a_weight(text: str) -> None:
    with pytest.raises(InvalidExperiment, match="weight: must be a decimal number"):
        parse_weight(text)


def test_a_file_without_an_experiment_is_refused() -> None:
    with pytest.raises(InvalidExperiment, match="the file has none"):
        parse_toml("experiments = []")


TOML = """
[[experiments]]
key = "color"
description = "which?"
metrics = ["conversion:purchase"]
variants = [{ value = "red", weight = 33.3333 }, { value = "blue", weight = "66.6667" }, { value = "x", weight = 0 }]
[[experiments]]
key = "price"
draft = true
type = "number"
audience = ["platform=ios,android", "app_version >= 3.10"]
coverage = "12.5%"
variants = [{ value = "1", weight = 1 }, { value = "2", weight = 1 }]
"""


def test_a_toml_file_gives_experiments_with_exact_weights() -> None:
    color, price = parse_toml(TOML).experiments
    assert [variant.weight for variant in color.variants] == [Decimal("33.3333"), Decimal("66.6667"), Decimal(0)]
    assert (color.description, color.metrics, color.draft) == ("which?", ("conversion:purchase",), False)
    assert (price.key, price.draft) == ("price", True)
    assert (color.audience, price.audience) == ((), ("platform=ios,android", "app_version >= 3.10"))
    assert (color.coverage, price.coverage) == (Decimal(1), Decimal("0.125"))
    assert (color.type, price.type) == (Type.STRING, Type.NUMBER)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("experiments = 5", "experiments: must be a list, not a whole number"),
        ("[[experiments]]\nkey = 'a'\nvariants = []\ncolour = 1", "colour"),
        ("[[experiments]]\nvariants = []", "key"),
        ("[[experiments", "end of an array declaration"),
        (TOML.replace('"price"', '"color"'), "key: 'color' is given to 2 experiments"),
        (TOML.replace("33.3333", "nan"), "weight of variant 1"),
        (TOML.replace("33.3333", "inf"), "weight of variant 1"),
        (TOML.replace("33.3333", "-1"), "weight of variant 1"),
        (TOML.replace("33.3333", "0.33333"), "must have at most 4 decimals"),
        (TOML.replace("33.3333", "true"), "color: weight of variant 1: must be a number, not true or false"),
        (TOML.replace('"1", weight = 1', '"1"'), "price: weight of variant 1: must be given"),
        (
            TOML.replace('"1", weight = 1', '"1", weight = "a"'),
            "weight of variant 1: must be a decimal",
        ),
        (TOML.replace('"price"', '"Price"'), "experiment 2: key: must be 1 to 64 of a-z"),
        (TOML.replace('key = "price"', ""), "experiment 2: key: must be given"),
        (TOML.replace("conversion:purchase", "conversion:"), "color: metric 1: the event must be 1 to 64 of a-z"),
        (TOML.replace('["conversion:purchase"]', "[1]"), "color: metric 1: must be a text, not a whole number"),
        (TOML + "colour = 1", "price: colour: there is no such field"),
        (TOML.replace('"number"', '"int"'), "price: type: must be string, number, boolean or json"),
        (TOML.replace('"2"', '"3,5"'), "price: variant 2: 3,5 is no number: write 3.5"),
        (TOML + "planned = 1", "price: planned: must be from 2 devices, one for each variant, to"),
        (TOML.replace('"1", weight = 1', '"1", weight = 0'), "price: baseline: '1' has weight 0"),
        (TOML.replace('"app_version >= 3.10"', "3"), "price: audience 2: must be a text, not a whole number"),
        (TOML.replace('"12.5%"', "20"), "price: coverage: must be a text, not a whole number"),
        (TOML.replace('"12.5%"', '"0%"'), "price: coverage: must be above 0% and at most 100%"),
        (TOML.replace('["platform=ios,android",', '["platform",'), "price: audience: 'platform' must be ATTRIBUTE"),
        ("[metrics]\nprice = [1]", "metrics: must be a text, not a whole number"),
    ],
)
def test_a_bad_file_says_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(InvalidExperiment, match=words):
        parse_toml(text)


def test_the_demo_experiments_are_sound() -> None:
    assert [new.checked().key for new in DEMO] == ["button_color", "price"]


async def test_a_file_sets_the_metrics_of_existing_experiments_or_changes_nothing(tmp_path: Path) -> None:
    new = '[[experiments]]\nkey = "new"\nvariants = [{ value = "x", weight = 1 }, { value = "y", weight = 1 }]\n'
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store)
        await service.add([experiment("color", "1", "1")])
        wrong = parse_toml(new + '[metrics]\ncolor = ["conversion:purchase"]\nnothing = []\n')
        with pytest.raises(UnknownExperiment, match="nothing"):
            await service.add(wrong.experiments, wrong.metrics)
        assert [(each.key, each.metrics) for each in await service.all()] == [("color", ())]
        right = parse_toml(new + '[metrics]\ncolor = ["conversion:purchase"]\n')
        await service.add(right.experiments, right.metrics)
        assert [(each.key, [*map(str, each.metrics)]) for each in await service.all()] == [
            ("color", ["conversion:purchase"]),
            ("new", []),
        ]
    with pytest.raises(InvalidExperiment, match="metrics of color: metric 1"):
        parse_toml('[metrics]\ncolor = ["purchase"]\n')


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
        service = ExperimentService(store)
        await service.add([experiment("color", "1", "1", metrics=("conversion:refund",))])
        await store.enrol(["device"], 1)
        await store.track([("device", [Event("1", "refund")])], 2)
        await worker.tick(store)
        changed = await service.measure("color", ["conversion:refund less"])
        (measured,) = await store.measured()
    assert (str(changed.metrics[0]), changed.primary_changed_at) == ("conversion:refund less", None)
    assert [each.sums.converters for each in measured.metrics[0]] == [1]


async def test_a_baseline_that_is_changed_after_devices_came_is_noted(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store)
        await service.add([experiment("color", "1", "1")])
        before = await service.measure("color", baseline="color-1")
        await store.enrol(["device"], 1)
        same = await service.measure("color", baseline="color-1")
        after = await service.measure("color", baseline="color-0")
    assert before.baseline_changed_at is same.baseline_changed_at is None
    assert after.baseline_changed_at is not None
