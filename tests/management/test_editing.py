"""Several fields of an experiment are changed at once."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from abtest import clock
from abtest.domain import Experiment, Status, revision
from abtest.errors import AbtestError, ChangedMeanwhile, Conflict, InvalidField
from abtest.management import ExperimentService, GroupService, described
from abtest.trust import VerificationService
from tests.scenes import ANNA, answers, opened, tokens

FIELDS = {
    "key": "color",
    "variants": [{"value": "red", "weight": "33.3333"}, {"value": "blue", "weight": 2}],
    "metrics": ["conversion:buy/14d less"],
    "audience": ["platform!=web"],
    "coverage": "33.3333%",
    "group": "screen",
    "group_share": "12.3456%",
    "baseline": "blue",
    "planned": 100,
    "stop_at": 5000,
    "draft": True,
}
LATER, END = "2098-12-01T09:00:00.123Z", "2099-12-01T09:00:00.456Z"
WAYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "draft": (),
    "scheduled": (),
    "running": (("start",),),
    "paused": (("start",), ("pause",)),
    "finished": (("start",), ("finish",)),
    "decided": (("start",), ("finish", "blue", "it sells")),
    "archived": (("archive",),),
    "archived after a decision": (("start",), ("finish", "red"), ("archive",)),
}
SCHEDULED = {"draft": False, "start_at": LATER}


async def having(service: ExperimentService, way: str) -> Experiment:
    """An experiment with everything that one can have, which has gone this way."""
    made = await service.create(FIELDS | {"end_at": END} | (SCHEDULED if way == "scheduled" else {}))
    for step, *arguments in WAYS[way]:
        made = await getattr(service, step)("color", *arguments)
    return made


@pytest.mark.parametrize("way", WAYS)
async def test_a_description_alone_can_always_be_changed_and_changes_nothing_else(tmp_path: Path, way: str) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await GroupService(store, by=ANNA).add("screen")
        before = await having(service, way)
        for text in ("warm or cold?", ""):
            after = await service.edit("color", {"description": text or None})
            assert after == structs.replace(before, description=text)
        assert (await VerificationService(store).verify()).findings == ()


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_sent_as_it_is_shown_changes_nothing(tmp_path: Path, way: str) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await GroupService(store, by=ANNA).add("screen")
        before = await having(service, way)
        shown = described(before)
        own = (*FIELDS, "status", "winner", "because", "start_at", "end_at")
        assert await service.edit("color", {name: shown[name] for name in own if name in shown}) == before
        assert revision(await service.edit("color", {})) == revision(before)


@pytest.mark.parametrize(
    ("way", "fields", "kind", "words"),
    [
        ("running", {"key": "colour"}, InvalidField, "key: can't be changed, because apps ask for it"),
        ("running", {"status": "paused"}, InvalidField, "status: can't be edited; start, pause"),
        ("running", {"draft": True}, InvalidField, "draft: can't be edited; start"),
        ("finished", {"winner": "red"}, InvalidField, "winner: can't be edited"),
        ("decided", {"winner": None}, InvalidField, "winner: can't be edited"),
        ("decided", {"because": "no"}, InvalidField, "because: can't be edited"),
        ("running", {"start_at": LATER}, Conflict, "color: start_at can't be changed: the experiment is running"),
        ("paused", {"start_at": LATER}, Conflict, "color: start_at can't be changed: the experiment is paused"),
        (
            "finished",
            {"end_at": "2099-12-02T09:00:00Z"},
            Conflict,
            "end_at can't be changed: the experiment is finished",
        ),
        (
            "archived",
            {"group": "screen", "group_share": "5%"},
            Conflict,
            "group can't be changed: the experiment is archived",
        ),
        ("finished", {"coverage": None}, Conflict, "coverage can't be changed from 33.3333% to 100%: it is finished"),
        ("running", {"audience": None}, Conflict, "audience can't be changed from .* to every device"),
        ("running", {"planned": None}, Conflict, "planned can't be changed"),
        ("running", {"group": "nothing"}, InvalidField, "group: there is no such group"),
        ("running", {"variants": None}, InvalidField, "variants: must be given"),
        ("running", {"phases": []}, InvalidField, "phases: there is no such field"),
    ],
)
async def test_what_can_not_be_changed_is_refused_and_never_ignored(
    tmp_path: Path, way: str, fields: dict[str, Any], kind: type[AbtestError], words: str
) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await GroupService(store, by=ANNA).add("screen")
        before = await having(service, way)
        with pytest.raises(kind, match=words):
            await service.edit("color", {"description": "other"} | fields)
        assert await service.one("color") == before


async def test_null_takes_away_what_can_be_taken_away(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await GroupService(store, by=ANNA).add("screen")
        await having(service, "scheduled")
        names = ("metrics", "coverage", "group", "baseline", "start_at", "end_at")
        after = await service.edit("color", dict.fromkeys(names))
        assert (after.metrics, after.group, after.group_share, after.baseline_place) == ((), None, None, 0)
        assert (after.phase.coverage, after.coming, after.status) == (Decimal(1), (None, None), Status.DRAFT)


async def test_a_schedule_of_a_draft_can_be_changed_and_so_can_the_end_of_one_that_runs(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        await GroupService(store, by=ANNA).add("screen")
        await having(service, "draft")
        planned = await service.edit("color", {"start_at": "2090-01-01T00:00:00Z"})
        assert clock.iso(planned.start_at or 0) == "2090-01-01T00:00:00Z"
        await service.start("color")
        ending = await service.edit("color", {"end_at": "2091-01-01T00:00:00Z"})
        assert (clock.iso(ending.end_at or 0), ending.start_at) == ("2091-01-01T00:00:00Z", planned.start_at)


async def test_an_experiment_that_is_not_as_it_was_seen_is_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        service = ExperimentService(store, by=ANNA)
        made = await service.create({name: value for name, value in FIELDS.items() if "group" not in name})
        seen = ExperimentService(store, revision=revision(made), by=ANNA)
        await service.start("color")
        for change in (seen.edit("color", {"description": "x"}), seen.pause("color"), seen.finish("color")):
            with pytest.raises(ChangedMeanwhile):
                await change
        seen = ExperimentService(store, revision=revision(await service.one("color")), by=ANNA)
        await answers(store, tokens("a", 5))
        assert (await seen.edit("color", {"description": "x"})).description == "x"
