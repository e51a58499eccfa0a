"""Signing in: passwords and sessions."""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from abtest import clock
from abtest.domain import (
    LINK_LASTS,
    LONGEST_NAME,
    UNKNOWN_BROWSER,
    Browser,
    By,
    Hand,
    Identity,
    Person,
    Session,
    check_name,
    check_password,
    folded,
    name_fault,
    spelled_alike,
)
from abtest.enrolment import Limiter, Rate
from abtest.errors import (
    InvalidField,
    NotAdmitted,
    NotSignedIn,
    TooManyAttempts,
    Unavailable,
    UnknownApp,
    WrongPassword,
)
from abtest.management.credentials import Passwords, hashed, new_secret
from abtest.store import SessionStore

PER_NAME = Rate(1 / 30, 10)
PER_ADDRESS = Rate(1 / 10, 20)
IN_ALL = Rate(5, 50)
NO_LIMIT = Rate(0, 0)
NOTED_AGAIN_AFTER = 60_000
"""Milliseconds: a request writes at most once in so long that a session or an access token was used."""


class SignInService:
    """Lets people in. Attempts are counted in this process; those that succeed don't count.

    Whoever tries passwords of a name slows that person down too, but a link always lets the person in.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._passwords = Passwords()
        self._names = Limiter(PER_NAME, NO_LIMIT)
        self._addresses = Limiter(PER_ADDRESS, IN_ALL)

    async def linked(self, link: str) -> Person:
        """The person whose link this is; it can still be used. Raises UnknownLink."""
        return await self._store.linked(hashed(link), clock.now())

    async def use_link(self, link: str, password: str, browser: Browser = UNKNOWN_BROWSER) -> str:
        """Set the person's password, end every session, and begin one: its secret.

        Raises UnknownLink or InvalidField.
        """
        await self.linked(link)
        kept, secret = await self._passwords.hash(check_password(password)), new_secret()
        await self._store.use_link(hashed(link), kept, hashed(secret), clock.now(), browser)
        return secret

    async def make_first_link(self) -> str | None:
        """A link that makes the first admin, once, within a day; None if there are people already."""
        secret = new_secret()
        return secret if await self._store.put_first_link(hashed(secret), clock.now() + LINK_LASTS) else None

    async def require_first_link(self, link: str) -> None:
        """Raises UnknownLink unless this link can still make the first admin."""
        await self._store.require_first_link(hashed(link), clock.now())

    async def use_first_link(self, link: str, name: str, password: str, browser: Browser = UNKNOWN_BROWSER) -> str:
        """Make the first admin, and begin a session: its secret. Raises UnknownLink or InvalidField."""
        await self.require_first_link(link)
        check_name(name)
        kept, secret = await self._passwords.hash(check_password(password)), new_secret()
        await self._store.use_first_link(hashed(link), name, kept, hashed(secret), clock.now(), browser)
        return secret

    async def sign_in(self, name: str, password: str, source: str | None, browser: Browser = UNKNOWN_BROWSER) -> str:
        """Begin a session: its secret. `source`: what attempts count against, as Proxies.source gives it.

        Raises WrongPassword, which doesn't tell whether there is such a person, nor does the time until then;
        TooManyAttempts; or Unavailable, when too many sign in at once.
        """
        kept, secret = await self._matching(name, password, source), new_secret()
        if not await self._store.begin_session(name, kept, hashed(secret), clock.now(), browser):
            raise WrongPassword
        return secret

    async def change_password(
        self, name: str, current: str, password: str, source: str | None, but: int | None = None, *, by: By
    ) -> None:
        """Set another password, and end all sessions but one.

        Raises InvalidField, also if `current` is not the current password; TooManyAttempts or Unavailable, as above.
        """
        wrong = InvalidField("is not your password", field="current")
        check_password(password)
        try:
            old = await self._matching(name, current, source)
        except WrongPassword:
            raise wrong from None
        kept = await self._passwords.hash(password)
        if not await self._store.change_password(name, old, kept, but, clock.now(), by):
            raise wrong

    async def _matching(self, name: str, password: str, source: str | None) -> str:
        """What is kept of a person's password, if it is this one.

        Raises WrongPassword, TooManyAttempts, or Unavailable: what was not compared does not count either.
        """
        counted, now = folded(name)[:LONGEST_NAME], time.monotonic()
        if wait := self._addresses.take(source, now) or self._names.take(counted, now):
            raise TooManyAttempts(wait)
        try:
            kept = None if name_fault(name) else await self._store.password(name)
            if not (await self._passwords.match(password, kept) and kept):
                raise WrongPassword
        except Unavailable:
            self._give_back(source, counted)
            raise
        self._give_back(source, counted)
        return kept

    def _give_back(self, source: str | None, counted: str) -> None:
        self._addresses.give_back(source)
        self._names.give_back(counted)

    async def admit(
        self, prove: Callable[[], Awaitable[Identity]], source: str | None, browser: Browser = UNKNOWN_BROWSER
    ) -> str:
        """Begin a session of the person whose identity an OpenID provider proves: its secret.

        `source`: what attempts count against, as above. Raises what `prove` raises; TooManyAttempts; NotAdmitted; or
        Conflict, if the role would leave no admin of every app.
        """
        if wait := self._addresses.take(source, time.monotonic()):
            raise TooManyAttempts(wait)
        identity, secret = await prove(), new_secret()
        if fault := name_fault(identity.name):
            raise NotAdmitted(f"the name of your account can't be one here: it {fault}")
        by = By(Hand.SINGLE_SIGN_ON, identity.name, browser.address)
        try:
            admitted = await self._store.admit(identity, hashed(secret), clock.now(), browser, by)
        except UnknownApp as error:
            raise NotAdmitted(f"your account has a role for an app, but {error}; ask an admin to add it") from None
        if not admitted:
            raise NotAdmitted("your account has no role here; ask whoever manages the accounts to give it one")
        self._addresses.give_back(source)
        return secret

    async def vouched_for(self, name: str) -> Person:
        """The person whose name a trusted proxy sends. Raises NotAdmitted."""
        found = None if name_fault(name) else await self._store.named(name)
        if found is None or not spelled_alike(name, found.name):
            raise NotAdmitted("nobody here has the name that your proxy says; ask an admin to add you under it")
        return found

    async def session(self, secret: str) -> Session:
        """The session with this secret, and in it the person with the role of this moment. Raises NotSignedIn."""
        now = clock.now()
        found = await self._store.session(hashed(secret), now)
        if found is None:
            raise NotSignedIn
        if now - found.seen_at >= NOTED_AGAIN_AFTER:
            with suppress(Unavailable):  # who can't be noted, on a full disk, may look all the same
                await self._store.see_session(found.id, now)
        return found

    async def sessions(self, name: str) -> list[Session]:
        """A person's sessions that have not expired, the oldest first. Raises InvalidField or UnknownPerson."""
        return await self._store.sessions(check_name(name), clock.now())

    async def sign_out(self, session: Session) -> None:
        """End a session, by whoever has it."""
        await self._store.sign_out(session.id)

    async def end_sessions(self, name: str, id: int | None = None, but: int | None = None, *, by: By) -> int:
        """End a person's session with this id, or every one but one; how many.

        Raises InvalidField or UnknownPerson.
        """
        return await self._store.end_sessions(check_name(name), clock.now(), id, but, by)
