"""The page for operators."""

from abtest.upkeep import SystemService
from abtest.web.base import PageHandler


class System(PageHandler):
    """Whether all is well, and what to do if not."""

    caching = "no-store"

    def initialize(self, system: SystemService) -> None:
        self._system = system

    async def get(self) -> None:
        self.page("system.html", page="system", system=await self._system.system())

    head = get
