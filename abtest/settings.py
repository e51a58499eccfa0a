"""Every setting: its environment variable, its default, and what it does."""

import os
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from abtest.errors import InvalidSetting


class Setting(Struct, frozen=True):
    """One row of the table of settings: a number of at least `least`, or a text, one of `choices` if there are any.

    A secret setting is not an option of a command, since everybody on the machine can read command lines.
    """

    name: str
    default: str | int | float
    help: str
    least: float = 0
    choices: tuple[str, ...] = ()
    secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"ABTEST_{self.name.upper()}"


DATABASE = Setting(
    "database", "sqlite:///abtest.db", "Where all data is stored: sqlite:///PATH, or postgresql://USER@HOST/NAME."
)
ADDRESS = Setting(
    "address",
    "127.0.0.1",
    "The addresses to listen on, separated by commas; :: is every address, 0.0.0.0 every IPv4 address.",
)
PORT = Setting("port", 8080, "The port to listen on; 0 picks a free one.")
PROCESSES = Setting("processes", 0, "How many server processes share the port; 0 is one per core.")
STATS_INTERVAL = Setting("stats_interval", 5.0, "Seconds between two updates of the statistics.")
DEMO = Setting(
    "demo",
    "auto",
    "The page /demo, which plays an app: on, off, or auto (on if `abtest up` finds the demo experiments).",
    choices=("auto", "on", "off"),
)
ANONYMOUS = Setting(
    "anonymous",
    "auto",
    "Who may look at the pages without signing in: auto is everybody until the first person exists and nobody "
    "afterwards, viewer is always everybody, as a viewer, and none is nobody.",
    choices=("auto", "viewer", "none"),
)

TRUSTED_PROXIES = Setting(
    "trusted_proxies",
    "",
    "Addresses or networks, separated by commas, of the proxies whose X-Forwarded-For and X-Forwarded-Proto are "
    "believed.",
)
BASE_PATH = Setting(
    "base_path",
    "",
    "The path under which a proxy serves everything, such as /abtest, whether the proxy strips it or keeps it.",
)
PUBLIC_URL = Setting(
    "public_url",
    "",
    "The URL at which people reach the server, with its base path, such as https://abtest.example.com. Links to the "
    "server begin with it.",
)
CORS_ORIGINS = Setting(
    "cors_origins",
    "*",
    "Origins, separated by commas, whose pages may call the API for apps; * is every origin, off is none.",
)
NEW_PER_SOURCE = Setting(
    "new_per_source",
    50,
    "New devices allowed per second from one address (IPv6: /64), in each server process; 0 is no limit.",
)
NEW_PER_SOURCE_BURST = Setting(
    "new_per_source_burst", 2_000, "New devices allowed at once from one address, in each server process.", 1
)
NEW_IN_ALL = Setting(
    "new_in_all", 20_000, "New devices allowed per second in total, in each server process; 0 is no limit."
)
CONNECTIONS = Setting("connections", 10_000, "Connections allowed at the same time, in each server process.", 1)
QUEUE = Setting(
    "queue",
    10_000,
    "Requests of each kind (first, HEAD, events) that may wait for the database, in each server process.",
    1,
)
DEADLINE = Setting("deadline", 2.0, "Seconds that a request may wait for the database before it gets 503.", 0.1)
CACHE = Setting("cache", 200_000, "Devices whose answers are kept in memory, in each server process.", 1)
IDLE_TIMEOUT = Setting(
    "idle_timeout", 75.0, "Seconds within which a connection must send a complete request header.", 0.1
)
BODY_TIMEOUT = Setting("body_timeout", 10.0, "Seconds within which a request's body must arrive.", 0.1)
HEADER_LIMIT = Setting("header_limit", 16_384, "Largest request header, in bytes.", 1_024)
BODY_LIMIT = Setting("body_limit", 65_536, "Largest request body, in bytes.", 1_024)
FREE_DISK = Setting("free_disk", 100, "Megabytes of free disk below which new devices and events are refused.")

OIDC_ISSUER = Setting("oidc_issuer", "", "The issuer of the OpenID provider with which people sign in.")
OIDC_CLIENT_ID = Setting("oidc_client_id", "", "The client id that the provider gave this server.")
OIDC_CLIENT_SECRET = Setting(
    "oidc_client_secret", "", "The secret that goes with the client id; empty for a public client.", secret=True
)
OIDC_LABEL = Setting("oidc_label", "single sign-on", "The provider's name on the sign-in page: Sign in with ...")
OIDC_SCOPE = Setting("oidc_scope", "openid profile email", "The scopes that the provider is asked for.")
OIDC_NAME_CLAIM = Setting(
    "oidc_name_claim", "preferred_username", "The claim with the person's name; email counts only if it is verified."
)
OIDC_ROLE_CLAIM = Setting(
    "oidc_role_claim", "", "The claim that decides roles; if empty, people have the roles that they were given here."
)
OIDC_ROLES = Setting(
    "oidc_roles",
    "abtest:admin=admin,abtest:editor=editor,abtest:viewer=viewer",
    "Which roles the values of the role claim give: VALUE=ROLE or VALUE=ROLE@APP, separated by commas; the first "
    "that fits counts.",
)
PROXY_USER_HEADER = Setting(
    "proxy_user_header", "", "The header in which a trusted proxy names the person whom it has signed in."
)

