"""Signing in and out, and the one-time links with which people set their password."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from abtest.domain import SHORTEST_PASSWORD, Browser, path_of
from abtest.errors import InvalidField, TooManyAttempts, Unavailable, WrongPassword
from abtest.management import SignInService
from abtest.web.base import NO_ATTEMPT, SESSION, PageHandler
from abtest.web.pages.telling import told

HERE = re.compile(r"/(?![/\\])[\x21-\x7e]*")
"""A path of this server: a browser takes // and /\\ for another host."""
COOKIE_DAYS = 365
"""The server ends sessions long before."""


class SigningIn(PageHandler):
    """A page that can begin a session."""

    caching = "no-store"

    @property
    def browser(self) -> Browser:
        """What the request was made with."""
        return self.callers.browser(self.request)

    def initialize(self, signing_in: SignInService) -> None:
        self._signing_in = signing_in

    async def begin(self, secret: str, following: str = "") -> None:
        """Let the browser keep the session, and send it on."""
        person = (await self._signing_in.session(secret)).person
        self.set_cookie(SESSION, secret, expires_days=COOKIE_DAYS, samesite="Lax")
        self.clear_cookie("_xsrf")
        here = HERE.fullmatch(following)
        self.see_other(following if here else path_of(person.app) + "/" if person.app else "/")


class SignIn(SigningIn):
    """The form for a name and a password. `following`: the path that the browser came from."""

    async def get(self) -> None:
        await self._know()
        if self.caller.who:
            self.see_other("/")
        else:
            self._show(following=self.get_query_argument("following", ""))

    head = get

    async def post(self) -> None:
        name, following = self.get_body_argument("name", ""), self.get_body_argument("following", "")
        password = self.get_body_argument("password", "", strip=False)
        try:
            secret = await self._signing_in.sign_in(name, password, self.callers.source(self.request), self.browser)
        except (WrongPassword, TooManyAttempts, Unavailable) as error:
            await self._know()
            self._show(message=told(self.refuse(error), error, {}), name=name, following=following)
        else:
            await self.begin(secret, following)

    async def _know(self) -> None:
        self.caller = await self.callers.of(self.request, self.get_cookie(SESSION))

    def _show(self, **values: Any) -> None:
        self.page("sign_in.html", **NO_ATTEMPT | values)


class SignOut(PageHandler):
    """Ends the session, and whatever comes of that, the browser forgets it."""

    def initialize(self, signing_in: SignInService) -> None:
        self._signing_in = signing_in

    async def post(self) -> None:
        self.clear_cookie(SESSION)
        self.clear_cookie("_xsrf")
        if session := self.caller.session:
            await self._signing_in.sign_out(session)
        self.see_other("/sign-in", did="signed_out")


class Link(SigningIn):
    """Whoever has the link sets the password of the person that it was made for."""

    async def get(self, link: str) -> None:
        self._show((await self._signing_in.linked(link)).name)

    head = get

    async def post(self, link: str) -> None:
        person = await self._signing_in.linked(link)
        await self._try(person.name, lambda password: self._signing_in.use_link(link, password, self.browser))

    async def _try(self, name: str, use: Callable[[str], Awaitable[str]]) -> None:
        try:
            secret = await use(self.get_body_argument("password", "", strip=False))
        except (InvalidField, Unavailable) as error:
            self._show(name, message=told(self.refuse(error), error, {"name": "Name", "password": "Password"}))
        else:
            await self.begin(secret)

    def _show(self, name: str, message: str = "", first: bool = False) -> None:
        self.page("sign_in_link.html", page="", name=name, first=first, shortest=SHORTEST_PASSWORD, message=message)


class FirstLink(Link):
    """Whoever has the link that `abtest up` printed becomes the first admin."""

    async def get(self, link: str) -> None:
        await self._signing_in.require_first_link(link)
        self._show("", first=True)

    head = get

    async def post(self, link: str) -> None:
        await self._signing_in.require_first_link(link)
        name = self.get_body_argument("name", "")
        await self._try(name, lambda password: self._signing_in.use_first_link(link, name, password, self.browser))

    def _show(self, name: str, message: str = "", first: bool = True) -> None:
        super()._show(name, message, first)
