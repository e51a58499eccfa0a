"""What may stand before a path: the base path, which a proxy strips from requests or keeps, and an app."""

import re

from abtest.domain import APPS, DEFAULT_APP
from abtest.errors import InvalidSetting

BASE_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
IN_APP = f"(?:{APPS}[^/]*)?"
"""Begins the pattern of a path that every app has."""
TAKEN = (
    *("access-tokens", "account", "api", "apps", "audit", "demo", "docs", "experiments", "groups", "healthz"),
    *(
        "holdouts",
        "metrics",
        "new-experiment",
        "ofrep",
        "openapi.yaml",
        "people",
        "plan",
        "readyz",
        "robots.txt",
        "shared",
    ),
    *("sign-in", "sign-out", "simulate", "static", "system", "test-devices", "why"),
)
"""First parts of the server's own paths: a path that was stripped could not be told from one that was kept."""


def check_base_path(base: str) -> None:
    """Raises InvalidSetting unless everything can lie under this path."""
    if not BASE_PATH.fullmatch(base):
        raise InvalidSetting("base-path: must look like /abtest, with no / at its end")
    first = base.split("/")[1] if base else ""
    if first in TAKEN:
        raise InvalidSetting(f"base-path: must not begin with /{first}, which is a path of this server; try /abtest")


def stripped(base: str, target: str) -> str:
    """A request's target without the base path, if it has it."""
    if not target.startswith(base):
        return target
    rest = target[len(base) :]
    return rest if rest.startswith("/") else f"/{rest}" if rest[:1] in {"", "?"} else target


def in_app(path: str) -> tuple[str, str]:
    """The key of the app that a path names, and the path without it: without /apps/KEY it is the default app."""
    if not path.startswith(APPS):
        return DEFAULT_APP, path
    key, slash, rest = path[len(APPS) :].partition("/")
    return (key, f"/{rest}") if slash else (DEFAULT_APP, path)
