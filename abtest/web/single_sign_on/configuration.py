"""Single sign-on, as the settings say."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from msgspec import Struct

from abtest.domain import Role
from abtest.errors import InvalidSetting
from abtest.settings import Settings, split_url

RETURN = "/sign-in/provider/return"
HEADER = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
TAKEN = {
    "authorization",
    "cookie",
    "device-token",
    "host",
    "origin",
    "x-api-key",
    "x-forwarded-for",
    "x-forwarded-proto",
}
"""Headers that mean something else here."""
Roles = tuple[tuple[str, tuple[Role, str | None]], ...]
"""For each value of the claim, the role that it means and in which app; None is every app."""


class Configuration(Struct, frozen=True):
    """The provider, this client of it, and what its claims mean. `return_url`: the redirect URI."""

    issuer: str
    client_id: str
    client_secret: str
    label: str
    scope: str
    name_claim: str
    role_claim: str
    roles: Roles
    return_url: str
    signed_out_url: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Configuration(issuer={self.issuer!r})"


def check_single_sign_on(settings: Settings) -> None:
    """Raises InvalidSetting."""
    configured(settings)
    header = settings.proxy_user_header
    if not header:
        return
    if not HEADER.fullmatch(header) or header.lower() in TAKEN:
        raise InvalidSetting("proxy-user-header: must be a header with no other meaning, such as X-Forwarded-User")
    if not settings.trusted_proxies:
        raise InvalidSetting("proxy-user-header: needs trusted-proxies, because only these may send the header")


def configured(settings: Settings) -> Configuration | None:
    """How people sign in at a provider; None if they don't. Raises InvalidSetting.

    The public URL must have been checked to be a URL.
    """
    if not settings.oidc_issuer:
        return None
    issuer = split_url("oidc-issuer", settings.oidc_issuer)
    if issuer.query or issuer.fragment or not is_safe(settings.oidc_issuer):
        raise InvalidSetting("oidc-issuer: must begin with https://, and have no ? and no #")
    if not settings.oidc_client_id:
        raise InvalidSetting("oidc-client-id: must be given with oidc-issuer")
    public_url = settings.public("")
    if not is_safe(public_url):
        raise InvalidSetting("public-url: must be given with oidc-issuer, and begin with https://")
    if "openid" not in settings.oidc_scope.split():
        raise InvalidSetting("oidc-scope: must contain openid")
    return Configuration(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        label=settings.oidc_label,
        scope=settings.oidc_scope,
        name_claim=settings.oidc_name_claim,
        role_claim=settings.oidc_role_claim,
        roles=parse_roles(settings.oidc_roles),
        return_url=public_url + RETURN,
        signed_out_url=f"{public_url}/sign-in",
    )


def is_safe(url: str) -> bool:
    """Whether nobody on the way can read or change what is sent: with TLS, or on this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)))


def parse_roles(text: str) -> Roles:
    """Roles from VALUE=ROLE or VALUE=ROLE@APP between commas. Raises InvalidSetting."""
    return tuple(_role(each.strip()) for each in text.split(",") if each.strip())


def _role(text: str) -> tuple[str, tuple[Role, str | None]]:
    value, _, where = text.rpartition("=")
    role, at, app = where.partition("@")
    if not value or role not in list(Role) or (at and not app):
        raise InvalidSetting(
            f"oidc-roles: {text!r} must look like VALUE=ROLE or VALUE=ROLE@APP; roles are {', '.join(Role)}"
        )
    return value, (Role(role), app or None)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
