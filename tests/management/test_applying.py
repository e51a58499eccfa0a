from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import structs

from abtest.domain import members
from abtest.domain.audience import parse_audience
from abtest.domain.experiments import Change, Experiment, Phase, Status
from abtest.domain.metrics import parse_metrics
from abtest.domain.values import Type
from abtest.errors import Conflict, InvalidExperiment
from abtest.management.applying import Proposal, propose
from abtest.management.declared import as_declared, parse_declared, write_toml
from abtest.management.experiments import ExperimentService
from abtest.management.groups import GroupService
from abtest.trust import VerificationService
from tests.scenes import ANNA, answers, experiment, opened, tokens

CHECKOUT = Experiment(
    id=1,
    key="checkout",
    description="one page or two?",
    status=Status.RUNNING,
    created_at=0,
    created_after_device=0,
    values=("one", "two"),
    phases=(Phase(1, (Decimal(50), Decimal(50)), 0, 0, Decimal("0.2")),),
    metrics=parse_metrics(["conversion:purchase"]),
    planned=1500,
    audience=parse_audience(["platform=ios,android"]),
)
FILE = write_toml([as_declared(CHECKOUT)])


def with_devices(number: int, changed: Experiment = CHECKOUT) -> Experiment:
    return structs.replace(changed, phases=(structs.replace(changed.phase, enrolled=number),))


def having(status: Status, winner: str | None = None) -> Experiment:
    return structs.replace(CHECKOUT, status=status, winner=winner)


def proposed(old: str, new: str, stored: Experiment = CHECKOUT) -> Proposal:
    """What is proposed when the file says something else in one place."""
    assert old in FILE
    return propose(parse_declared(FILE.replace(old, new, 1)), [stored])


KEY = 'key = "checkout"'


@pytest.mark.parametrize(
    ("old", "new", "sentence", "change"),
    [
        (
            "weight = 50 }",
            "weight = 75 }",
            "new weights begin phase 2: one with weight 75, two with weight 50 "
            "(was one with weight 50, two with weight 50)",
            Change(weights=(Decimal(75), Decimal(50))),
        ),
        (
            'coverage = "20%"\n',
            "",
            "new coverage begins phase 2: 100% (was 20%)",
            Change(coverage=Decimal(1)),
        ),
        (
            'description = "one page or two?"\n',
            "",
            "description will be none (was one page or two?)",
            Change(description=""),
        ),
        (
            "conversion:purchase",
            "amount:purchase/14d",
            "metrics will be amount:purchase/14d (was conversion:purchase)",
            Change(metrics=parse_metrics(["amount:purchase/14d"])),
        ),
        (
            'metrics = ["conversion:purchase"]\n',
            "",
            "metrics will be none (was conversion:purchase)",
            Change(metrics=()),
        ),
        (KEY, f'{KEY}\nbaseline = "two"', "baseline will be two (was one)", Change(baseline="two")),
        ("1500", "2000", "planned will be 2,000 devices (was 1,500 devices)", Change(planned=2000)),
        (KEY, f'{KEY}\nstatus = "paused"', "status will be paused (was running)", Change(status=Status.PAUSED)),
        (KEY, f'{KEY}\nstatus = "archived"', "status will be archived (was running)", Change(status=Status.ARCHIVED)),
    ],
)
def test_what_differs_will_be_as_the_file_says(old: str, new: str, sentence: str, change: Change) -> None:
    found = proposed(old, new)
    assert [step.sentence for step in found.steps] == [f"checkout: {sentence}"]
    assert (found.refused, found.changes) == ((), (("checkout", change),))


