"""What a person sees and changes of their own account: the password, and the browsers in which they are signed in."""

from http import HTTPStatus

from tornado.web import HTTPError

from abtest.domain import SHORTEST_PASSWORD, Person
from abtest.errors import InvalidField, TooManyAttempts, Unavailable
from abtest.management import SignInService
from abtest.web.base import PageHandler, parse_id
from abtest.web.pages.telling import told


class AccountHandler(PageHandler):
    """What is of the person who calls."""

    caching = "no-store"

    def initialize(self, signing_in: SignInService) -> None:
        self._signing_in = signing_in

    @property
    def person(self) -> Person:
        """Who calls. Raises HTTPError: an access token has no account."""
        if not isinstance(self.caller.who, Person):
            raise HTTPError(HTTPStatus.NOT_FOUND)
        return self.caller.who

    @property
    def this(self) -> int | None:
        """The id of the session of this browser."""
        return self.caller.session.id if self.caller.session else None

    async def show(self, message: str = "") -> None:
        """Finish with the page."""
        sessions = await self._signing_in.sessions(self.person.name)
        self.page(
            "account.html",
            page="",
            person=self.person,
            sessions=sorted(sessions, key=lambda each: (each.id != self.this, -each.seen_at)),
            this=self.this,
            shortest=SHORTEST_PASSWORD,
            message=message,
        )


class AccountPage(AccountHandler):
    """The account."""

    async def get(self) -> None:
        await self.show()

    head = get


class AccountPassword(AccountHandler):
    """The form that changes the password."""

    async def post(self) -> None:
        current, password = (self.get_body_argument(name, "", strip=False) for name in ("current", "password"))
        source, by = self.callers.source(self.request), self.caller.by
        try:
            await self._signing_in.change_password(self.person.name, current, password, source, self.this, by=by)
        except (InvalidField, TooManyAttempts, Unavailable) as error:
            await self.show(told(self.refuse(error), error))
        else:
            self.see_other("/account", did="password_changed")


class AccountSessions(AccountHandler):
    """The form that ends one session, or all but this one."""

    async def post(self) -> None:
        id = self.get_body_argument("id", "")
        one = parse_id(id) if id else None
        await self._signing_in.end_sessions(self.person.name, one, None if one else self.this, by=self.caller.by)
        self.see_other("/account", did="sessions_ended")
