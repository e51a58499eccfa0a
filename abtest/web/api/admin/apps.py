"""Apps, for programs."""

from msgspec import Struct

from abtest.management import AppService, described_app
from abtest.web.api.admin.base import ADMIN_PATH, AdminHandler
from abtest.web.services import ChangingAll

APPS = f"{ADMIN_PATH}/apps"


class NewApp(Struct, forbid_unknown_fields=True):
    """A new app."""

    key: str


class AppHandler(AdminHandler):
    """Finds and adds apps."""

    def initialize(self, apps: ChangingAll[AppService]) -> None:
        self._apps = apps

    @property
    def apps(self) -> AppService:
        """Adds apps in the name of the caller."""
        return self._apps(by=self.caller.by)


class Apps(AppHandler):
    """Every app."""

    async def get(self) -> None:
        self.answer([described_app(each) for each in await self.apps.all()])

    head = get

    async def post(self) -> None:
        added = await self.apps.add(self.read(NewApp).key)
        self.created(f"apps/{added.key}", described_app(added))


class App(AppHandler):
    """One app."""

    async def get(self, key: str) -> None:
        self.answer(described_app(await self.apps.one(key)))

    head = get