SETTINGS = (DATABASE, ADDRESS, PORT, PROCESSES, STATS_INTERVAL, DEMO, ANONYMOUS)
LIMITS = (
    TRUSTED_PROXIES,
    BASE_PATH,
    PUBLIC_URL,
    CORS_ORIGINS,
    NEW_PER_SOURCE,
    NEW_PER_SOURCE_BURST,
    NEW_IN_ALL,
    CONNECTIONS,
    QUEUE,
    DEADLINE,
    CACHE,
    IDLE_TIMEOUT,
    BODY_TIMEOUT,
    HEADER_LIMIT,
    BODY_LIMIT,
    FREE_DISK,
)
SINGLE_SIGN_ON = (
    OIDC_ISSUER,
    OIDC_CLIENT_ID,
    OIDC_CLIENT_SECRET,
    OIDC_LABEL,
    OIDC_SCOPE,
    OIDC_NAME_CLAIM,
    OIDC_ROLE_CLAIM,
    OIDC_ROLES,
    PROXY_USER_HEADER,
)
EVERY = (*SETTINGS, *LIMITS, *SINGLE_SIGN_ON)


def in_postgres(database: str) -> bool:
    """Whether a database URL is one of PostgreSQL."""
    return database.startswith(("postgresql://", "postgres://"))


def without_password(database: str) -> str:
    """A database URL as people may see it: for PostgreSQL, only the host and the database's name."""
    if not in_postgres(database):
        return database
    kind, _, rest = database.partition("://")
    place, _, parameters = rest.partition("?")
    # A password that is not encoded as URLs require may contain any character.
    return f"{kind}://" if "@" in parameters else f"{kind}://{place.rpartition('@')[2]}"


class Settings(Struct, frozen=True):
    """What a server or a worker runs with; each field is the setting of the same name."""

    database: str = str(DATABASE.default)
    address: str = str(ADDRESS.default)
    port: int = int(PORT.default)
    processes: int = int(PROCESSES.default)
    stats_interval: float = float(STATS_INTERVAL.default)
    demo: str = str(DEMO.default)
    anonymous: str = str(ANONYMOUS.default)
    trusted_proxies: str = str(TRUSTED_PROXIES.default)
    base_path: str = str(BASE_PATH.default)
    public_url: str = str(PUBLIC_URL.default)
    cors_origins: str = str(CORS_ORIGINS.default)
    new_per_source: float = float(NEW_PER_SOURCE.default)
    new_per_source_burst: float = float(NEW_PER_SOURCE_BURST.default)
    new_in_all: float = float(NEW_IN_ALL.default)
    connections: int = int(CONNECTIONS.default)
    queue: int = int(QUEUE.default)
    deadline: float = float(DEADLINE.default)
    cache: int = int(CACHE.default)
    idle_timeout: float = float(IDLE_TIMEOUT.default)
    body_timeout: float = float(BODY_TIMEOUT.default)
    header_limit: int = int(HEADER_LIMIT.default)
    body_limit: int = int(BODY_LIMIT.default)
    free_disk: float = float(FREE_DISK.default)
    oidc_issuer: str = str(OIDC_ISSUER.default)
    oidc_client_id: str = str(OIDC_CLIENT_ID.default)
    oidc_client_secret: str = str(OIDC_CLIENT_SECRET.default)
    oidc_label: str = str(OIDC_LABEL.default)
    oidc_scope: str = str(OIDC_SCOPE.default)
    oidc_name_claim: str = str(OIDC_NAME_CLAIM.default)
    oidc_role_claim: str = str(OIDC_ROLE_CLAIM.default)
    oidc_roles: str = str(OIDC_ROLES.default)
    proxy_user_header: str = str(PROXY_USER_HEADER.default)

    def __repr__(self) -> str:
        """The settings without their secrets."""
        values = {each.name: getattr(self, each.name) for each in EVERY if not each.secret}
        values["database"] = without_password(self.database)
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in values.items())})"

    @property
    def process_count(self) -> int:
        """How many server processes: as set, or one per core that this process may use."""
        if self.processes:
            return self.processes
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def url(self, port: int) -> str:
        """The URL of a server with these settings, as seen from this machine, with its base path."""
        first = self.address.partition(",")[0].strip()
        host = "127.0.0.1" if first in {"0.0.0.0", "::"} else first
        return f"http://[{host}]:{port}{self.base_path}" if ":" in host else f"http://{host}:{port}{self.base_path}"

    def public(self, otherwise: str) -> str:
        """What links to the server begin with: the public URL, or else this one, without a / at the end."""
        return (self.public_url or otherwise).rstrip("/")

    def check_public_url(self) -> None:
        """Raises InvalidSetting if there is a public URL under which no link would work."""
        if not self.public_url:
            return
        parts = split_url("public-url", self.public(""))
        beside = parts.query or parts.fragment or parts.username
        if parts.scheme not in {"http", "https"} or not parts.hostname or beside:
            raise InvalidSetting("public-url: must look like https://abtest.example.com")
        if parts.path != self.base_path:
            raise InvalidSetting(
                f"public-url: must end with {BASE_PATH.variable}, which is {self.base_path or 'empty'}"
            )

    def environment(self) -> dict[str, str]:
        """The settings as environment variables, for a process to start with."""
        return {each.variable: str(getattr(self, each.name)) for each in EVERY}


def split_url(name: str, text: str) -> SplitResult:
    """The parts of a URL. Raises InvalidSetting, with this name, if it has none."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise InvalidSetting(f"{name}: {error}") from None
    return parts
