"""Who makes a request: by the access token or the session that it carries, or as a proxy says."""

import logging

from tornado.httputil import HTTPServerRequest

from abtest.domain import Browser, Role
from abtest.enrolment import Proxies
from abtest.errors import Forbidden, NotSignedIn
from abtest.management import AccessTokenService, PeopleService, SignInService
from abtest.settings import ANONYMOUS
from abtest.web.access.browsers import browser_name
from abtest.web.access.needs import Caller
from abtest.web.reading import header

log = logging.getLogger("abtest.web")


class Callers:
    """Finds out who makes a request. Requests of apps never come here."""

    def __init__(
        self,
        signing_in: SignInService,
        access_tokens: AccessTokenService,
        people: PeopleService,
        proxies: Proxies,
        anonymous: str,
        user_header: str,
    ) -> None:
        """`anonymous`, `user_header`: the settings."""
        self._signing_in = signing_in
        self._access_tokens = access_tokens
        self._people = people
        self._proxies = proxies
        self._anonymous = anonymous
        self._user_header = user_header
        self._somebody = False

    async def of(self, request: HTTPServerRequest, secret: str | None) -> Caller:
        """Who makes this request. `secret`: the session's, if the request has one; an ended session counts as none.

        Raises NotSignedIn for an access token that is not in force; NotAdmitted or Forbidden for a name in the header
        of a proxy.
        """
        address = self.address(request)
        name = self._vouched_for(request) if self._user_header else ""
        if authorization := header(request.headers, "Authorization"):
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise NotSignedIn
            return Caller(await self._access_tokens.find(token.strip()), address=address)
        if name:
            return Caller(await self._signing_in.vouched_for(name), address=address)
        if secret:
            try:
                session = await self._signing_in.session(secret)
            except NotSignedIn:
                pass
            else:
                return Caller(session.person, session, address=address)
        return Caller(anonymous=await self._may_look(), address=address)

    def address(self, request: HTTPServerRequest) -> str:
        """Where a request comes from."""
        return self._proxies.client(request.remote_ip or "", header(request.headers, "X-Forwarded-For"))

    def browser(self, request: HTTPServerRequest) -> Browser:
        """What somebody makes a request with."""
        return Browser(browser_name(header(request.headers, "User-Agent")), self.address(request))

    def source(self, request: HTTPServerRequest) -> str | None:
        """The source that attempts to sign in count against; None for this machine."""
        return self._proxies.source(request.remote_ip or "", header(request.headers, "X-Forwarded-For"))

    def is_secure(self, request: HTTPServerRequest) -> bool:
        """Whether the client came by HTTPS, as a trusted proxy says."""
        said = header(request.headers, "X-Forwarded-Proto").rpartition(",")[2].strip().lower()
        return said == "https" and self._proxies.trusts(request.remote_ip or "")

    def _vouched_for(self, request: HTTPServerRequest) -> str:
        """The name that a trusted proxy sends; empty if it sends none. Raises Forbidden."""
        given = request.headers.get_list(self._user_header)
        if not given:
            return ""
        if not self._proxies.trusts(request.remote_ip or ""):
            log.warning("refused %s with %s: it is not a trusted proxy", request.remote_ip, self._user_header)
            raise Forbidden(f"only a trusted proxy may send the header {self._user_header}")
        if len(given) > 1:
            raise Forbidden(f"the header {self._user_header} was sent more than once: the proxy must replace it")
        try:
            return given[0].encode("latin-1").decode()
        except UnicodeError:
            raise Forbidden(f"the header {self._user_header} must be UTF-8") from None

    async def _may_look(self) -> Role | None:
        """The role with which somebody who has not signed in may look: admin as long as nobody can sign in."""
        if self._anonymous != ANONYMOUS.default:
            return Role.VIEWER if self._anonymous == "viewer" else None
        self._somebody = self._somebody or await self._people.exist()  # the last admin is never removed
        return None if self._somebody else Role.ADMIN
