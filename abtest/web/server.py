"""The HTTP server of one process: its sockets, its limits, and how it stops."""

import asyncio
import logging
import resource
import socket
import sys
from asyncio import Future
from collections.abc import Sequence
from contextlib import suppress
from time import time
from traceback import walk_tb
from typing import Any

from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import format_timestamp
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, UnsatisfiableReadError
from tornado.netutil import bind_sockets

from abtest.domain import TOKEN_RULE
from abtest.errors import CannotStart, InvalidSetting, InvalidToken, Unavailable
from abtest.settings import Settings
from abtest.web.base_path import stripped
from abtest.web.hot import HotServer
from abtest.web.origins import methods
from abtest.web.problems import CONTENT_TYPE, Problem, described, problem, unreadable
from abtest.web.ways import GUARDED

READ_CHUNK = 4 * 1024
MOST_LEFT = 1024 * 1024
BACKLOG = 1024
BOTH = {"::": ("::", "0.0.0.0")}
"""An IPv6 socket accepts only IPv6 connections."""
FEWEST_ACCEPTED, ACCEPTED_PART = 2, 8
"""One round of the loop accepts two connections, or more: one for every eight open ones. With fewer, connections that
arrive together would wait until a request of each one before them is answered; with more, the first of several
processes would take all of them."""
LISTENING = IOLoop.READ | IOLoop.ERROR
ACCEPT_PAUSE_SECONDS = 1.0
SPARE_FILES = 100
DRAIN_SECONDS = 7.0
"""Less than abtest.supervisor's LAST_SECONDS, after which a process ends whatever it is waiting for."""

TORNADOS_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\n\r\n"
FULL = Unavailable("too many connections; try again", code="too_many_connections")

log = logging.getLogger("abtest.web")


class Stream(IOStream):
    """A connection that answers a request that can't be read, where Tornado would only close it.

    Nagle's algorithm is always off: a connection inherits that from the listening socket. Tornado would turn it off
    and on around every answer, which costs two system calls.
    """

    def __init__(self, connection: socket.socket, server: "Server") -> None:
        super().__init__(connection, server.max_buffer_size, server.read_chunk_size)
        self._app = server.app

    def _handle_events(self, fd: Any, events: int) -> None:
        """Tornado stops listening when data arrives that nobody reads yet, and listens again right afterwards.

        These are two system calls for nearly every body, and for every request that comes just after an answer. This
        stream stops listening only when still more data arrives, so that its buffer stays bounded.
        """
        if events == IOLoop.READ and self._state == LISTENING and not self._read_buffer_size:
            try:
                self._handle_read()
            except UnsatisfiableReadError as error:
                self.close(exc_info=error)
        else:
            super()._handle_events(fd, events)

    def part(self, document: Problem, headers: dict[str, str] | None = None, head: bytes = b"") -> "Future[None]":
        """Answer with this problem; the connection is closed afterwards. `head`: what is known of the request."""
        self._app.monitoring.refused(document.code)
        # The origin of the request is not known.
        origins = self._app.origins
        cors = origins.headers(origins.allowed(None)) if methods(self._path(head)) else {}
        return super().write(parting(document, (headers or {}) | cors))

    def _path(self, head: bytes) -> str:
        _, target, *_ = [*head.split(maxsplit=2), b"", b""]
        return stripped(self._app.base_path, target.decode("latin-1")).partition("?")[0]

    def set_nodelay(self, value: bool) -> None:
        """Nothing to do."""

    def write(self, data: bytes | memoryview) -> "Future[None]":
        if data == TORNADOS_BAD_REQUEST:
            error = sys.exception()
            return self.part(_unreadable(error), head=_local(error, "header_data", b""))
        return super().write(data)

    def close(self, exc_info: Any = False) -> None:
        if isinstance(exc_info, UnsatisfiableReadError) and not self.closed():
            document = problem(431, "headers_too_large", "the headers are larger than the server accepts")
            self.part(document, head=bytes(self._read_buffer))
            if not self.closed():
                with suppress(OSError):
                    self.socket.recv(MOST_LEFT)  # with unread bytes the kernel would discard the answer
        super().close(exc_info)


