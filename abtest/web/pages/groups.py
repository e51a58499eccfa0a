"""The pages of groups and holdouts."""

from decimal import Decimal

from msgspec import Struct

from abtest.domain import Experiment, Kind, members
from abtest.results import find
from abtest.web.pages.handlers import ReportPage


class Member(Struct, frozen=True):
    """An experiment of a group, its share, and how many devices it was given since the shares are so."""

    key: str
    experiment: Experiment
    share: Decimal
    devices: int


class Group(ReportPage):
    """The experiments of a group, and who has what."""

    async def get(self, key: str) -> None:
        report, experiments = await self._groups.report(), await self._reports.report()
        group = find(report, key, Kind.GROUP)
        given = dict(zip(group.experiment.values, group.phases[-1].counts, strict=True))
        shares = members(group.experiment)
        self.report_page(
            "group.html",
            report,
            page="",
            it=group,
            members=[
                Member(key, find(experiments, key).experiment, share, given[key]) for key, share in shares.items()
            ],
            free=1 - group.experiment.phase.coverage,
            others=group.phases[-1].uncovered,
        )

    head = get


class Holdout(ReportPage):
    """What all experiments together bring. `results`: those of holdouts."""

    async def get(self, key: str) -> None:
        report = await self._holdouts.report()
        holdout, results = find(report, key, Kind.HOLDOUT), await self._results.one(key)
        self.report_page("holdout.html", report, page="", it=holdout, results=results)

    head = get
