"""The state of the whole system."""

from abtest.upkeep import SystemService
from abtest.web.api.admin.base import AdminHandler


class Status(AdminHandler):
    """What the system page shows."""

    def initialize(self, system: SystemService) -> None:
        self._system = system

    async def get(self) -> None:
        self.answer(await self._system.system())

    head = get
