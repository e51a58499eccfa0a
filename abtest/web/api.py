"""JSON for programs, beside the hot path."""

import msgspec

from abtest.reports import ReportService
from abtest.web.base import Handler


class Experiments(Handler):
    """The methods of the hot path that are not GET or HEAD: `HotServer` answers those before they come here."""

    def get(self) -> None:
        raise NotImplementedError

    head = get


class Stats(Handler):
    """The summary that the worker wrote."""

    def initialize(self, reports: ReportService) -> None:
        self._reports = reports

    async def get(self) -> None:
        report = await self._reports.report()
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-cache")
        self.finish(msgspec.json.encode(report.figures))

    head = get
