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
"""Milliseconds: the use of a session or an access token is noted at most once in this time."""


class SignInService:
    """Lets people sign in. Each process counts its own attempts; those that succeed don't count.

    Somebody who tries passwords for a name slows down its owner too, but a link always lets the owner in.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._passwords = Passwords()
        self._names = Limiter(PER_NAME, NO_LIMIT)
        self._addresses = Limiter(PER_ADDRESS, IN_ALL)

    async def linked(self, link: str) -> Person:
        """The person whose link this is. Raises UnknownLink unless it can still be used."""
        return await self._store.linked(hashed(link), clock.now())

    async def use_link(self, link: str, password: str, browser: Browser = UNKNOWN_BROWSER) -> str:
        """Set the person's password, end every session, begin a new one, and return its secret.

        Raises UnknownLink or InvalidField.
        """
        await self.linked(link)
        kept, secret = await self._passwords.hash(check_password(password)), new_secret()
        await self._store.use_link(hashed(link), kept, hashed(secret), clock.now(), browser)
        return secret

    async def make_first_link(self) -> str | None:
        """A link that makes the first admin and works once, for a day; None if there are people already."""
        secret = new_secret()
        return secret if await self._store.put_first_link(hashed(secret), clock.now() + LINK_LASTS) else None

    async def require_first_link(self, link: str) -> None:
        """Raises UnknownLink unless this link can still make the first admin."""
        await self._store.require_first_link(hashed(link), clock.now())

    async def use_first_link(self, link: str, name: str, password: str, browser: Browser = UNKNOWN_BROWSER) -> str:
        """Make the first admin, begin a session, and return its secret. Raises UnknownLink or InvalidField."""
        await self.require_first_link(link)
        check_name(name)
        kept, secret = await self._passwords.hash(check_password(password)), new_secret()
        await self._store.use_first_link(hashed(link), name, kept, hashed(secret), clock.now(), browser)
        return secret

    async def sign_in(self, name: str, password: str, source: str | None, browser: Browser = UNKNOWN_BROWSER) -> str:
        """Begin a session, and return its secret. `source`: what attempts count against, from Proxies.source.

        Raises WrongPassword, which does not reveal, even by its timing, whether there is such a person;
        TooManyAttempts; or Unavailable, when too many sign in at once.
        """
        kept, secret = await self._matching(name, password, source), new_secret()
        if not await self._store.begin_session(name, kept, hashed(secret), clock.now(), browser):
            raise WrongPassword
        return secret

    async def change_password(
        self, name: str, current: str, password: str, source: str | None, but: int | None = None, *, by: By
    ) -> None:
        """Set another password, and end all sessions except the one with the id `but`.

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

        Raises WrongPassword, TooManyAttempts, or Unavailable: an attempt that was not compared does not count either.
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
        """Begin a session of the person whose identity an OpenID provider proves, and return its secret.

        `source`: as for `sign_in`. Raises what `prove` raises; TooManyAttempts; NotAdmitted; or Conflict, if the new
        role would leave nobody who is admin of every app.
        """
        if wait := self._addresses.take(source, time.monotonic()):
            raise TooManyAttempts(wait)
        identity, secret = await prove(), new_secret()
        if fault := name_fault(identity.name):
            raise NotAdmitted(f"the name of your account can't be used here: it {fault}")
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
            raise NotAdmitted(
                "nobody here has the name that your proxy sends; ask an admin to add you with that name"
            )
        return found

    async def session(self, secret: str) -> Session:
        """The session with this secret, and in it the person with the present role. Raises NotSignedIn."""
        now = clock.now()
        found = await self._store.session(hashed(secret), now)
        if found is None:
            raise NotSignedIn
        if now - found.seen_at >= NOTED_AGAIN_AFTER:
            with suppress(Unavailable):  # on a full disk this can't be noted, but looking stays possible
                await self._store.see_session(found.id, now)
        return found

    async def sessions(self, name: str) -> list[Session]:
        """A person's sessions that have not expired, the oldest first. Raises InvalidField or UnknownPerson."""
        return await self._store.sessions(check_name(name), clock.now())

    async def sign_out(self, session: Session) -> None:
        """End a session, at the request of whoever has it."""
        await self._store.sign_out(session.id)

    async def end_sessions(self, name: str, id: int | None = None, but: int | None = None, *, by: By) -> int:
        """End a person's session with this id, or, without one, all except `but`; return how many.

        Raises InvalidField or UnknownPerson.
        """
        return await self._store.end_sessions(check_name(name), clock.now(), id, but, by)