@pytest.mark.parametrize(
    ("old", "new", "stored", "sentence"),
    [
        (
            'value = "one"',
            'value = "three"',
            CHECKOUT,
            "values can't be changed from one, two to three, two: a device keeps the value it got",
        ),
        (
            ',android"',
            '"',
            CHECKOUT,
            "audience can't be changed from platform is ios or android to platform is ios: "
            "a device that was left out stays out",
        ),
        (
            "1500",
            "2000",
            with_devices(5),
            "planned can't be changed from 1,500 devices to 2,000 devices: it has 5 devices already; "
            "a number can be planned only before the first one",
        ),
        (
            "planned = 1500\n",
            "",
            CHECKOUT,
            "planned can't be changed from 1,500 devices to none: a plan can be changed before the first device, "
            "but not removed",
        ),
        (
            "weight = 50 }",
            "weight = 75 }",
            having(Status.FINISHED),
            "weights can't be changed from one with weight 50, two with weight 50 "
            "to one with weight 75, two with weight 50: it is finished",
        ),
        (
            "20%",
            "30%",
            having(Status.FINISHED),
            "coverage can't be changed from 20% to 30%: it is finished",
        ),
        (
            KEY,
            f"{KEY}\ndraft = true",
            CHECKOUT,
            "status can't be changed from running to draft: an experiment is a draft only until it is started",
        ),
        (
            KEY,
            f'{KEY}\nstatus = "finished"',
            having(Status.DRAFT),
            "status can't be changed from draft to finished: "
            "only an experiment that is running or paused can become finished",
        ),
        (
            KEY,
            f'{KEY}\nstatus = "running"',
            having(Status.FINISHED),
            "status can't be changed from finished to running: "
            "only an experiment that is a draft or paused can become running",
        ),
        (
            KEY,
            KEY,
            having(Status.ARCHIVED),
            "status can't be changed from archived to running: a key is never used again; declare it archived, or "
            "take it out of the file",
        ),
        (
            KEY,
            f'{KEY}\nstatus = "finished"\nwinner = "two"',
            having(Status.FINISHED, "one"),
            "winner can't be changed from one to two: a winner is named when the experiment is finished, and stays",
        ),
        (
            KEY,
            f'{KEY}\nstatus = "finished"\nbecause = "no effect"',
            structs.replace(having(Status.FINISHED), because="too dear"),
            "because can't be changed from too dear to no effect: a reason is given when the experiment is finished, "
            "and stays",
        ),
    ],
)
def test_what_can_never_change_is_refused_by_name(old: str, new: str, stored: Experiment, sentence: str) -> None:
    found = proposed(old, new, stored)
    assert [step.sentence for step in found.refused] == [f"checkout: {sentence}"]
    with pytest.raises(Conflict, match="nothing can be applied:\n  checkout: "):
        found.require_allowed()


def test_a_type_never_changes() -> None:
    stored = structs.replace(CHECKOUT, values=("1", "2"))
    (each,) = parse_declared(write_toml([as_declared(stored)]).replace(KEY, f'{KEY}\ntype = "number"'))
    (step,) = propose([each], [stored]).refused
    assert step.sentence == ("checkout: type can't be changed from string to number: a device keeps the value it got")


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("declared", Status)
def test_a_status_is_reached_only_by_an_allowed_change(status: Status, declared: Status) -> None:
    allowed = {
        Status.DRAFT: {Status.RUNNING, Status.ARCHIVED},
        Status.RUNNING: {Status.PAUSED, Status.FINISHED, Status.ARCHIVED},
        Status.PAUSED: {Status.RUNNING, Status.FINISHED, Status.ARCHIVED},
        Status.FINISHED: {Status.ARCHIVED},
        Status.ARCHIVED: set[Status](),
    }
    found = proposed(KEY, f'{KEY}\nstatus = "{declared}"', having(status))
    assert len(found.steps) == (status is not declared)
    assert len(found.refused) == (status is not declared and declared not in allowed[status])


def test_finishing_names_the_winner() -> None:
    found = proposed(KEY, f'{KEY}\nstatus = "finished"\nwinner = "two"')
    assert found.changes == (("checkout", Change(status=Status.FINISHED, winner="two")),)
    assert [step.sentence for step in found.steps] == [
        "checkout: status will be finished (was running)",
        "checkout: winner will be two (was none)",
    ]


def test_finishing_says_why() -> None:
    found = proposed(KEY, f'{KEY}\nstatus = "finished"\nbecause = "no effect"')
    assert found.changes == (("checkout", Change(status=Status.FINISHED, because="no effect")),)
    assert [step.sentence for step in found.steps] == [
        "checkout: status will be finished (was running)",
        "checkout: because will be no effect (was none)",
    ]


