"""The groups and holdouts of an app, and the forms that change them."""

from decimal import Decimal
from typing import Any

from msgspec import Struct

from abtest.domain import Experiment, Kind, Status, members, parse_coverage, revision
from abtest.errors import Conflict, InvalidField
from abtest.management import ExperimentService, GroupService, HoldoutService, JournalService
from abtest.results import ReportService, find
from abtest.web.base import OfApp
from abtest.web.pages.changing.attempting import AttemptPage, newest, since
from abtest.web.services import Changing, ChangingSeen


class ListedGroup(Struct, frozen=True):
    """A group, the shares of its experiments by key, and the part of all new devices that is free."""

    group: Experiment
    shares: dict[str, Decimal]
    free: Decimal


def listed(group: Experiment) -> ListedGroup:
    """A group as the pages show it."""
    return ListedGroup(group, members(group), 1 - group.phase.coverage)


class GroupPage(AttemptPage):
    """What the pages of groups need."""

    def initialize(self, experiments: ChangingSeen[ExperimentService], groups: Changing[GroupService]) -> None:
        self._experiments = experiments
        self._groups = groups

    async def about(self, *keys: str) -> dict[str, Any]:
        (key,) = keys
        it = listed(await self._groups(self.app, by=self.by).one(key))
        every = await self._experiments(self.app, by=self.by).all()
        return {"it": it, "choices": self.choices(it, every)}

    def choices(self, it: ListedGroup, every: list[Experiment]) -> list[Experiment]:
        """The experiments that can be chosen."""
        raise NotImplementedError

    def experiment(self) -> str:
        """The key of the chosen one. Raises InvalidField."""
        chosen = self.entered("experiment")
        if not chosen:
            raise InvalidField("choose one", field="experiment")
        return chosen


class Groups(GroupPage):
    """All groups, and the form that makes one."""

    template = "groups.html"

    async def about(self, *keys: str) -> dict[str, Any]:
        return {"groups": [listed(each) for each in await self._groups(self.app, by=self.by).all()]}

    async def post(self) -> None:
        key, description = self.entered("key"), self.entered("description")
        made = self._groups(self.app, by=self.by).add(key, description)
        await self.attempt(made, (), f"/groups/{key}", "group_added")


class Join(GroupPage):
    """Puts an experiment into a group."""

    template = "group_join.html"

    def choices(self, it: ListedGroup, every: list[Experiment]) -> list[Experiment]:
        return [each for each in every if each.group is None and not each.status.over]

    async def post(self, key: str) -> None:
        await self.attempt(self._join(key), (key,), f"/groups/{key}", "joined")

    async def _join(self, key: str) -> None:
        experiment, share = self.experiment(), parse_coverage(self.entered("share"), "share")
        await self._groups(self.app, by=self.by).join(key, experiment, share)


class Leave(GroupPage):
    """Takes an experiment out of a group."""

    template = "group_leave.html"

    def choices(self, it: ListedGroup, every: list[Experiment]) -> list[Experiment]:
        return [each for each in every if each.key in it.shares]

    async def post(self, key: str) -> None:
        await self.attempt(self._leave(key), (key,), f"/groups/{key}", "left")

    async def _leave(self, key: str) -> None:
        await self._groups(self.app, by=self.by).leave(key, self.experiment())


class HoldoutPage(AttemptPage):
    """What the pages of holdouts need. `reports`: those of holdouts."""

    def initialize(
        self, holdouts: ChangingSeen[HoldoutService], journal: JournalService, reports: OfApp[ReportService]
    ) -> None:
        self._holdouts = holdouts
        self._journal = journal
        self._reports = reports(self.app)

    async def about(self, *keys: str) -> dict[str, Any]:
        (key,) = keys
        entries = await self._journal.changes(key, self.app, Kind.HOLDOUT)  # before the holdout
        it = await self._holdouts(self.app, by=self.by).one(key)
        return {
            "seen": newest(entries),
            "changes": since(entries, self.entered("seen")),
            "it": it,
            "revision": revision(it),
            "report": find(await self._reports.report(), key, Kind.HOLDOUT),
        }

    @property
    def metrics(self) -> tuple[str, ...]:
        """What was entered, one a line."""
        return tuple(filter(None, map(str.strip, self.entered("metrics").splitlines())))

    @property
    def seen(self) -> HoldoutService:
        """Changes the holdout only if it still is as the form showed it."""
        return self._holdouts(self.app, self.entered("revision"), by=self.by)


class Holdouts(HoldoutPage):
    """All holdouts, and the form that begins one."""

    template = "holdouts.html"

    async def about(self, *keys: str) -> dict[str, Any]:
        return {"holdouts": await self._holdouts(self.app, by=self.by).all()}

    async def post(self) -> None:
        key = self.entered("key")
        await self.attempt(self._add(key), (), f"/holdouts/{key}", "holdout_added")

    async def _add(self, key: str) -> None:
        share = parse_coverage(self.entered("share"), "share")
        description = self.entered("description")
        await self._holdouts(self.app, by=self.by).add(key, share, description, self.metrics)


class EndHoldout(HoldoutPage):
    """Holds no more devices."""

    template = "holdout_end.html"

    async def about(self, *keys: str) -> dict[str, Any]:
        about = await super().about(*keys)
        ended = Conflict(f"the holdout {about['it'].key} has ended already", code="impossible_transition")
        return about | {"impossible": None if about["it"].status is Status.RUNNING else ended}

    async def post(self, key: str) -> None:
        await self.attempt(self.seen.end(key), (key,), f"/holdouts/{key}", "holdout_ended")


class HoldoutMetrics(HoldoutPage):
    """Changes what held and free devices are compared by."""

    template = "holdout_metrics.html"

    async def post(self, key: str) -> None:
        await self.attempt(self.seen.measure(key, self.metrics), (key,), f"/holdouts/{key}", "holdout_measured")
