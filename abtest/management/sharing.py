"""Shared links: whoever has one sees the results of one experiment without signing in."""

from abtest import clock
from abtest.domain import DEFAULT_APP, By, SharedLink, check_note
from abtest.errors import UnknownSharedLink
from abtest.management.credentials import hashed, new_secret
from abtest.store import SharedLinkStore


class SharedLinkService:
    """Makes, revokes and finds shared links. Each works until it is revoked, whatever becomes of its experiment.

    Raises UnknownApp, UnknownExperiment, InvalidField or UnknownSharedLink.
    """

    def __init__(self, store: SharedLinkStore) -> None:
        self._store = store

    async def all(self, key: str | None = None, app: str = DEFAULT_APP) -> list[SharedLink]:
        """The links for an experiment, or for any of an app, that were not revoked, in the order of creation."""
        return await self._store.shared_links(key, app)

    async def add(self, key: str, note: str = "", app: str = DEFAULT_APP, *, by: By) -> tuple[SharedLink, str]:
        """Make a link and its secret, which is shown once. `note`: who gets it, or what for."""
        secret = new_secret()
        link = await self._store.add_shared_link(key, check_note(note), hashed(secret), clock.now(), app, by)
        return link, secret

    async def revoke(self, id: int, key: str | None = None, app: str = DEFAULT_APP, *, by: By) -> None:
        """End a link at once and for good. `key`: the experiment that it must be for; None for any of the app."""
        await self._store.revoke_shared_link(id, clock.now(), key, app, by)

    async def find(self, secret: str) -> SharedLink:
        """The link with this secret."""
        found = await self._store.shared_link(hashed(secret))
        if found is None:
            raise UnknownSharedLink
        return found
