"""Apps: each device, experiment and event belongs to one."""

from msgspec import Struct

DEFAULT_APP = "default"
"""The app that is always there."""
DEFAULT_APP_ID = 1
APPS = "/apps/"
"""The beginning of an app's paths."""
SEPARATOR = " "
"""Stands between an app's number and a token; no token contains it."""


class App(Struct, frozen=True):
    """One mobile app, or one environment of it. `created_at`: milliseconds since 1970-01-01 UTC."""

    id: int
    key: str
    created_at: int


def scoped(app: int, token: str) -> str:
    """The token as it is stored: in the default app as it is, in any other after the app's number and a space.

    So the same token in two apps is two devices.
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
    """The beginning of the paths of the app with this key; empty for the default app."""
    return "" if app == DEFAULT_APP else f"{APPS}{app}"
