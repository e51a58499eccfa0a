"""People who sign in and programs that call: a role says what they may do, in one app or in all; who did what."""

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
"""Since it was last used."""
MOST_SESSIONS = 100
"""Of a person."""
LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
UNREACHABLE = {".", ".."}
"""In a path they are a folder, also when they are escaped (RFC 3986, 5.2.4; the URL Standard): nothing could change
somebody of this name."""
EXPIRY_RULE = "must be a date such as 2026-12-31, or a time such as 2026-12-31T18:00:00Z"


class Role(StrEnum):
    """What somebody may do; each role may do what those before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether it allows all that the other one does."""
        roles = list(Role)
        return roles.index(self) >= roles.index(other)


class Person(Struct, frozen=True):
    """Who signs in. `app`: the key of the one app that the role is for, None for every app.

    `has_password`: not before the person used a link. `is_connected`: with an account of single sign-on. `seen_at`:
    when a session was last used, to the minute.
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

    There, `subject` is one account for good, and `name` may be given to another. `grant`: the role that the account
    has here, and for which app, None for every app; None if it has none, UNSET if the provider doesn't say roles.
    """

    issuer: str
    subject: str
    name: str
    grant: tuple[Role, str | None] | UnsetType | None = UNSET


class Browser(Struct, frozen=True):
    """What somebody signs in with. `name`: such as Firefox on Windows, empty if unknown. `address`: where it is."""

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
    """What a program signs in with; role and app as those of a person. `used_at`: to the minute."""

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

    `address`: where the request came from; None where there was none.
    """

    kind: str
    name: str = ""
    address: str | None = None


WORKER = By(Hand.WORKER)
PROGRAM = By(Hand.PROGRAM)
"""A program that uses the store by itself, and has not said for whom."""


class SharedLink(Struct, frozen=True):
    """Whoever has it sees the results of one experiment, by its app and `key`. `note`: who got it, or what for."""

    id: int
    app: str
    key: str
    note: str
    made_at: int
    made_by: By


def may(who: Person | AccessToken, role: Role, app: str | None) -> bool:
    """Whether somebody may do in this app what needs this role; None for what concerns every app."""
    return who.app in {None, app} and who.role.includes(role)


def parse_role(text: str) -> Role:
    """The role. Raises InvalidField."""
    try:
        return Role(text)
    except ValueError:
        raise InvalidField("must be viewer, editor or admin", field="role") from None


def folded(name: str) -> str:
    """The same for names that differ only in case, or in how Unicode writes their letters."""
    return normalize("NFKC", normalize("NFKC", name).casefold())


def spelled_alike(name: str, other: str) -> bool:
    """Whether names differ at most in A to Z and a to z, for names that others vouch for.

    `folded` takes more letters for the same, and somewhere else they may be of two accounts.
    """
    return name.translate(LOWER) == other.translate(LOWER)


def name_fault(name: str) -> str:
    """Why nobody can have this name; empty if somebody can."""
    if not 1 <= len(name) <= LONGEST_NAME:
        return f"must have 1 to {LONGEST_NAME} characters"
    if fault := text_fault(name):
        return fault
    if not name.isprintable() or name != name.strip():
        return "must have printable characters only, and no space at its ends"
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
    """The last moment of this day in UTC, or this time. Raises InvalidField, also when it has passed."""
    try:
        found = parse_time(f"{text}T23:59:59.999Z" if len(text) == DAY else text, "expires")
    except InvalidExperiment:
        raise InvalidField(EXPIRY_RULE, field="expires") from None
    if found <= now:
        raise InvalidField("has passed already", field="expires")
    return found
