"""The audit log, for programs."""

from urllib.parse import urlencode

from abtest.domain import APPS, Sought, parse_since, path_of
from abtest.errors import Forbidden, InvalidField
from abtest.management import JournalService, described_entry, table_of_entries
from abtest.web.access import ADMIN_EVERYWHERE
from abtest.web.api.admin.base import ADMIN_PATH, AdminHandler
from abtest.web.base import MOST_DIGITS, Handler, whole

AUDIT = f"{ADMIN_PATH}/audit"
PARAMETERS = ("by", "about", "since", "app", "before", "limit", "format")
MOST, DEFAULT = 1000, 100
JSON, CSV = "json", "csv"


class Audit(AdminHandler):
    """Who changed what, the newest change first. The header `Link` leads to the next page (RFC 8288)."""

    def initialize(self, journal: JournalService) -> None:
        self._journal = journal

    async def get(self) -> None:
        for name, given in self.request.query_arguments.items():
            if name not in PARAMETERS or len(given) > 1:
                known = f"there is no such parameter; the parameters are {', '.join(PARAMETERS)}"
                raise InvalidField("must be given once" if name in PARAMETERS else known, field=name[:64])
        form = self.get_query_argument("format", "") or JSON
        if form not in {JSON, CSV}:
            raise InvalidField(f"must be {JSON} or {CSV}", field="format")
        sought, most = asked(self), number(self, "limit", MOST) or DEFAULT
        found = await self._journal.newest(sought, most + 1)  # one more tells whether there are more
        if len(found) > most:
            there = (
                f"{self.settings['base_path']}{path_of(self.app)}{AUDIT}?{asking(self, sought, found[most - 1].id)}"
            )
            self.set_header("Link", f'<{there}>; rel="next"')
        if form == CSV:
            self.set_header("Content-Type", "text/csv; charset=UTF-8")
            self.set_header("Content-Disposition", 'attachment; filename="audit.csv"')
            self.set_header("Cache-Control", "private, no-store")
            self.finish(table_of_entries(found[:most]))
        else:
            self.answer([described_entry(each) for each in found[:most]])

    head = get


def asked(handler: Handler) -> Sought:
    """The entries that the query of a request asks for. An admin of one app gets only those of the path's app.

    Raises InvalidField or Forbidden.
    """
    app = handler.get_query_argument("app", handler.app if handler.request.path.startswith(APPS) else "") or None
    if not handler.may(ADMIN_EVERYWHERE):
        if app not in {None, handler.app}:
            raise Forbidden(f"you may see only the changes in the app {handler.app}")
        app = handler.app
    since = handler.get_query_argument("since", "")
    by, about = (handler.get_query_argument(name, "") or None for name in ("by", "about"))
    return Sought(app, by, about, parse_since(since) if since else None, number(handler, "before"))


def asking(handler: Handler, sought: Sought, before: int | None = None) -> str:
    """The query of the same search, for the newest entries or for those older than `before`."""
    given = {name: value for name in PARAMETERS if (value := handler.get_query_argument(name, ""))}
    older = {} if before is None else {"before": before}
    return urlencode({name: given[name] for name in given if name != "before"} | {"app": sought.app or ""} | older)


def number(handler: Handler, name: str, most: int = 10**MOST_DIGITS - 1) -> int | None:
    """A whole number in the query, if there is one. Raises InvalidField."""
    text = handler.get_query_argument(name, "")
    if not text:
        return None
    found = whole(text)
    if found is None or not 1 <= found <= most:
        raise InvalidField(f"must be a whole number from 1 to {most}", field=name)
    return found
