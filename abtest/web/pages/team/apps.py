"""Apps: added by admins of every app, and there for good."""

from abtest.errors import Conflict, InvalidField, Unavailable
from abtest.management import AppService
from abtest.results import ReportService
from abtest.web.base import OfApp, PageHandler
from abtest.web.pages.telling import told
from abtest.web.services import ChangingAll


class AppsPage(PageHandler):
    """Every app, what is in it, and the form that adds one."""

    caching = "no-store"

    def initialize(self, apps: ChangingAll[AppService], reports: OfApp[ReportService]) -> None:
        self._apps = apps
        self._reports = reports

    async def get(self) -> None:
        await self._show()

    head = get

    async def post(self) -> None:
        try:
            await self._apps(by=self.caller.by).add(self.get_body_argument("key", ""))
        except (InvalidField, Conflict, Unavailable) as error:
            await self._show(told(self.refuse(error), error, {"key": "Key"}))
        else:
            self.see_other("/apps", did="app_added")

    async def _show(self, message: str = "") -> None:
        all_apps = await self._apps(by=self.caller.by).all()
        self.page(
            "apps.html",
            page="",
            all_apps=[(each, (await self._reports(each.key).report()).figures) for each in all_apps],
            message=message,
            typed=self.get_body_argument("key", "") if message else "",
        )
