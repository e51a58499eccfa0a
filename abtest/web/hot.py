"""`GET /api/v1/experiments`, answered without a RequestHandler; everything else goes to the Application."""

import asyncio
import logging
import re
from collections.abc import Awaitable
from functools import lru_cache
from http import HTTPStatus
from time import perf_counter, time

from tornado.http1connection import HTTP1Connection as Connection
from tornado.http1connection import HTTP1ServerConnection as ServerConnection
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)
from tornado.iostream import IOStream

from abtest.domain import check_token
from abtest.enrolment import Answer, EnrolmentService, Proxies
from abtest.errors import InvalidToken, TooLarge, UnknownDevice
from abtest.settings import Settings
from abtest.web.connections import Connections
from abtest.web.monitoring import Monitoring
from abtest.web.problems import CONTENT_TYPE, described

PATH = "/api/v1/experiments"
GUARDED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
EVERY_ANSWER = GUARDED | {"Vary": "Device-Token"}
CACHING = {"Cache-Control": "private, no-cache"}
MOST_READY = 10_000
LONGEST_LENGTH = 18
"""Most digits of a Content-Length: `int` is slow for very many."""
MOST_READ_ON = 4 * 1024 * 1024
READ_ON_SECONDS = 2.0

HOST = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+;=-]*|\[[0-9A-Za-z:.%]+\])(?::[0-9]*)?")
WHOLE_URL = re.compile("https?://[^/?#]*", re.IGNORECASE)

log = logging.getLogger("abtest.web")


class HotServer(HTTPServerConnectionDelegate):
    """Stands in front of an application, and answers the requests of apps itself."""

    def __init__(
        self,
        enrolment: EnrolmentService,
        application: HTTPServerConnectionDelegate,
        monitoring: Monitoring,
        settings: Settings,
    ) -> None:
        self.enrolment = enrolment
        self.application = application
        self.monitoring = monitoring
        self.body_limit = settings.body_limit
        self.connections = Connections(settings.connections, settings.idle_timeout)
        self._proxies = Proxies(settings.trusted_proxies)
        self._ready: dict[str, bytes] = {}
        self._second = 0

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Create the delegate of a request; it decides who answers once the headers are there."""
        assert isinstance(server_conn, ServerConnection)
        assert isinstance(request_conn, Connection)
        self.connections.reads(server_conn)
        return _Message(self, server_conn, request_conn)

    def observe(self) -> None:
        """Record how much this process holds at the moment."""
        self.monitoring.holds(self.connections.open, self.enrolment.waiting, self.enrolment.cached_devices)

    def source(self, connection: Connection, headers: HTTPHeaders) -> str | None:
        """The source that a request's new device counts against; None for this machine."""
        address = getattr(connection.context, "remote_ip", "")
        return self._proxies.source(address, headers.get("X-Forwarded-For", ""))

    def ready(self, answer: Answer) -> bytes:
        """The whole response with an answer. It contains the Date, so it is rendered once a second."""
        now = int(time())
        if now != self._second or len(self._ready) >= MOST_READY:
            self._second = now
            self._ready.clear()
        response = self._ready.get(answer.etag)
        if response is None:
            lines = [f"{name}: {value}\r\n" for name, value in _headers(answer, len(answer.body)).get_all()]
            head = "HTTP/1.1 200 OK\r\n" + "".join(lines) + "\r\n"
            response = self._ready[answer.etag] = head.encode("ascii") + answer.body
        return response

    async def drain(self) -> None:
        """Answer the requests that are under way, each as the last of its connection, then take no more devices.

        Returns when every request whose headers have arrived is answered.
        """
        await self.connections.last_call()
        await self.enrolment.drain()
        await self.connections.all_answered()