def parting(document: Problem, headers: dict[str, str] | None = None) -> bytes:
    """The whole answer with a problem, for a connection that is then closed."""
    body = document.json()
    sent = GUARDED | {
        "Date": format_timestamp(time()),
        "Content-Type": CONTENT_TYPE,
        "Cache-Control": "no-store",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    sent |= headers or {}
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"HTTP/1.1 {document.status} {document.title}\r\n{lines}\r\n".encode() + body


def _local(error: BaseException | None, name: str, default: Any = None) -> Any:
    """The variable of this name in the innermost function that an error came through and that has one."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)] if error else []
    return next((frame.f_locals[name] for frame in reversed(frames) if name in frame.f_locals), default)


def _unreadable(error: BaseException | None) -> Problem:
    """Tornado's error does not name the header, but the function that raised it knows the name."""
    if str(_local(error, "name")).lower() == "device-token":
        return described(InvalidToken(TOKEN_RULE))[0]
    return unreadable()


class Server(HTTPServer):
    """Tornado's HTTP server with these streams; it tells the app when a connection ends."""

    app: HotServer
    _listening: list[socket.socket]

    def take(self, sockets: list[socket.socket]) -> None:
        """Begin to accept connections."""
        self._listening = sockets
        for each in sockets:
            self._watch(each)

    def stop(self) -> None:
        """Take only the connections that the kernel has already accepted: they would end when the port is closed.

        The socket is closed right after the last of them, since a connection that comes in between is lost.
        """
        for each in self._listening:
            IOLoop.current().remove_handler(each)
            with suppress(OSError):  # no connection is left, or no file descriptor for one
                while True:
                    self._accepted(*each.accept())
            each.close()
        self._listening = []

    def _watch(self, listening: socket.socket) -> None:
        if listening in self._listening:
            IOLoop.current().add_handler(listening, self._accept, IOLoop.READ)

    def _accept(self, listening: socket.socket, events: int) -> None:
        try:
            for _ in range(max(FEWEST_ACCEPTED, self.app.connections.open // ACCEPTED_PART)):
                self._accepted(*listening.accept())
        except (BlockingIOError, ConnectionAbortedError):
            pass  # no connection is left, or another process was faster
        except OSError as error:
            log.error("cannot accept connections for %g s: %s", ACCEPT_PAUSE_SECONDS, error.strerror)
            IOLoop.current().remove_handler(listening)
            IOLoop.current().call_later(ACCEPT_PAUSE_SECONDS, self._watch, listening)

    def _accepted(self, connection: socket.socket, address: Any) -> None:
        stream = Stream(connection, self)
        if self.app.connections.full():
            # Written at once or not at all, so there is nothing to wait for.
            stream.part(*described(FULL))
            stream.close()
        else:
            self.handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        super().on_close(server_conn)
        assert isinstance(server_conn, HTTP1ServerConnection)
        self.app.connections.closed(server_conn)


def open_port(address: str, port: int) -> list[socket.socket]:
    """Sockets that listen on these addresses or names, separated by commas; a name stands for all its addresses.

    :: means every address, 0.0.0.0 every IPv4 address. Port 0 picks a free port, the same for all. Raises
    InvalidSetting for an invalid address, and CannotStart when another program has the port.
    """
    names = [each.strip() for each in address.split(",")]
    if not all(names):
        raise InvalidSetting("address: must not be empty; use :: for every address")
    sockets: list[socket.socket] = []
    for name in dict.fromkeys(part for each in names for part in BOTH.get(each, (each,))):
        try:
            sockets += bind_sockets(port_of(sockets) if sockets else port, name, backlog=BACKLOG)
        except UnicodeError as error:
            raise InvalidSetting(f"address: {name} is neither an address nor the name of a machine") from error
        except OSError as error:
            raise CannotStart(f"cannot listen on {name}, port {port}: {error.strerror or error}") from error
    for each in sockets:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sockets


def port_of(sockets: Sequence[socket.socket]) -> int:
    """The port of these sockets."""
    return int(sockets[0].getsockname()[1])


def listen(app: HotServer, settings: Settings, sockets: list[socket.socket]) -> Server:
    """A server that accepts connections on these sockets, and closes them when it stops.

    `app` closes connections that are idle or send headers or bodies too slowly: Tornado's own time-outs cost a timer
    per request, and its time-out for bodies a task as well.
    """
    files = _allow_files(app.connections.most + SPARE_FILES)
    if files < app.connections.most + SPARE_FILES:
        app.connections.most = max(files // 2, files - SPARE_FILES)
        log.warning("at most %d connections: the system allows %d open files", app.connections.most, files)
    server = Server(
        app,
        max_header_size=settings.header_limit,
        max_body_size=sys.maxsize,  # the app answers a larger one, where Tornado would only close the connection
        max_buffer_size=settings.header_limit + 2 * READ_CHUNK,
        chunk_size=READ_CHUNK,
    )
    server.app = app
    server.conn_params.header_timeout = None
    server.take(sockets)
    app.connections.start()
    return server


def _allow_files(number: int) -> int:
    """Raise the number of files that this process may open, as far as the system allows; returns the number.

    Each connection is a file, and the usual limit is 1,024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


async def stop_serving(server: Server) -> None:
    """Take no more connections or devices, answer the accepted requests, and close."""
    server.stop()
    server.conn_params.no_keep_alive = True
    try:
        await asyncio.wait_for(server.app.drain(), DRAIN_SECONDS)
    except TimeoutError:
        log.warning("gave up on requests that were still waiting after %g s", DRAIN_SECONDS)
    await server.close_all_connections()
