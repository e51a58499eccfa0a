"""Links to the results of an experiment, for programs."""

from http import HTTPStatus

from msgspec import Struct

from abtest.management import SharedLinkService, described_shared_link
from abtest.web.api.admin.base import AdminHandler
from abtest.web.base import parse_id


class NewSharedLink(Struct, forbid_unknown_fields=True):
    """The body of a POST."""

    note: str = ""


class _OfExperiment(AdminHandler):
    def initialize(self, shared_links: SharedLinkService) -> None:
        self._shared_links = shared_links


class SharedLinks(_OfExperiment):
    """The shared links of an experiment. Only the answer to POST has the link itself."""

    async def get(self, key: str) -> None:
        self.answer([described_shared_link(each) for each in await self._shared_links.all(key, self.app)])

    head = get

    async def post(self, key: str) -> None:
        note = self.read(NewSharedLink).note
        made, secret = await self._shared_links.add(key, note, self.app, by=self.caller.by)
        self.answer(described_shared_link(made) | {"link": self.url(f"/shared/{secret}")}, HTTPStatus.CREATED)


class SharedLink(_OfExperiment):
    """One shared link."""

    async def delete(self, key: str, id: str) -> None:
        await self._shared_links.revoke(parse_id(id), key, self.app, by=self.caller.by)
        self.set_status(HTTPStatus.NO_CONTENT)
