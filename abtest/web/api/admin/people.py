"""People and their sessions, for programs."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from msgspec import UNSET, Struct, UnsetType

from abtest import clock
from abtest.domain import parse_role
from abtest.management import Link, PeopleService, SignInService, described_person, described_session
from abtest.web.api.admin.base import ADMIN_PATH, AdminHandler
from abtest.web.base import parse_id
from abtest.web.services import ChangingAll

PEOPLE = f"{ADMIN_PATH}/people"


class NewPerson(Struct, forbid_unknown_fields=True):
    """Who is invited. `app`: the one app that the role is for; None for every app."""

    name: str
    role: str
    app: str | None = None


class ChangedPerson(Struct, forbid_unknown_fields=True):
    """A person's new role and app; what is left out stays as it is."""

    role: str | UnsetType = UNSET
    app: str | UnsetType | None = UNSET


class PersonHandler(AdminHandler):
    """Finds and changes people."""

    def initialize(self, people: ChangingAll[PeopleService]) -> None:
        self._people = people

    @property
    def people(self) -> PeopleService:
        """Changes people in the name of the caller."""
        return self._people(by=self.caller.by)

    def described_link(self, link: Link) -> dict[str, Any]:
        """A one-time link as JSON. Only whoever made it gets it, in the answer."""
        return {"link": self.url(f"/sign-in/link/{link.secret}"), "link_expires_at": clock.iso(link.expires_at)}


class People(PersonHandler):
    """Everybody who may sign in."""

    async def get(self) -> None:
        self.answer([described_person(each) for each in await self.people.all()])

    head = get

    async def post(self) -> None:
        new = self.read(NewPerson)
        added, link = await self.people.add(new.name, parse_role(new.role), new.app)
        self.created(f"people/{quote(added.name, safe='')}", described_person(added) | self.described_link(link))


class Person(PersonHandler):
    """One person."""

    async def get(self, name: str) -> None:
        self.answer(described_person(await self.people.one(name)))

    head = get

    async def patch(self, name: str) -> None:
        changed = self.read(ChangedPerson)
        role = None if changed.role is UNSET else parse_role(changed.role)
        self.answer(described_person(await self.people.change(name, role, changed.app)))

    async def delete(self, name: str) -> None:
        await self.people.remove(name)
        self.set_status(HTTPStatus.NO_CONTENT)


class PersonLink(PersonHandler):
    """The one-time link with which a person sets a password."""

    async def post(self, name: str) -> None:
        self.answer(self.described_link(await self.people.link(name)), HTTPStatus.CREATED)


class PersonAccounts(PersonHandler):
    """The accounts of single sign-on with which a person signs in."""

    async def delete(self, name: str) -> None:
        await self.people.disconnect(name)
        self.set_status(HTTPStatus.NO_CONTENT)


class SessionHandler(AdminHandler):
    """Finds and ends sessions."""

    def initialize(self, signing_in: SignInService) -> None:
        self._signing_in = signing_in


class Sessions(SessionHandler):
    """The browsers in which a person is signed in."""

    async def get(self, name: str) -> None:
        self.answer([described_session(each) for each in await self._signing_in.sessions(name)])

    head = get

    async def delete(self, name: str) -> None:
        await self._signing_in.end_sessions(name, by=self.caller.by)
        self.set_status(HTTPStatus.NO_CONTENT)


class Session(SessionHandler):
    """One session. It is no error if it has ended already."""

    async def delete(self, name: str, id: str) -> None:
        await self._signing_in.end_sessions(name, parse_id(id), by=self.caller.by)
        self.set_status(HTTPStatus.NO_CONTENT)
