"""Storing who may sign in. Secrets and passwords come here only as hashes."""

from typing import Protocol

from msgspec import UNSET, UnsetType

from abtest.domain import (
    DEFAULT_APP,
    PROGRAM,
    UNKNOWN_BROWSER,
    AccessToken,
    Browser,
    By,
    Identity,
    Person,
    Role,
    Session,
    SharedLink,
)


class PeopleStore(Protocol):
    """Keeps people, and the links with which they set a password. `folded` says how names are compared."""

    async def people(self) -> list[Person]:
        """Everybody, in the order of creation."""
        ...

    async def has_people(self) -> bool:
        """Whether there is anybody."""
        ...

    async def named(self, name: str) -> Person | None:
        """The person with this name, if there is one."""
        ...

    async def add_person(
        self,
        name: str,
        role: Role,
        app: str | None,
        link: bytes,
        link_expires_at: int,
        now: int,
        by: By = PROGRAM,
    ) -> Person:
        """Create a person without a password, and a link to set one. Raises Conflict or UnknownApp."""
        ...

    async def change_person(
        self,
        name: str,
        now: int,
        role: Role | None = None,
        app: str | UnsetType | None = UNSET,
        by: By = PROGRAM,
    ) -> Person:
        """Give a person another role or app. Raises UnknownPerson, UnknownApp, or Conflict as `remove_person`."""
        ...

    async def remove_person(self, name: str, now: int, by: By = PROGRAM) -> None:
        """Remove a person and their sessions. Raises UnknownPerson, or Conflict for the last admin of every app."""
        ...

    async def put_link(self, name: str, link: bytes, expires_at: int, now: int, by: By = PROGRAM) -> None:
        """Give a person this link in place of an older one. Raises UnknownPerson."""
        ...

    async def disconnect(self, name: str, now: int, by: By = PROGRAM) -> int:
        """Forget a person's accounts at providers, and end their sessions. Returns how many accounts.

        Raises UnknownPerson.
        """
        ...


class SessionStore(Protocol):
    """Keeps passwords and sessions, and the link that makes the first admin."""

    async def put_first_link(self, link: bytes, expires_at: int) -> bool:
        """Keep this link in place of an older one; False if there are people already."""
        ...

    async def require_first_link(self, link: bytes, now: int) -> None:
        """Raises UnknownLink unless this is the link and there is nobody yet."""
        ...

    async def use_first_link(
        self, link: bytes, name: str, password: str, session: bytes, now: int, browser: Browser = UNKNOWN_BROWSER
    ) -> None:
        """Make the first admin, with this password, and begin a session. Raises UnknownLink."""
        ...

    async def linked(self, link: bytes, now: int) -> Person:
        """The person whose link this is. Raises UnknownLink."""
        ...

    async def use_link(
        self, link: bytes, password: str, session: bytes, now: int, browser: Browser = UNKNOWN_BROWSER
    ) -> None:
        """Set the password, end the link and all sessions, and begin a new session. Raises UnknownLink."""
        ...

    async def named(self, name: str) -> Person | None:
        """The person with this name, if there is one."""
        ...

    async def password(self, name: str) -> str | None:
        """The hash of a person's password; None if nobody has this name, or there is no password."""
        ...

    async def change_password(
        self, name: str, old: str, password: str, session: int | None, now: int, by: By = PROGRAM
    ) -> bool:
        """Set another password, and end the link and all sessions but the one with this id.

        `old`, `password`: hashes. False if `old` is no longer the person's password.
        """
        ...

    async def begin_session(
        self, name: str, password: str, session: bytes, now: int, browser: Browser = UNKNOWN_BROWSER
    ) -> bool:
        """Begin a session, and forget expired ones; False if this is no longer the person's password."""
        ...

    async def admit(
        self, identity: Identity, session: bytes, now: int, browser: Browser = UNKNOWN_BROWSER, by: By = PROGRAM
    ) -> bool:
        """Begin a session for the person with this account, who gets the role that the account grants.

        If the account grants none, returns False, and the person's sessions end. A new account is connected with the
        person who has its name; without one, a person is added if the account grants a role. Raises NotAdmitted,
        UnknownApp, or Conflict as `change_person`.
        """
        ...

    async def session(self, session: bytes, now: int) -> Session | None:
        """The session, unless it has expired."""
        ...

    async def sessions(self, name: str, now: int) -> list[Session]:
        """A person's sessions that have not expired, the oldest first. Raises UnknownPerson."""
        ...

    async def see_session(self, id: int, now: int) -> None:
        """Note that a session was used."""
        ...

    async def sign_out(self, id: int) -> None:
        """End the session with this id, for the person who has it: the journal does not note that."""
        ...

    async def end_sessions(
        self, name: str, now: int, id: int | None = None, but: int | None = None, by: By = PROGRAM
    ) -> int:
        """End a person's session with this id, or all but one; returns how many ended. Raises UnknownPerson."""
        ...


class AccessTokenStore(Protocol):
    """Keeps access tokens."""

    async def access_tokens(self) -> list[AccessToken]:
        """Every access token, expired ones too, in the order of creation."""
        ...

    async def add_access_token(
        self,
        name: str,
        role: Role,
        app: str | None,
        secret: bytes,
        expires_at: int | None,
        now: int,
        by: By = PROGRAM,
    ) -> AccessToken:
        """Create an access token. Raises UnknownApp."""
        ...

    async def revoke_access_token(self, id: int, now: int, by: By = PROGRAM) -> None:
        """Remove an access token. Raises UnknownAccessToken."""
        ...

    async def access_token(self, secret: bytes, now: int) -> AccessToken | None:
        """The access token, unless it has expired."""
        ...

    async def use_access_token(self, id: int, now: int) -> None:
        """Note that an access token was used."""
        ...


class SharedLinkStore(Protocol):
    """Keeps links to the results of experiments."""

    async def shared_links(self, key: str | None = None, app: str = DEFAULT_APP) -> list[SharedLink]:
        """The links of one experiment of an app, or of all its experiments, in the order of creation.

        Raises UnknownApp or UnknownExperiment.
        """
        ...

    async def add_shared_link(
        self, key: str, note: str, secret: bytes, now: int, app: str = DEFAULT_APP, by: By = PROGRAM
    ) -> SharedLink:
        """Create a link. Raises UnknownApp or UnknownExperiment."""
        ...

    async def revoke_shared_link(
        self, id: int, now: int, key: str | None = None, app: str = DEFAULT_APP, by: By = PROGRAM
    ) -> None:
        """Remove a link of an app, and of this experiment if one is named.

        Raises UnknownApp, UnknownExperiment or UnknownSharedLink.
        """
        ...

    async def shared_link(self, secret: bytes) -> SharedLink | None:
        """The link with this secret, if there is one."""
        ...
