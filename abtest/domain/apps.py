"""Apps: what the devices, experiments and events of one server belong to."""

from msgspec import Struct

DEFAULT_APP = "default"
"""The app that is always there."""
DEFAULT_APP_ID = 1
APPS = "/apps/"
"""Begins the paths of an app."""
SEPARATOR = " "
"""No token contains it."""


class App(Struct, frozen=True):
    """One mobile app, or one environment of it. `created_at`: milliseconds since 1970-01-01 UTC."""

    id: int
    key: str
    created_at: int


def scoped(app: int, token: str) -> str:
    """The token as it is kept: in another app than the default one, it stands after the app's number and a space.

    So the same token in two apps is two devices, and where there is one app, nothing is added.
    """
    return token if app == DEFAULT_APP_ID else f"{app}{SEPARATOR}{token}"


def unscoped(scoped_token: str) -> str:
    """The token as its app sends it."""
    return scoped_token.rpartition(SEPARATOR)[2]


def app_of(scoped_token: str) -> int:
    """The number of the app that a scoped token belongs to."""
    app, separator, _ = scoped_token.partition(SEPARATOR)
    return int(app) if separator else DEFAULT_APP_ID


def path_of(app: str) -> str:
    """What stands in front of the paths of the app with this key; nothing for the default one."""
    return "" if app == DEFAULT_APP else f"{APPS}{app}"
