"""What the headers of a request say. RFC 9110 and 9112 unless another source is named."""

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from tornado.httputil import HTTPHeaders

from abtest.domain import Attributes, read_attributes
from abtest.errors import InvalidToken, UnsupportedType

HOST = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+;=-]*|\[[0-9A-Za-z:.%]+\])(?::[0-9]*)?")
WHOLE_URL = re.compile("https?://[^/?#]*", re.IGNORECASE)


def header(headers: HTTPHeaders, name: str) -> str:
    """The value of a header, joined if it is given several times; empty if it is missing.

    `headers.get` takes several times as long to find that one is missing.
    """
    return ",".join(headers.get_list(name))


def device_token(headers: HTTPHeaders) -> str:
    """The value of Device-Token. Raises InvalidToken unless there is exactly one."""
    given = headers.get_list("Device-Token")
    if len(given) != 1:
        raise InvalidToken("exactly one Device-Token header is needed")
    return given[0]


@lru_cache
def require_json(content_type: str) -> None:
    """Raises UnsupportedType unless the Content-Type is JSON; its charset, if given, must be UTF-8."""
    kind, _, parameters = content_type.lower().partition(";")
    if kind.strip() != "application/json" or parameters.strip().replace('"', "") not in {"", "charset=utf-8"}:
        raise UnsupportedType("Content-Type must be application/json")


@lru_cache(maxsize=1_000)
def query_attributes(query: str) -> Attributes:
    """The attributes in a query; the same few queries are frequent. What is not UTF-8 counts as missing."""
    parameters = (parameter.partition("=") for parameter in query.split("&"))
    return read_attributes((_decoded(name), _decoded(value)) for name, _, value in parameters)


def _decoded(text: str) -> str:
    """The text that was encoded as https://url.spec.whatwg.org/#urlencoded-parsing says; empty if it is not UTF-8."""
    try:
        return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("utf-8")
    except UnicodeError:
        return ""


def matches(if_none_match: str, tag: str) -> bool:
    """Whether If-None-Match names this ETag: in a list, as `*`, or weak (13.1.2)."""
    candidates = [candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")]
    return "*" in candidates or tag in candidates


@lru_cache
def names_host(host: str | None, version: str) -> bool:
    """Whether a request may have this Host: HTTP/1.1 requires exactly one valid Host (RFC 9112, 3.2).

    Two Host headers arrive joined by a comma, which no valid host contains.
    """
    return version == "HTTP/1.0" if host is None else HOST.fullmatch(host) is not None


def origin_form(target: str) -> str:
    """The path and query of a request target that is a whole URL (RFC 9112, 3.2.2); any other target as it is."""
    whole = WHOLE_URL.match(target)
    if whole is None:
        return target
    rest = target[whole.end() :]
    return rest if rest.startswith("/") else f"/{rest}"