def test_a_file_that_does_not_say_why_leaves_the_reason_as_it_is() -> None:
    stored = structs.replace(having(Status.FINISHED), because="no effect")
    assert proposed(KEY, f'{KEY}\nstatus = "finished"', stored).steps == ()
    named = proposed(KEY, f'{KEY}\nstatus = "finished"\nwinner = "one"', stored)
    assert named.changes == (("checkout", Change(status=Status.FINISHED, winner="one", because="no effect")),)
    said = proposed(KEY, f'{KEY}\nstatus = "finished"\nbecause = "no effect"', having(Status.FINISHED, "one"))
    assert said.changes == (("checkout", Change(because="no effect")),)


@pytest.mark.parametrize("status", [Status.DRAFT, Status.PAUSED, Status.FINISHED])
def test_a_status_that_the_file_does_not_say_stays(status: Status) -> None:
    assert proposed(KEY, KEY, having(status, "one" if status is Status.FINISHED else None)).steps == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("weight = 50 }", "weight = 50.00 }"),
        ("weight = 50 },\n  { value = \"two\", weight = 50", "weight = 1 },\n  { value = \"two\", weight = 1"),
        ('"platform=ios,android"', '"platform = ios, android"'),
        ('coverage = "20%"', 'coverage = "0.20"'),
        (KEY, f'{KEY}\nbaseline = "one"'),
        (KEY, f'{KEY}\nstatus = "running"'),
    ],
)  # fmt: skip
def test_what_means_the_same_is_no_change(old: str, new: str) -> None:
    assert proposed(old, new).steps == ()


def test_values_in_another_order_keep_their_weights() -> None:
    stored = structs.replace(CHECKOUT, phases=(Phase(1, (Decimal(1), Decimal(3)), 0, 0, Decimal("0.2")),))
    lines = 'variants = [\n  { value = "two", weight = 3 },\n  { value = "one", weight = 1 },\n]\nbaseline = "one"\n'
    assert propose(parse_declared(FILE.partition("variants")[0] + lines), [stored]).steps == ()


def test_what_the_file_does_not_name_is_left_alone() -> None:
    others = [structs.replace(CHECKOUT, key="other"), structs.replace(having(Status.ARCHIVED), key="over")]
    found = propose(parse_declared(FILE), [CHECKOUT, *others])
    assert (found.steps, found.changes, found.not_in_file) == ((), (), ("other",))


def test_a_baseline_that_lost_its_weight_is_kept_but_not_created() -> None:
    stored = structs.replace(CHECKOUT, phases=(Phase(1, (Decimal(0), Decimal(3)), 0, 0, Decimal("0.2")),))
    declared = parse_declared(write_toml([as_declared(stored)]))
    assert propose(declared, [stored]).steps == ()
    with pytest.raises(InvalidExperiment, match="checkout: baseline: 'one' has weight 0"):
        propose(declared, [])


WAYS = ["draft", "running", "paused", "finished", "archived"]


async def test_a_dump_makes_the_same_experiments_in_an_empty_database(tmp_path: Path) -> None:
    winner = 'winner = "{0}-1"\nbecause = "{0}: \\"it sells\\""'
    statuses = [*(f'status = "{status}"' for status in WAYS), *(f'status = "{each}"\n{winner}' for each in WAYS[3:])]
    new = [as_new(f"key{n}", status.format(f"key{n}")) for n, status in enumerate(statuses)]
    async with opened(tmp_path / "one.db") as store:
        service = ExperimentService(store, by=ANNA)
        await applied(service, "\n".join(new))
        dumped = write_toml([as_declared(each) for each in await service.all()])
        assert (await service.propose(parse_declared(dumped))).steps == ()
    async with opened(tmp_path / "two.db") as store:
        service = ExperimentService(store, by=ANNA)
        await applied(service, dumped)
        assert write_toml([as_declared(each) for each in await service.all()]) == dumped
        assert [str(each.status) for each in await service.all()] == [*WAYS, *WAYS[3:]]
        assert [each.winner for each in await service.all()] == [*[None] * 5, "key5-1", "key6-1"]
        assert [each.because for each in await service.all()] == [*[""] * 5, 'key5: "it sells"', 'key6: "it sells"']
        got = await answers(store, tokens("device", 20))
        assert {key for answer in got for key in answer} == {"key1", "key5"}
        assert all(answer["key5"] == "key5-1" for answer in got)
        assert (await VerificationService(store).verify()).findings == ()