class _Message(HTTPMessageDelegate):
    """One request."""

    def __init__(self, server: HotServer, server_conn: ServerConnection, connection: Connection) -> None:
        self._server = server
        self._server_conn = server_conn
        self._connection = connection
        self._other: HTTPMessageDelegate | None = None
        self._method = self._version = ""
        self._body_size = 0
        self._too_large = False
        self._headers = HTTPHeaders()
        self._began = 0.0

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        self._server.connections.answers(self._server_conn)
        if not _names_host(headers.get("Host"), start_line.version):
            raise HTTPInputError("no Host header, or an invalid one")
        if not start_line.path.startswith("/"):
            start_line = start_line._replace(path=_origin_form(start_line.path))
        self._method, self._version, self._headers = start_line.method, start_line.version, headers
        if start_line.method in {"GET", "HEAD"} and start_line.path.partition("?")[0] == PATH:
            self._began = perf_counter()
            return None
        length = headers.get("Content-Length", "")
        if length.isdecimal() and (len(length) > LONGEST_LENGTH or int(length) > self._server.body_limit):
            self._refuse_body()
            return None
        self._other = self._server.application.start_request(self._server_conn, self._connection)
        return self._other.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._body_size += len(chunk)
        if not self._too_large and self._body_size > self._server.body_limit:
            self._refuse_body()
        if self._too_large and self._body_size > MOST_READ_ON:
            self._connection.finish()
        return self._other.data_received(chunk) if self._other else None

    def on_connection_close(self) -> None:
        if self._other:
            self._other.on_connection_close()

    def finish(self) -> None:
        if self._too_large:
            self._connection.finish()
            return
        if self._other:
            self._other.finish()
            return
        try:
            token = device_token(self._headers)
            answer = self._server.enrolment.cached(token)
            if answer is not None:
                self._reply(answer)
                self._server.monitoring.cached(perf_counter() - self._began)
            elif self._method == "HEAD":
                finding = asyncio.ensure_future(self._server.enrolment.find(check_token(token)))
                finding.add_done_callback(self._decided)
            else:
                source = self._server.source(self._connection, self._headers)
                self._server.enrolment.ask(token, source).add_done_callback(self._decided)
        except Exception as error:
            self._fail(error)

    def _decided(self, waiting: "asyncio.Future[Answer] | asyncio.Future[Answer | None]") -> None:
        error = waiting.exception()
        if error is not None:
            self._fail(error)
        elif (answer := waiting.result()) is None:
            self._fail(UnknownDevice("this device has not asked for its experiments yet"))
        else:
            self._reply(answer)
            self._server.monitoring.stored(perf_counter() - self._began)

    def _reply(self, answer: Answer) -> None:
        asked = self._headers.get("If-None-Match")
        if asked is not None and matches(asked, answer.etag):
            self._write(HTTPStatus.NOT_MODIFIED, _headers(answer, None), b"")
        elif self._plain():
            self._send(self._server.ready(answer))
        else:
            self._write(HTTPStatus.OK, _headers(answer, len(answer.body)), answer.body)

    def _plain(self) -> bool:
        """Whether the response has no header that depends on the request."""
        return (
            self._method == "GET"
            and self._version == "HTTP/1.1"
            and "Connection" not in self._headers
            and not self._server.connections.draining
        )

    def _send(self, response: bytes) -> None:
        """Write a rendered response. The next request is read only once it has left, so no client can fill memory."""
        stream = self._connection.stream
        if stream.closed():
            return
        written = IOStream.write(stream, response)  # not Stream.write, which looks for answers of Tornado's own
        if written.done():
            self._connection.finish()
        else:
            written.add_done_callback(self._written)

    def _written(self, written: "asyncio.Future[None]") -> None:
        if not self._connection.stream.closed():
            self._connection.finish()

    def _refuse_body(self) -> None:
        """Answer at once, but read on for a while: a close with unread bytes would destroy the answer."""
        self._other, self._too_large = None, True
        self._connection.set_body_timeout(READ_ON_SECONDS)
        self._say(TooLarge(f"the body must have at most {self._server.body_limit} bytes"))
        if "Expect" in self._headers:  # a client that asks before it sends a body sends none after this answer
            self._connection.finish()

    def _fail(self, error: BaseException) -> None:
        self._say(error)
        self._connection.finish()

    def _say(self, error: BaseException) -> None:
        problem, headers = described(error)
        self._server.monitoring.refused(problem.code)
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a request failed", exc_info=error)
        body = problem.json()
        sent = HTTPHeaders(EVERY_ANSWER | headers | {"Date": format_timestamp(time())})
        sent.update({"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store", "Content-Length": str(len(body))})
        self._write_headers(HTTPStatus(problem.status), sent, body)

    def _write(self, status: HTTPStatus, headers: HTTPHeaders, body: bytes) -> None:
        self._write_headers(status, headers, body)
        self._connection.finish()

    def _write_headers(self, status: HTTPStatus, headers: HTTPHeaders, body: bytes) -> None:
        if self._server.connections.draining:
            headers["Connection"] = "close"
        self._connection.write_headers(
            ResponseStartLine("HTTP/1.1", status, status.phrase),
            headers,
            b"" if self._method == "HEAD" else body,
        )


def _headers(answer: Answer, length: int | None) -> HTTPHeaders:
    headers = HTTPHeaders(EVERY_ANSWER | CACHING | {"ETag": answer.etag, "Date": format_timestamp(time())})
    if length is not None:
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(length)
    return headers


def matches(if_none_match: str, tag: str) -> bool:
    """Whether If-None-Match names this ETag: a list, `*`, or weak (RFC 9110, 13.1.2)."""
    candidates = [candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")]
    return "*" in candidates or tag in candidates


@lru_cache
def _names_host(host: str | None, version: str) -> bool:
    """Whether a request may have this Host: HTTP/1.1 requires exactly one valid Host (RFC 9112, 3.2).

    Two Host headers arrive joined by a comma, which no valid host contains.
    """
    return version == "HTTP/1.0" if host is None else HOST.fullmatch(host) is not None


def _origin_form(target: str) -> str:
    """The path and query of a request target that is a whole URL (RFC 9112, 3.2.2); any other target as it is."""
    whole = WHOLE_URL.match(target)
    if whole is None:
        return target
    rest = target[whole.end() :]
    return rest if rest.startswith("/") else f"/{rest}"


def device_token(headers: HTTPHeaders) -> str:
    """The value of Device-Token. Raises InvalidToken unless there is exactly one."""
    given = headers.get_list("Device-Token")
    if len(given) != 1:
        raise InvalidToken("exactly one Device-Token header is needed")
    return given[0]
