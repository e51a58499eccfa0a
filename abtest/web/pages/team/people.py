"""Who may sign in, with which role: invited, changed and removed by admins of every app."""

from urllib.parse import quote

from abtest.domain import Person, Role, may, parse_role
from abtest.errors import AbtestError, Conflict, InvalidField, Unavailable, UnknownApp
from abtest.management import Link, PeopleService, SignInService
from abtest.web.base import PageHandler, parse_id
from abtest.web.pages.telling import told
from abtest.web.services import ChangingAll

REFUSALS = (InvalidField, Conflict, UnknownApp, Unavailable)


class PeopleHandler(PageHandler):
    """Finds and changes people."""

    caching = "no-store"

    def initialize(self, people: ChangingAll[PeopleService], signing_in: SignInService) -> None:
        self._people = people
        self._signing_in = signing_in

    @property
    def people(self) -> PeopleService:
        """Changes them as whoever calls."""
        return self._people(by=self.caller.by)

    @property
    def name(self) -> str:
        """Whom the request is about."""
        return self.get_argument("name", "", strip=False)

    def role(self) -> tuple[Role, str | None]:
        """The role of the form, and the one app that it is for; None for every app. Raises InvalidField."""
        return parse_role(self.get_body_argument("role", "")), self.get_body_argument("app", "") or None

    def refused(self, error: AbtestError) -> str:
        """Why the form was refused."""
        return told(self.refuse(error), error)

    def back(self, did: str) -> None:
        """Send the browser to the person's page."""
        self.see_other(f"/people/edit?name={quote(self.name, safe='')}", did)

    async def show(self, link: Link | None = None, message: str = "") -> None:
        """Finish with the page of the person."""
        person = await self.people.one(self.name)
        admins = [each for each in await self.people.all() if may(each, Role.ADMIN, None)]
        self.page(
            "person.html",
            page="",
            person=person,
            itself=self.is_caller(person),
            last_admin=[each.name for each in admins] == [person.name],
            other_admins=[each for each in admins if each.name != person.name],
            sessions=await self._signing_in.sessions(person.name),
            link=self.url(f"/sign-in/link/{link.secret}") if link else "",
            message=message,
        )

    def is_caller(self, person: Person) -> bool:
        """Whether this is who calls."""
        return isinstance(self.caller.who, Person) and self.caller.who.name == person.name

    async def require_sure(self) -> None:
        """Raises InvalidField if who calls would shut themselves out without having said that they know."""
        if self.is_caller(await self.people.one(self.name)) and not self.get_body_argument("sure", ""):
            raise InvalidField("this is your own account; tick the box if you are sure", field="name")


class PeoplePage(PeopleHandler):
    """Everybody, and the form that invites somebody."""

    async def get(self) -> None:
        await self._show_all()

    head = get

    async def post(self) -> None:
        try:
            added, link = await self.people.add(self.get_body_argument("name", ""), *self.role())
        except REFUSALS as error:
            await self._show_all(message=self.refused(error))
        else:
            await self._show_all(added, self.url(f"/sign-in/link/{link.secret}"))

    async def _show_all(self, added: Person | None = None, link: str = "", message: str = "") -> None:
        typed = {name: self.get_body_argument(name, "") if message else "" for name in ("name", "role", "app")}
        people = await self.people.all()
        self.page("people.html", page="", people=people, added=added, link=link, message=message, typed=typed)


class PersonPage(PeopleHandler):
    """One person."""

    async def get(self) -> None:
        await self.show()

    head = get


class PersonRole(PeopleHandler):
    """The form that gives a person another role."""

    async def post(self) -> None:
        try:
            role, app = self.role()
            if (role, app) != (Role.ADMIN, None):
                await self.require_sure()
            changed = await self.people.change(self.name, role, app)
        except REFUSALS as error:
            await self.show(message=self.refused(error))
        else:
            if self.is_caller(changed) and not may(changed, Role.ADMIN, None):
                self.see_other("/account", did="role_changed")
            else:
                self.back("role_changed")


class PersonNewLink(PeopleHandler):
    """The button that makes another one-time link."""

    async def post(self) -> None:
        await self.show(await self.people.link(self.name))


class PersonDisconnection(PeopleHandler):
    """The button that forgets with which account of single sign-on a person signs in."""

    async def post(self) -> None:
        await self.people.disconnect(self.name)
        self.back("disconnected")


class PersonSessions(PeopleHandler):
    """The form that ends one session of a person, or all."""

    async def post(self) -> None:
        id = self.get_body_argument("id", "")
        await self._signing_in.end_sessions(self.name, parse_id(id) if id else None, by=self.caller.by)
        self.back("sessions_ended")


class PersonRemoval(PeopleHandler):
    """The form that removes a person."""

    async def post(self) -> None:
        try:
            await self.require_sure()
            await self.people.remove(self.name)
        except REFUSALS as error:
            await self.show(message=self.refused(error))
        else:
            self.see_other("/people", did="person_removed")
