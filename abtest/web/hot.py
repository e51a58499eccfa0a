"""Apps that ask for their experiments are answered without a RequestHandler; all else goes to the Application."""

import asyncio
import logging
from collections.abc import Awaitable
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
)
from tornado.iostream import IOStream

from abtest.domain import APPS, DEFAULT_APP, DEFAULT_APP_ID, SEPARATOR, check_token, scoped
from abtest.enrolment import Answer, EnrolmentService, Proxies
from abtest.errors import TooLarge, UnknownDevice
from abtest.settings import Settings
from abtest.web import ofrep
from abtest.web.base_path import in_app, stripped
from abtest.web.connections import Connections
from abtest.web.monitoring import Monitoring
from abtest.web.origins import Origins, methods
from abtest.web.problems import described
from abtest.web.reading import header, matches, names_host, origin_form
from abtest.web.ways import PATH, PLAIN, Response, Way, unchanged

MOST_READY = 10_000
PLACE = '"@"'
"""Stands for the ETag in a rendered response."""
LONGEST_LENGTH = 18
"""The most digits of a Content-Length: `int` is slow for very many."""
MOST_READ_ON = 4 * 1024 * 1024
READ_ON_SECONDS = 2.0
KEEP = {"", "keep-alive"}
NO_HEADERS = HTTPHeaders()

log = logging.getLogger("abtest.web")


class HotServer(HTTPServerConnectionDelegate):
    """Stands in front of an application, and answers the requests of apps itself."""

    def __init__(
        self,
        enrolment: EnrolmentService,
        application: HTTPServerConnectionDelegate,
        monitoring: Monitoring,
        settings: Settings,
        origins: Origins,
        proxies: Proxies,
    ) -> None:
        self.enrolment = enrolment
        self.application = application
        self.monitoring = monitoring
        self.body_limit = settings.body_limit
        self.connections = Connections(settings.connections, settings.idle_timeout, settings.body_timeout)
        self._proxies = proxies
        self.base_path = settings.base_path
        self.origins = origins
        self._ready: dict[tuple[str, int | None, str, bool, str | None], bytes] = {}
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
        return self._proxies.source(address, header(headers, "X-Forwarded-For"))

    def ready(
        self, way: Way, app: int | None, answer: Answer, tag: str | None, known: bool, origin: str | None
    ) -> bytes:
        """The bytes of the response with an app's answer, or of a 304 if the client has the answer already (`known`).

        `tag`: the ETag, unless devices with equal answers share it. `origin`: the allowed one. The response contains
        the Date, so it is rendered once a second. Two apps may give a key the same text with different types.
        """
        now = int(time())
        if now != self._second or len(self._ready) >= MOST_READY:
            self._second = now
            self._ready.clear()
        asked = (way.name, app, answer.etag, known, origin)
        ready = self._ready.get(asked)
        if ready is None:
            response = way.response(answer, way.etag(answer, "") if way.shared else PLACE)
            ready = (unchanged(response) if known else response).rendered(self.origins.headers(origin))
            self._ready[asked] = ready
        return ready if way.shared or tag is None else ready.replace(PLACE.encode(), tag.encode(), 1)

    async def drain(self) -> None:
        """Answer the requests that are under way, each as the last of its connection, then take no more devices.

        Returns when every request whose headers have arrived is answered.
        """
        await self.connections.last_call()
        await self.enrolment.drain()
        await self.connections.all_answered()


