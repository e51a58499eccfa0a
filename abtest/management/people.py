"""People: who may sign in, and with which role."""

from msgspec import UNSET, Struct, UnsetType

from abtest import clock
from abtest.domain import LINK_LASTS, By, Person, Role, check_name
from abtest.errors import UnknownPerson
from abtest.management.credentials import hashed, new_secret
from abtest.store import PeopleStore


class Link(Struct, frozen=True):
    """A one-time link with which a person sets a password. The secret is shown once."""

    secret: str
    expires_at: int


class PeopleService:
    """Adds, changes and removes people. `app`: the key of the one app that a role is for; None is every app.

    Names that differ only in case are the same. Raises InvalidField, UnknownPerson, UnknownApp, or Conflict.
    """

    def __init__(self, store: PeopleStore, *, by: By) -> None:
        self._store = store
        self._by = by

    async def all(self) -> list[Person]:
        """Everybody, in the order of creation."""
        return await self._store.people()

    async def one(self, name: str) -> Person:
        """The person with this name."""
        found = await self._store.named(check_name(name))
        if found is None:
            raise UnknownPerson(name)
        return found

    async def exist(self) -> bool:
        """Whether there is anybody, with a password or still without."""
        return await self._store.has_people()

    async def add(self, name: str, role: Role, app: str | None = None) -> tuple[Person, Link]:
        """Create a person, who has no password until the link is used."""
        link, now = _link(), clock.now()
        added = await self._store.add_person(
            check_name(name), role, app, hashed(link.secret), link.expires_at, now, self._by
        )
        return added, link

    async def change(self, name: str, role: Role | None = None, app: str | UnsetType | None = UNSET) -> Person:
        """Give a person another role or another app, from the next request on; what is left out stays."""
        return await self._store.change_person(check_name(name), clock.now(), role, app, self._by)

    async def link(self, name: str) -> Link:
        """A new link, which voids the older one. The person's old password stays valid until the link is used."""
        link = _link()
        await self._store.put_link(check_name(name), hashed(link.secret), link.expires_at, clock.now(), self._by)
        return link

    async def disconnect(self, name: str) -> int:
        """Forget a person's accounts of single sign-on, and end the sessions; return how many accounts there were.

        The next account with this name that signs in is connected with the person.
        """
        return await self._store.disconnect(check_name(name), clock.now(), self._by)

    async def remove(self, name: str) -> None:
        """Remove a person, and end the sessions."""
        await self._store.remove_person(check_name(name), clock.now(), self._by)


def _link() -> Link:
    return Link(new_secret(), clock.now() + LINK_LASTS)
