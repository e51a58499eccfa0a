"""Access tokens: what programs sign in with."""

from contextlib import suppress

from abtest import clock
from abtest.domain import AccessToken, By, Role, check_name, parse_expiry
from abtest.errors import NotSignedIn, Unavailable, UnknownAccessToken
from abtest.management.credentials import hashed, new_secret
from abtest.management.signing_in import NOTED_AGAIN_AFTER
from abtest.store import AccessTokenStore

PREFIX = "abt_"
"""Scanners that look for secrets in code recognise an access token by it."""


class AccessTokenService:
    """Makes, revokes and finds access tokens. Several may have the same name, so that one can replace another."""

    def __init__(self, store: AccessTokenStore) -> None:
        self._store = store

    async def all(self) -> list[AccessToken]:
        """Every access token that was not revoked, expired ones too, in the order of creation."""
        return await self._store.access_tokens()

    async def one(self, id: int) -> AccessToken:
        """The access token with this id. Raises UnknownAccessToken."""
        found = next((each for each in await self.all() if each.id == id), None)
        if found is None:
            raise UnknownAccessToken(id)
        return found

    async def add(
        self, name: str, role: Role, app: str | None = None, expires: str | None = None, *, by: By
    ) -> tuple[AccessToken, str]:
        """Create an access token and its secret, which is shown once. `app`: None for every app.

        `expires`: see parse_expiry.
        Raises InvalidField or UnknownApp.
        """
        now, secret = clock.now(), PREFIX + new_secret()
        expires_at = None if expires is None else parse_expiry(expires, now)
        added = await self._store.add_access_token(check_name(name), role, app, hashed(secret), expires_at, now, by)
        return added, secret

    async def revoke(self, id: int, *, by: By) -> None:
        """End an access token, from the next request on. Raises UnknownAccessToken."""
        await self._store.revoke_access_token(id, clock.now(), by)

    async def find(self, secret: str) -> AccessToken:
        """The access token with this secret. Raises NotSignedIn if it is unknown, revoked or expired."""
        now = clock.now()
        found = await self._store.access_token(hashed(secret), now)
        if found is None:
            raise NotSignedIn
        if found.used_at is None or now - found.used_at >= NOTED_AGAIN_AFTER:
            with suppress(Unavailable):  # on a full disk this can't be noted, but reading stays possible
                await self._store.use_access_token(found.id, now)
        return found
