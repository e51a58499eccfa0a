"""Which pages of other origins may read the answers to apps.

CORS, https://fetch.spec.whatwg.org/#http-cors-protocol. A page's own cookies are never sent or accepted.
"""

import re
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus

from abtest.errors import InvalidSetting
from abtest.web.base_path import in_app
from abtest.web.ways import PATH, Response

EVENTS = "/api/v1/events"
OFREP = "/ofrep/v1/"
EVERY, OFF = "*", "off"
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@*]+|null")
ALLOW, VARY = "Access-Control-Allow-Origin", "Vary"
REQUEST_HEADERS = "Device-Token, Content-Type, If-None-Match, Authorization, X-API-Key"
READABLE = {"Access-Control-Expose-Headers": "ETag, Retry-After"}
PREFLIGHT_SECONDS = 86_400
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@lru_cache
def methods(path: str) -> str:
    """The methods of a path that apps use, with or without an app in front; empty for every other path."""
    _, path = in_app(path)
    if path == PATH:
        return "GET, HEAD"
    return "POST" if path == EVENTS or path.startswith(OFREP) else ""


def sent_as(origin: str) -> str:
    """An origin as browsers send it: https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin."""
    scheme, separator, host = origin.lower().partition("://")
    if default := DEFAULT_PORTS.get(scheme):
        host = host.removesuffix(default)
    with suppress(UnicodeError):
        host = host.encode("idna").decode()
    return f"{scheme}{separator}{host}"


class Origins:
    """The origins that the setting allows. `any`: whether it allows any."""

    def __init__(self, setting: str) -> None:
        """`setting`: `*`, `off`, or origins, separated by commas. Raises InvalidSetting."""
        named = [] if setting.strip() in {EVERY, OFF} else [each.strip() for each in setting.split(",")]
        for each in named:
            if not ORIGIN.fullmatch(each.lower()):
                raise InvalidSetting(
                    f"cors-origins: {each!r} is not an origin; write https://app.example.com, * or off"
                )
            if each != sent_as(each):
                raise InvalidSetting(f"cors-origins: no browser sends {each!r}; write {sent_as(each)}")
        self._headers: dict[str | None, dict[str, str]] = {None: {VARY: "Origin"} if named else {}}
        self._headers |= {each: {ALLOW: each, VARY: "Origin"} | READABLE for each in named}
        if setting.strip() == EVERY:
            self._headers[EVERY] = {ALLOW: EVERY} | READABLE
        self.any = len(self._headers) > 1
        self.allowed = lru_cache(self._allowed)

    def _allowed(self, origin: str | None) -> str | None:
        """The origin to allow for a request from this one, if any."""
        return EVERY if EVERY in self._headers else origin if origin in self._headers else None

    def headers(self, allowed: str | None) -> dict[str, str]:
        """The headers of an answer to an allowed origin."""
        return self._headers[allowed]

    def preflight(self, path: str) -> Response:
        """The answer to a browser that asks before it makes a request; nothing is read or stored for it."""
        headers = {
            "Access-Control-Allow-Methods": methods(path),
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        }
        return Response(HTTPStatus.NO_CONTENT, headers)
