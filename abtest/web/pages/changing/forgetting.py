"""Forgetting a device, which the page that explains it offers to admins. The token comes in the body alone."""

from abtest.domain import check_token, path_of
from abtest.errors import UnknownDevice
from abtest.upkeep import ErasureService
from abtest.web.base import PageHandler
from abtest.web.services import Changing


class Forget(PageHandler):
    """Erases a token and its events."""

    caching = "no-store"

    def initialize(self, erasure: Changing[ErasureService]) -> None:
        self._erasure = erasure

    async def post(self) -> None:
        token = check_token(self.get_body_argument("token", "", strip=False))
        erased = await self._erasure(self.app, by=self.caller.by).forget([token])
        if not erased.forgotten:
            raise UnknownDevice("no device has asked for its experiments with this token")
        self.see_other(f"{path_of(self.app)}/why", "forgotten" if erased.log_emptied else "forgotten_but_in_log")