class _Message(HTTPMessageDelegate):
    """One request. The first values are those of the class, because an instance is made for each request."""

    _other: HTTPMessageDelegate | None = None
    _way: Way = PLAIN
    _app: int | None = DEFAULT_APP_ID
    _app_key = DEFAULT_APP
    _preflight: Response | None = None
    _device = _method = _version = _query = ""
    _origin: str | None = None
    _plain = _too_large = False
    _body_size = 0
    _headers = NO_HEADERS
    _began = 0.0

    def __init__(self, server: HotServer, server_conn: ServerConnection, connection: Connection) -> None:
        self._server = server
        self._server_conn = server_conn
        self._connection = connection
        self._body: list[bytes] = []

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        self._server.connections.answers(self._server_conn)
        if not names_host(headers.get("Host"), start_line.version):
            raise HTTPInputError("no Host header, or an invalid one")
        if not start_line.path.startswith("/"):
            start_line = start_line._replace(path=origin_form(start_line.path))
        if self._server.base_path:
            start_line = start_line._replace(path=stripped(self._server.base_path, start_line.path))
        self._method, self._version, self._headers = start_line.method, start_line.version, headers
        # Whether no header of the response depends on the request.
        self._plain = (
            start_line.method != "HEAD"
            and start_line.version == "HTTP/1.1"
            and header(headers, "Connection").lower() in KEEP
        )
        path, _, self._query = start_line.path.partition("?")
        if methods(path):
            self._origin = self._server.origins.allowed(header(headers, "Origin"))
            if start_line.method == "OPTIONS" and self._server.origins.any:
                self._preflight = self._server.origins.preflight(path)
                return None
        if path.startswith(APPS):
            self._app_key, path = in_app(path)
            self._app = self._server.enrolment.app(self._app_key)
        way: Way | None = PLAIN if path == PATH else ofrep.asked(path)
        self._way = way or PLAIN
        self._began = perf_counter()
        length = header(headers, "Content-Length")
        if length.isdecimal() and (len(length) > LONGEST_LENGTH or int(length) > self._server.body_limit):
            self._refuse_body()
        elif way is None or start_line.method not in way.methods:
            self._other = self._server.application.start_request(self._server_conn, self._connection)
            return self._other.headers_received(start_line, headers)
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._body_size += len(chunk)
        if not self._too_large and self._body_size > self._server.body_limit:
            self._refuse_body()
        if self._too_large and self._body_size > MOST_READ_ON:
            self._connection.finish()
        if self._other:
            return self._other.data_received(chunk)
        if not self._too_large:
            self._body.append(chunk)
        return None

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
        if self._preflight:
            self._write(self._preflight)
            return
        if self._app is None:
            asked = asyncio.ensure_future(self._server.enrolment.find_app(self._app_key))
            asked.add_done_callback(self._found_app)
            return
        try:
            body = b"".join(self._body)
            token, app = self._way.token(self._headers, body), self._app
            if SEPARATOR in token:  # else it might be the stored form of another app's token
                check_token(token)
            self._device = token if app == DEFAULT_APP_ID else scoped(app, token)
            answer = self._server.enrolment.cached(self._device)
            if answer is not None:
                self._reply(self._way, answer)
                self._server.monitoring.cached(perf_counter() - self._began)
                return
            check_token(token)
            if self._method == "HEAD":
                finding = asyncio.ensure_future(self._server.enrolment.find(token, app))
                finding.add_done_callback(self._decided)
            else:
                source = self._server.source(self._connection, self._headers)
                attributes = self._way.attributes(self._query, body)
                self._server.enrolment.ask(token, source, attributes, app).add_done_callback(self._decided)
        except Exception as error:
            self._fail(error)

    def _found_app(self, finding: "asyncio.Task[int]") -> None:
        """Go on: other processes may have created the app a moment ago."""
        try:
            self._app = finding.result()
        except Exception as error:
            self._fail(error)
        else:
            self.finish()

    def _decided(self, waiting: "asyncio.Future[Answer] | asyncio.Future[Answer | None]") -> None:
        try:
            answer = waiting.result()
            if answer is None:
                raise UnknownDevice("this device has not asked for its experiments yet")
            self._reply(self._way, answer)
            self._server.monitoring.stored(perf_counter() - self._began)
        except Exception as error:
            self._fail(error)

    def _reply(self, way: Way, answer: Answer) -> None:
        asked = header(self._headers, "If-None-Match")
        tag = way.etag(answer, self._device) if asked or not way.shared else None
        known = bool(asked and tag and matches(asked, tag))
        if self._plain and not self._server.connections.draining:
            self._send(self._server.ready(way, self._app, answer, tag, known, self._origin))
        else:
            response = way.response(answer, way.etag(answer, self._device))
            self._write(unchanged(response) if known else response)

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
        self._say(self._refusal(TooLarge(f"the body must have at most {self._server.body_limit} bytes")))
        if "Expect" in self._headers:  # a client that asks before it sends a body sends none after this answer
            self._connection.finish()

    def _fail(self, error: BaseException) -> None:
        response = self._refusal(error)
        if self._plain and not self._server.connections.draining:
            self._send(response.rendered(self._server.origins.headers(self._origin)))
        else:
            self._write(response)

    def _refusal(self, error: BaseException) -> Response:
        problem, headers = described(error)
        self._server.monitoring.refused(problem.code)
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("a request failed", exc_info=error)
        return self._way.refusal(problem, headers)

    def _write(self, response: Response) -> None:
        self._say(response)
        self._connection.finish()

    def _say(self, response: Response) -> None:
        headers = HTTPHeaders(response.all_headers(self._server.origins.headers(self._origin)))
        if self._server.connections.draining:
            headers["Connection"] = "close"
        self._connection.write_headers(
            ResponseStartLine("HTTP/1.1", response.status, response.status.phrase),
            headers,
            b"" if self._method == "HEAD" else response.body,
        )
