"""The results of one experiment, for whoever has a link to them."""

from http import HTTPStatus

from tornado.web import HTTPError

from abtest import clock
from abtest.errors import UnknownSharedLink
from abtest.management import SharedLinkService
from abtest.results import ReportService, ResultService, find
from abtest.web.base import OfApp, PageHandler
from abtest.web.pages import rendering
from abtest.web.pages.chart import chart
from abtest.web.problems import Problem


class Shared(PageHandler):
    """One experiment, on a page that leads to no other."""

    caching = "no-store"

    def initialize(
        self, shared_links: SharedLinkService, reports: OfApp[ReportService], results: OfApp[ResultService]
    ) -> None:
        self._shared_links = shared_links
        self._reports = reports
        self._results = results

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("X-Robots-Tag", "noindex")

    async def get(self, secret: str) -> None:
        try:
            link = await self._shared_links.find(secret)
        except UnknownSharedLink:
            raise HTTPError(HTTPStatus.NOT_FOUND) from None  # as for any path where there is nothing
        reports = self._reports(link.app)
        report = await reports.report()
        it = find(report, link.key)
        self.page(
            "shared.html",
            report=report,
            it=it,
            results=await self._results(link.app).one(link.key),
            chart=chart(await reports.per_hour(it.experiment), now=(report.as_of or 0) // clock.HOUR),
        )

    head = get

    def write_problem(self, document: Problem) -> None:
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.finish(rendering.render("shared_error.html", problem=document, root=self.settings["base_path"]))
