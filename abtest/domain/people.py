"""People and programs: who they are, what a role allows them, in one app or in all, and who made a change."""

from enum import StrEnum
from string import ascii_lowercase, ascii_uppercase
from unicodedata import normalize

from msgspec import UNSET, Struct, UnsetType

from abtest import clock
from abtest.domain.schedules import DAY, parse_time
from abtest.domain.values import text_fault
from abtest.errors import InvalidExperiment, InvalidField

LONGEST_NAME = 64
SHORTEST_PASSWORD = 12
LINK_LASTS = clock.DAY
SESSION_LASTS = 30 * clock.DAY
"""Counted from when it was last used."""
MOST_SESSIONS = 100
"""The limit for a person."""
LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
UNREACHABLE = {".", ".."}
"""In a path they mean a folder, even if they are escaped (RFC 3986, 5.2.4; the URL Standard): no request could reach
a person with such a name."""
EXPIRY_RULE = "must be a date such as 2026-12-31, or a time such as 2026-12-31T18:00:00Z"


class Role(StrEnum):
    """What somebody may do; each role includes the ones before it."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether it allows all that the other role allows."""
        roles = list(Role)
        return roles.index(self) >= roles.index(other)


class Person(Struct, frozen=True):
    """Who signs in. `app`: the key of the one app that the role is for, None for every app.

    `has_password`: False until the person uses a link. `is_connected`: whether an account of single sign-on belongs
    to the person. `seen_at`: when a session was last used, to the minute.
    """

    name: str
    role: Role
    app: str | None
    created_at: int
    has_password: bool
    is_connected: bool = False
    seen_at: int | None = None


class Identity(Struct, frozen=True):
    """Who somebody is at an OpenID provider.

    There, a `subject` is one account for good, but a `name` may pass to another. `grant`: the role that the account
    has here, and its app, None for every app. `grant` is None without a role, UNSET if the provider names no roles.
    """

    issuer: str
    subject: str
    name: str
    grant: tuple[Role, str | None] | UnsetType | None = UNSET


class Browser(Struct, frozen=True):
    """What somebody signs in with. `name`: such as Firefox on Windows; empty if unknown. `address`: an IP address."""

    name: str = ""
    address: str | None = None


UNKNOWN_BROWSER = Browser()


class Session(Struct, frozen=True):
    """One browser in which a person is signed in. `seen_at`: when it was last used, to the minute."""

    id: int
    person: Person
    created_at: int
    seen_at: int
    browser: Browser = Browser()


class AccessToken(Struct, frozen=True):
    """What a program signs in with; role and app are as for a person. `used_at`: to the minute."""

    id: int
    name: str
    role: Role
    app: str | None
    created_at: int
    expires_at: int | None
    used_at: int | None


class Hand(StrEnum):
    """What made a change."""

    PERSON = "person"
    SINGLE_SIGN_ON = "single sign-on"
    ACCESS_TOKEN = "access token"
    COMMAND_LINE = "command line"
    WORKER = "worker"
    PROGRAM = "program"


class By(Struct, frozen=True):
    """Who made a change. `kind`: a Hand. `name`: of the person, of the access token, or of the system's user.

    `address`: where the request came from; None without a request.
    """

    kind: str
    name: str = ""
    address: str | None = None


WORKER = By(Hand.WORKER)
PROGRAM = By(Hand.PROGRAM)
"""A program that uses the store itself, and does not say for whom."""


class SharedLink(Struct, frozen=True):
    """Shows an experiment's results, by its `app` and `key`, to whoever has it. `note`: who got it, or what for."""

    id: int
    app: str
    key: str
    note: str
    made_at: int
    made_by: By


def may(who: Person | AccessToken, role: Role, app: str | None) -> bool:
    """Whether somebody may do what needs this role in this app; `app` is None for what concerns every app."""
    return who.app in {None, app} and who.role.includes(role)


def parse_role(text: str) -> Role:
    """The role. Raises InvalidField."""
    try:
        return Role(text)
    except ValueError:
        raise InvalidField("must be viewer, editor or admin", field="role") from None


def folded(name: str) -> str:
    """One form for all names that differ only in case, or in how Unicode writes their letters."""
    return normalize("NFKC", normalize("NFKC", name).casefold())


def spelled_alike(name: str, other: str) -> bool:
    """Whether two names differ at most in the case of A to Z. For names that a provider or a proxy vouches for.

    `folded` treats more letters as the same, but names that differ in those may be two accounts there.
    """
    return name.translate(LOWER) == other.translate(LOWER)


def name_fault(name: str) -> str:
    """Why nobody can have this name; empty if somebody can."""
    if not 1 <= len(name) <= LONGEST_NAME:
        return f"must have 1 to {LONGEST_NAME} characters"
    if fault := text_fault(name):
        return fault
    if not name.isprintable() or name != name.strip():
        return "must have only printable characters, and no space at the beginning or end"
    if name in UNREACHABLE:
        return "must not be . or .."
    return ""


def check_name(name: str) -> str:
    """The name. Raises InvalidField."""
    if fault := name_fault(name):
        raise InvalidField(fault, field="name")
    return name


def check_password(password: str) -> str:
    """The password. Raises InvalidField."""
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidField(f"must have at least {SHORTEST_PASSWORD} characters", field="password")
    return password


def parse_expiry(text: str, now: int) -> int:
    """The last moment of this day in UTC, or this time. Raises InvalidField, also if it has passed."""
    try:
        found = parse_time(f"{text}T23:59:59.999Z" if len(text) == DAY else text, "expires")
    except InvalidExperiment:
        raise InvalidField(EXPIRY_RULE, field="expires") from None
    if found <= now:
        raise InvalidField("has passed already", field="expires")
    return found
