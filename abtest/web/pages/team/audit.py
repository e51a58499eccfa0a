"""The audit log as a page: who changed what."""

from collections.abc import Sequence

from abtest.domain import Entry
from abtest.errors import InvalidField
from abtest.management import JournalService
from abtest.web.api.admin.audit import PARAMETERS, asked, asking
from abtest.web.base import PageHandler
from abtest.web.pages.rendering import cut
from abtest.web.pages.telling import told

MOST = 50


class AuditPage(PageHandler):
    """Entries, the newest first, and the form that chooses among them."""

    caching = "no-store"

    def initialize(self, journal: JournalService) -> None:
        self._journal = journal

    async def get(self) -> None:
        try:
            sought = asked(self)
        except InvalidField as error:
            self._show([], message=told(self.refuse(error), error))
            return
        found = await self._journal.newest(sought, MOST + 1)
        older = asking(self, sought, found[MOST - 1].id) if len(found) > MOST else ""
        self._show(found[:MOST], older, asking(self, sought), sought.app or "")

    head = get

    def _show(
        self, entries: Sequence[Entry], older: str = "", newest: str = "", chosen: str = "", message: str = ""
    ) -> None:
        """`older`, `newest`: queries. `chosen`: the app."""
        self.page(
            "audit.html",
            page="audit",
            entries=entries,
            older=older,
            newest=newest,
            chosen=chosen,
            message=message,
            typed={name: self.get_query_argument(name, "") for name in PARAMETERS},
            cut=cut,
        )
