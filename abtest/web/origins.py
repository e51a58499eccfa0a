"""Which pages of other origins may read the answers to apps.

CORS, https://fetch.spec.whatwg.org/#http-cors-protocol. A page's own cookies are never sent or accepted.
"""

import re
from functools import lru_cache
from http import HTTPStatus

from abtest.errors import InvalidSetting
from abtest.web.ways import PATH, Response

EVENTS = "/api/v1/events"
OFREP = "/ofrep/v1/"
EVERY, OFF = "*", "off"
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@*]+|null")
ALLOW, VARY = "Access-Control-Allow-Origin", "Vary"
REQUEST_HEADERS = "Device-Token, Content-Type, If-None-Match, Authorization, X-API-Key"
READABLE = {"Access-Control-Expose-Headers": "ETag, Retry-After"}
PREFLIGHT_SECONDS = 86_400


@lru_cache
def methods(path: str) -> str:
    """The methods of a path that apps use; empty for every other path."""
    if path == PATH:
        return "GET, HEAD"
    return "POST" if path == EVENTS or path.startswith(OFREP) else ""


class Origins:
    """What the setting allows. `fixed`: the allowed origin if it is the same for every request, else None."""

    def __init__(self, setting: str) -> None:
        """`setting`: `*`, `off`, or origins, separated by commas. Raises InvalidSetting."""
        self.fixed = {EVERY: EVERY, OFF: ""}.get(setting.strip())
        named = [each.strip() for each in setting.split(",")] if self.fixed is None else []
        wrong = next((each for each in named if not ORIGIN.fullmatch(each)), None)
        if wrong is not None:
            raise InvalidSetting(f"cors-origins: {wrong!r} is no origin; write https://app.example.com, * or off")
        self._headers: dict[str, dict[str, str]] = {
            "": {} if self.fixed is not None else {VARY: "Origin"},
            EVERY: {ALLOW: EVERY} | READABLE,
        } | {each: {ALLOW: each, VARY: "Origin"} | READABLE for each in named}

    def allowed(self, origin: str | None) -> str:
        """The origin to allow for a request from this one; empty if none."""
        if self.fixed is not None:
            return self.fixed
        return origin if origin in self._headers and origin != EVERY else ""

    def headers(self, allowed: str) -> dict[str, str]:
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
