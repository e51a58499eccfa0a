"""Signing in at an OpenID provider: the way there, the way back, and signing out of it too."""

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from tornado.escape import url_escape, url_unescape
from tornado.web import HTTPError

from abtest.errors import AbtestError, UnknownSignIn
from abtest.management import SignInService
from abtest.web.base import NO_ATTEMPT
from abtest.web.pages.team.signing_in import HERE, SigningIn
from abtest.web.pages.telling import told
from abtest.web.single_sign_on import Answer, Trip

if TYPE_CHECKING:
    from abtest.web.single_sign_on.provider import Provider

TRIP = "abtest-trip"
"""The cookie with the secret of the trip, and the path to go on to. It lasts for one way back."""
TRIP_SECONDS = 600
LONGEST_FOLLOWING = 2_000


class Trips(SigningIn):
    """A page on the way to the provider or back; the path is unknown where there is none."""

    def initialize(self, signing_in: SignInService, provider: "Provider | None" = None) -> None:
        super().initialize(signing_in)
        self._provider = provider

    async def prepare(self) -> None:
        await super().prepare()
        if self._provider is None:
            raise HTTPError(HTTPStatus.NOT_FOUND)

    @property
    def provider(self) -> "Provider":
        """Where people sign in."""
        assert self._provider
        return self._provider

    def send(self, url: str) -> None:
        """Send the browser to another server."""
        self.set_header("Cache-Control", self.caching)
        self.redirect(url, status=HTTPStatus.SEE_OTHER)

    def show(self, error: AbtestError, following: str) -> None:
        """Finish with the form to sign in, and why this way did not lead in."""
        self.page(
            "sign_in.html", **NO_ATTEMPT | {"message": told(self.refuse(error), error, {}), "following": following}
        )


class Begin(Trips):
    """Sends the browser to the provider. `following`: the path that it came from."""

    async def get(self) -> None:
        trip, following = Trip(), self.get_query_argument("following", "")
        kept = following if HERE.fullmatch(following) and len(following) <= LONGEST_FOLLOWING else ""
        try:
            url = await self.provider.begin(trip)
        except AbtestError as error:
            self.show(error, kept)
            return
        cookie = f"{trip.secret}.{url_escape(kept, plus=False)}"
        self.set_cookie(TRIP, cookie, max_age=TRIP_SECONDS, samesite="Lax")
        self.send(url)


class Return(Trips):
    """Begins a session for who comes back from the provider with its answer, in the browser that went there."""

    async def get(self) -> None:
        secret, _, kept = self.get_cookie(TRIP, "").partition(".")
        self.clear_cookie(TRIP)
        following = url_unescape(kept, plus=False)
        answer = Answer(*(self.get_query_argument(name, "") for name in ("state", "code", "iss", "error")))
        try:
            if not secret:
                raise UnknownSignIn
            prove = partial(self.provider.end, Trip(secret), answer)
            session = await self._signing_in.admit(prove, self.callers.source(self.request), self.browser)
        except AbtestError as error:
            self.show(error, following if HERE.fullmatch(following) else "")
        else:
            await self.begin(session, following)


class SignOutThere(Trips):
    """Sends the browser to where it signs out of the provider, if the provider has that."""

    async def get(self) -> None:
        url = await self.provider.sign_out_url()
        if url:
            self.send(url)
        else:
            self.see_other("/sign-in")
