"""`GET /api/v1/experiments`, answered without a RequestHandler; everything else goes to the Application."""

import asyncio
import logging
from collections.abc import Awaitable
from http import HTTPStatus

from tornado.httputil import HTTPConnection as Connection
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from abtest.enrolment import Answer, EnrolmentService, etag
from abtest.errors import InvalidToken, UnknownDevice
from abtest.models import check_token
from abtest.web.problems import CONTENT_TYPE, described

PATH = "/api/v1/experiments"
SECURITY_HEADERS = {"X-Content-Type-Options": "nosniff"}

log = logging.getLogger("abtest.web")


class HotServer(HTTPServerConnectionDelegate):
    """In front of an application: takes the requests of apps for itself."""

    def __init__(self, enrolment: EnrolmentService, application: HTTPServerConnectionDelegate) -> None:
        self.enrolment = enrolment
        self.application = application
        self.running: set[asyncio.Task[None]] = set()

    def start_request(self, server_conn: object, request_conn: Connection) -> HTTPMessageDelegate:
        """Decide when the headers are there."""
        return _Message(self, server_conn, request_conn)

    async def drain(self) -> None:
        """Take no more devices; return when every accepted request is answered."""
        await self.enrolment.drain()
        if self.running:
            await asyncio.wait(self.running)


class _Message(HTTPMessageDelegate):
    """One request."""

    def __init__(self, server: HotServer, server_conn: object, connection: Connection) -> None:
        self._server = server
        self._server_conn = server_conn
        self._connection = connection
        self._other: HTTPMessageDelegate | None = None
        self._method = ""
        self._headers = HTTPHeaders()

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        if start_line.method in {"GET", "HEAD"} and start_line.path.partition("?")[0] == PATH:
            self._method, self._headers = start_line.method, headers
            return None
        self._other = self._server.application.start_request(self._server_conn, self._connection)
        return self._other.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._other.data_received(chunk) if self._other else None

    def on_connection_close(self) -> None:
        if self._other:
            self._other.on_connection_close()

    def finish(self) -> None:
        if self._other:
            self._other.finish()
            return
        try:
            token = _token(self._headers)
        except InvalidToken as error:
            self._fail(error)
            return
        answer = self._server.enrolment.cached(token)
        if answer is not None:
            self._reply(token, answer)
            return
        task = asyncio.create_task(self._answer(token))
        self._server.running.add(task)
        task.add_done_callback(self._server.running.discard)

    async def _answer(self, token: str) -> None:
        try:
            if self._method == "GET":
                answer = await self._server.enrolment.answer(token)
            else:
                answer = await self._known(token)
        except Exception as error:
            self._fail(error)
        else:
            self._reply(token, answer)

    async def _known(self, token: str) -> Answer:
        answer = await self._server.enrolment.find(token)
        if answer is None:
            raise UnknownDevice("this device has not asked for its experiments yet")
        return answer

    def _reply(self, token: str, answer: Answer) -> None:
        tag = etag(token, answer)
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Device-Token"}
        if matches(self._headers.get("If-None-Match"), tag):
            self._write(304, headers, b"")
        else:
            self._write(200, headers | {"Content-Type": "application/json"}, answer.body)

    def _fail(self, error: Exception) -> None:
        problem, headers = described(error)
        if problem.status == 500:
            log.error("a request failed", exc_info=error)
        self._write(
            problem.status,
            headers | {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store", "Vary": "Device-Token"},
            problem.json(),
        )

    def _write(self, status: int, headers: dict[str, str], body: bytes) -> None:
        sent = HTTPHeaders(SECURITY_HEADERS | headers)
        if status != 304:
            sent["Content-Length"] = str(len(body))
        chunk = body if self._method == "GET" else b""
        line = ResponseStartLine("HTTP/1.1", status, HTTPStatus(status).phrase)
        self._connection.write_headers(line, sent, chunk)
        self._connection.finish()


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether If-None-Match names this ETag: a list, `*`, or weak (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    candidates = [candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")]
    return "*" in candidates or tag in candidates


def _token(headers: HTTPHeaders) -> str:
    """The device's token. Raises InvalidToken unless there is exactly one."""
    given = headers.get_list("Device-Token")
    if len(given) != 1:
        raise InvalidToken("exactly one Device-Token header is needed")
    return check_token(given[0])
