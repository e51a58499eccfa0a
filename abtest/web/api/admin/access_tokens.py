"""Access tokens, for programs."""

from http import HTTPStatus

from msgspec import Struct

from abtest.domain import parse_role
from abtest.management import AccessTokenService, described_access_token
from abtest.web.api.admin.base import ADMIN_PATH, AdminHandler
from abtest.web.base import parse_id

ACCESS_TOKENS = f"{ADMIN_PATH}/access-tokens"


class NewAccessToken(Struct, forbid_unknown_fields=True):
    """A new access token. `app`: the one app that the role is for; None for every app. `expires`: a day or a time."""

    name: str
    role: str
    app: str | None = None
    expires: str | None = None


class AccessTokenHandler(AdminHandler):
    """Finds and changes access tokens."""

    def initialize(self, access_tokens: AccessTokenService) -> None:
        self._access_tokens = access_tokens


class AccessTokens(AccessTokenHandler):
    """The access tokens that were not revoked. Only the answer to POST has a secret."""

    async def get(self) -> None:
        self.answer([described_access_token(each) for each in await self._access_tokens.all()])

    head = get

    async def post(self) -> None:
        new = self.read(NewAccessToken)
        made, secret = await self._access_tokens.add(
            new.name, parse_role(new.role), new.app, new.expires, by=self.caller.by
        )
        self.created(f"access-tokens/{made.id}", described_access_token(made) | {"token": secret})


class AccessToken(AccessTokenHandler):
    """One access token."""

    async def get(self, id: str) -> None:
        self.answer(described_access_token(await self._access_tokens.one(parse_id(id))))

    head = get

    async def delete(self, id: str) -> None:
        await self._access_tokens.revoke(parse_id(id), by=self.caller.by)
        self.set_status(HTTPStatus.NO_CONTENT)