def as_new(key: str, more: str) -> str:
    variants = ", ".join(f'{{ value = "{key}-{n}", weight = 33.3 }}' for n in range(3))
    return f'[[experiments]]\nkey = "{key}"\n{more}\nvariants = [{variants}]\n'


async def applied(service: ExperimentService, text: str) -> None:
    declared = parse_declared(text)
    await service.apply(declared, await service.propose(declared))


async def test_devices_keep_their_values_when_a_file_gives_new_weights(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await applied(service, as_new("color", 'metrics = ["conversion:buy"]'))
        before = await answers(store, tokens("a", 30))
        await applied(service, as_new("color", "").replace("33.3", "0", 1))
        assert await answers(store, tokens("a", 30)) == before
        assert {answer["color"] for answer in await answers(store, tokens("b", 30))} == {"color-1", "color-2"}
        (changed,) = await service.all()
        assert (len(changed.phases), changed.metrics, changed.primary_changed_at is None) == (2, (), False)
        assert (await VerificationService(store).verify()).findings == ()


async def test_nothing_is_done_if_something_else_was_shown(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await service.add([experiment("color", "1", "1", "1")])
        declared = parse_declared(as_new("color", "").replace("33.3", "50", 1) + as_new("size", ""))
        shown = await service.propose(declared)
        await service.reweight("color", coverage=Decimal("0.5"))
        with pytest.raises(Conflict, match="nothing was done: somebody changed the experiments"):
            await service.apply(declared, shown)
        assert [(each.key, each.phase.number) for each in await service.all()] == [("color", 2)]
        await service.add([experiment("other", "1", "1")])
        await service.apply(declared, await service.propose(declared))
        assert [each.key for each in await service.all()] == ["color", "other", "size"]


async def test_what_is_refused_keeps_everything_else_from_being_done(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await service.add([experiment("color", "1", "1", "1")])
        with pytest.raises(Conflict, match="type can't be changed"):
            await applied(service, as_new("size", "") + as_new("color", 'type = "json"').replace('"color-', '"1'))
        assert [(each.key, each.type) for each in await service.all()] == [("color", Type.STRING)]


def in_group(key: str, share: str, more: str = "") -> str:
    return as_new(key, f'group = "screen"\ngroup_share = "{share}"\n{more}')


async def test_a_file_puts_experiments_into_groups_and_swaps_their_shares(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service, groups = ExperimentService(store, by=ANNA), GroupService(store, by=ANNA)
        await applied(service, in_group("one", "60%") + in_group("two", "40%"))
        assert members(await groups.one("screen")) == {"one": Decimal("0.6"), "two": Decimal("0.4")}
        await applied(service, in_group("one", "40%") + in_group("two", "60%"))
        assert members(await groups.one("screen")) == {"one": Decimal("0.4"), "two": Decimal("0.6")}
        await applied(service, as_new("three", ""))
        await applied(service, in_group("three", "40%") + in_group("one", "40%", 'status = "finished"'))
        assert members(await groups.one("screen")) == {"two": Decimal("0.6"), "three": Decimal("0.4")}
        dumped = write_toml([as_declared(each) for each in await service.all()])
        assert (await service.propose(parse_declared(dumped))).steps == ()
        await applied(service, as_new("two", ""))
        assert members(await groups.one("screen")) == {"three": Decimal("0.4")}
        assert (await VerificationService(store).verify()).findings == ()


async def test_a_file_whose_groups_have_no_room_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        with pytest.raises(InvalidExperiment, match="group share: the group screen has only 40% left, not 50%"):
            await applied(service, in_group("one", "60%") + in_group("two", "50%"))
        assert await service.all() == []
        assert await GroupService(store, by=ANNA).all() == []


async def test_before_anything_is_done_it_is_said_where_a_group_has_no_room(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await applied(service, in_group("one", "60%") + as_new("three", ""))
        no_room = "group share: the group screen has only 40% left, not 50%"
        for file in (
            in_group("two", "50%"),
            in_group("three", "50%"),
            in_group("two", "50%") + in_group("one", "60%"),
        ):
            with pytest.raises(InvalidExperiment, match=no_room):
                await service.propose(parse_declared(file))
        with pytest.raises(InvalidExperiment, match=no_room):
            await service.propose_edit("three", {"group": "screen", "group_share": "50%"})
        assert (await service.propose(parse_declared(in_group("two", "60%") + in_group("one", "40%")))).steps
