"""Access tokens, with which programs sign in: made and revoked by admins of every app."""

from abtest import clock
from abtest.domain import AccessToken, parse_role
from abtest.errors import InvalidField, Unavailable, UnknownApp
from abtest.management import AccessTokenService
from abtest.web.base import PageHandler, parse_id
from abtest.web.pages.telling import told

FIELDS = ("name", "role", "app", "expires")


class AccessTokensPage(PageHandler):
    """Those that were not revoked, and the form that makes one."""

    caching = "no-store"

    def initialize(self, access_tokens: AccessTokenService) -> None:
        self._access_tokens = access_tokens

    async def get(self) -> None:
        await self._show()

    head = get

    async def post(self) -> None:
        name, role, app, expires = (self.get_body_argument(each, "") for each in FIELDS)
        try:
            added, secret = await self._access_tokens.add(
                name, parse_role(role), app or None, expires or None, by=self.caller.by
            )
        except (InvalidField, UnknownApp, Unavailable) as error:
            await self._show(message=told(self.refuse(error), error))
        else:
            await self._show(added, secret)

    async def _show(self, added: AccessToken | None = None, secret: str = "", message: str = "") -> None:
        self.page(
            "access_tokens.html",
            page="",
            tokens=await self._access_tokens.all(),
            now=clock.now(),
            added=added,
            secret=secret,
            message=message,
            typed={name: self.get_body_argument(name, "") if message else "" for name in FIELDS},
        )


class RevokedAccessToken(PageHandler):
    """The form that revokes one."""

    def initialize(self, access_tokens: AccessTokenService) -> None:
        self._access_tokens = access_tokens

    async def post(self, id: str) -> None:
        await self._access_tokens.revoke(parse_id(id), by=self.caller.by)
        self.see_other("/access-tokens", did="token_revoked")
