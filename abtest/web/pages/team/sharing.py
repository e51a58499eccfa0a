"""Links to the results of one experiment, and what whoever has one sees."""

from http import HTTPStatus

from tornado.web import HTTPError

from abtest import clock
from abtest.domain import path_of
from abtest.errors import InvalidField, Unavailable, UnknownSharedLink
from abtest.management import SharedLinkService
from abtest.results import ReportService, ResultService, find
from abtest.web.base import OfApp, PageHandler, parse_id
from abtest.web.pages import rendering
from abtest.web.pages.chart import chart
from abtest.web.pages.telling import told
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


class SharedLinks(PageHandler):
    """The links of an experiment, and the form that makes one."""

    caching = "no-store"

    def initialize(self, shared_links: SharedLinkService) -> None:
        self._shared_links = shared_links

    async def get(self, key: str) -> None:
        await self._show(key)

    head = get

    async def post(self, key: str) -> None:
        note = self.get_body_argument("note", "")
        try:
            _, secret = await self._shared_links.add(key, note, self.app, by=self.caller.by)
        except (InvalidField, Unavailable) as error:
            await self._show(key, note=note, message=told(self.refuse(error), error, {"note": "Note"}))
        else:
            await self._show(key, link=self.url(f"/shared/{secret}"))

    async def _show(self, key: str, link: str = "", note: str = "", message: str = "") -> None:
        links = await self._shared_links.all(key, self.app)
        self.page("shared_links.html", page="", key=key, links=links, link=link, note=note, message=message)


class RevokedSharedLink(PageHandler):
    """The form that revokes a link."""

    def initialize(self, shared_links: SharedLinkService) -> None:
        self._shared_links = shared_links

    async def post(self, key: str, id: str) -> None:
        await self._shared_links.revoke(parse_id(id), key, self.app, by=self.caller.by)
        self.see_other(f"{path_of(self.app)}/experiments/{key}/shared-links", did="link_revoked")
