"""The ways in which apps ask for their experiments: how a request names its device, and how an answer is written."""

from http import HTTPStatus
from time import time
from typing import Protocol

from msgspec import Struct
from tornado.httputil import HTTPHeaders, format_timestamp

from abtest.domain import Attributes
from abtest.enrolment import Answer
from abtest.web.problems import CONTENT_TYPE, Problem
from abtest.web.reading import device_token, query_attributes

GUARDED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
PATH = "/api/v1/experiments"


WITHOUT_LENGTH = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
"""RFC 9110, 8.6."""


class Response(Struct, frozen=True):
    """A response, without the headers that every response has."""

    status: HTTPStatus
    headers: dict[str, str]
    body: bytes = b""

    def all_headers(self, more: dict[str, str]) -> dict[str, str]:
        """All headers to send. `more`: those that the client's origin needs."""
        headers = GUARDED | self.headers | more
        if "Vary" in self.headers and "Vary" in more:
            headers["Vary"] = f"{self.headers['Vary']}, {more['Vary']}"
        headers["Date"] = format_timestamp(time())
        if self.status not in WITHOUT_LENGTH:
            headers["Content-Length"] = str(len(self.body))
        return headers

    def rendered(self, more: dict[str, str]) -> bytes:
        """The bytes of the whole response."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.all_headers(more).items())
        return f"HTTP/1.1 {self.status} {self.status.phrase}\r\n{lines}\r\n".encode("latin-1") + self.body


class Way(Protocol):
    """One way of asking. `name`: two ways with the same name write an answer in the same way.

    `methods`: those of its requests. `shared`: whether devices with equal answers have the same ETag.
    """

    name: str
    methods: frozenset[str]
    shared: bool

    def token(self, headers: HTTPHeaders, body: bytes) -> str:
        """The token of the device that asks. Raises what `refusal` answers."""
        ...

    def attributes(self, query: str, body: bytes) -> Attributes:
        """The attributes of the device; called only for its first request."""
        ...

    def etag(self, answer: Answer, token: str) -> str | None:
        """The ETag of a device's answer, if it has one. `token`: the device's scoped token."""
        ...

    def response(self, answer: Answer, etag: str | None) -> Response:
        """The response with an answer."""
        ...

    def refusal(self, problem: Problem, headers: dict[str, str]) -> Response:
        """The response to a request that failed, with these further headers."""
        ...


class Plain:
    """`GET` and `HEAD /api/v1/experiments`."""

    name = ""
    methods = frozenset({"GET", "HEAD"})
    shared = True

    def token(self, headers: HTTPHeaders, body: bytes) -> str:
        """The header Device-Token. Raises InvalidToken."""
        return device_token(headers)

    def attributes(self, query: str, body: bytes) -> Attributes:
        """The parameters of the query."""
        return query_attributes(query)

    def etag(self, answer: Answer, token: str) -> str:
        """The same for equal answers."""
        return answer.etag

    def response(self, answer: Answer, etag: str | None) -> Response:
        """One flat object: key -> text."""
        assert etag
        headers = {"Vary": "Device-Token", "Cache-Control": "private, no-cache", "ETag": etag}
        return Response(HTTPStatus.OK, headers | {"Content-Type": "application/json"}, answer.body)

    def refusal(self, problem: Problem, headers: dict[str, str]) -> Response:
        """A problem document."""
        headers = {"Vary": "Device-Token", "Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"} | headers
        return Response(HTTPStatus(problem.status), headers, problem.json())


PLAIN = Plain()


def unchanged(response: Response) -> Response:
    """304 instead of this response (RFC 9110, 15.4.5)."""
    headers = {name: value for name, value in response.headers.items() if name != "Content-Type"}
    return Response(HTTPStatus.NOT_MODIFIED, headers)
