"""The audit log, for programs."""

from urllib.parse import urlencode

from abtest.domain import APPS, Sought, parse_time, path_of
from abtest.errors import Forbidden, InvalidExperiment, InvalidField
from abtest.management import JournalService, described_entry
from abtest.web.access import ADMIN_EVERYWHERE
from abtest.web.api.admin.base import ADMIN_PATH, AdminHandler
from abtest.web.base import LONGEST_ID, Handler

AUDIT = f"{ADMIN_PATH}/audit"
PARAMETERS = ("by", "about", "since", "app", "before", "limit")
MOST, DEFAULT = 1000, 100
DAY = len("2026-12-03")
SINCE_RULE = "must be a day such as 2026-12-03, or a time such as 2026-12-03T09:00:00Z"


class Audit(AdminHandler):
    """Who changed what, the newest first. The header `Link` leads to the next page (RFC 8288)."""

    def initialize(self, journal: JournalService) -> None:
        self._journal = journal

    async def get(self) -> None:
        for name, given in self.request.query_arguments.items():
            if name not in PARAMETERS or len(given) > 1:
                known = f"there is no such parameter; known are {', '.join(PARAMETERS)}"
                raise InvalidField("must be given once" if name in PARAMETERS else known, field=name[:64])
        sought, most = asked(self), number(self, "limit", MOST) or DEFAULT
        found = await self._journal.newest(sought, most + 1)  # one more tells whether there are more
        if len(found) > most:
            there = (
                f"{self.settings['base_path']}{path_of(self.app)}{AUDIT}?{asking(self, sought, found[most - 1].id)}"
            )
            self.set_header("Link", f'<{there}>; rel="next"')
        self.answer([described_entry(each) for each in found[:most]])

    head = get


def asked(handler: Handler) -> Sought:
    """Which entries the query of a request asks for. Who is no admin of every app sees those of the path's app alone.

    Raises InvalidField or Forbidden.
    """
    app = handler.get_query_argument("app", handler.app if handler.request.path.startswith(APPS) else "") or None
    if not handler.may(ADMIN_EVERYWHERE):
        if app not in {None, handler.app}:
            raise Forbidden(f"you see the changes in the app {handler.app} alone")
        app = handler.app
    since = handler.get_query_argument("since", "")
    try:
        moment = parse_time(f"{since}T00:00:00Z" if len(since) == DAY else since, "since") if since else None
    except InvalidExperiment:
        raise InvalidField(SINCE_RULE, field="since") from None
    by, about = (handler.get_query_argument(name, "") or None for name in ("by", "about"))
    return Sought(app, by, about, moment, number(handler, "before"))


def asking(handler: Handler, sought: Sought, before: int | None = None) -> str:
    """The query that asks the same again, for the newest entries or for those older than one."""
    given = {name: value for name in PARAMETERS if (value := handler.get_query_argument(name, ""))}
    older = {} if before is None else {"before": before}
    return urlencode({name: given[name] for name in given if name != "before"} | {"app": sought.app or ""} | older)


def number(handler: Handler, name: str, most: int = 10**LONGEST_ID - 1) -> int | None:
    """A whole number in the query, if there is one. Raises InvalidField."""
    text = handler.get_query_argument(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_ID and 1 <= int(text) <= most):
        raise InvalidField(f"must be a whole number from 1 to {most}", field=name)
    return int(text)
