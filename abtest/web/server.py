"""The HTTP server of one process: its socket, its limits, its end."""

import asyncio
import logging
import resource
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import add_accept_handler, bind_sockets

from abtest.errors import Unavailable
from abtest.settings import Settings
from abtest.web.hot import GUARDED, HotServer
from abtest.web.problems import CONTENT_TYPE, described

READ_CHUNK = 4 * 1024
BACKLOG = 1024
SPARE_FILES = 100
DRAIN_SECONDS = 7.0

_full, _headers = described(Unavailable("too many connections; try again", code="too_many_connections"))
_headers |= GUARDED | {
    "Content-Type": CONTENT_TYPE,
    "Cache-Control": "no-store",
    "Content-Length": str(len(_full.json())),
    "Connection": "close",
}
TOO_MANY_CONNECTIONS = (
    "HTTP/1.1 503 Service Unavailable\r\n"
    + "".join(f"{name}: {value}\r\n" for name, value in _headers.items())
    + "\r\n"
).encode() + _full.json()

log = logging.getLogger("abtest.web")


class Stream(IOStream):
    """A connection with Nagle's algorithm off for good: it inherits that from the listening socket.

    Tornado turns it off and on around every answer, which costs two system calls.
    """

    def set_nodelay(self, value: bool) -> None:
        """Nothing to do."""


class Server(HTTPServer):
    """Tornado's HTTP server on those streams; it tells the app when a connection ends."""

    app: HotServer
    _listening: list[tuple[socket.socket, Callable[[], None]]]

    def take(self, sockets: list[socket.socket]) -> None:
        """Begin to accept connections."""
        self._listening = [(each, add_accept_handler(each, self._accepted)) for each in sockets]

    def stop(self) -> None:
        """Take no more connections than those that the kernel has accepted: closing a port would end them.

        Nothing lies between the last of them and the close, since what comes there is lost.
        """
        for each, remove_handler in self._listening:
            remove_handler()
            with suppress(BlockingIOError):
                while True:
                    self._accepted(*each.accept())
            each.close()
        self._listening = []

    def _accepted(self, connection: socket.socket, address: Any) -> None:
        self.handle_stream(IOStream(connection), address)

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        if self.app.full():
            # Written at once or not at all: there is nothing to wait for.
            stream.write(TOO_MANY_CONNECTIONS)
            stream.close()
            return
        super().handle_stream(Stream(stream.socket, self.max_buffer_size, self.read_chunk_size), address)

    def on_close(self, server_conn: object) -> None:
        super().on_close(server_conn)
        self.app.closed(server_conn)


def listen(app: HotServer, settings: Settings, port: int) -> tuple[Server, int]:
    """A listening server and its port; port 0 takes a free one.

    The port is opened with SO_REUSEPORT: the kernel spreads connections over the processes that share it.
    `app` closes connections that are idle or trickle their headers: Tornado's own time-out costs a timer per request.
    """
    _allow_files(settings.connections + SPARE_FILES)
    sockets = bind_sockets(port, settings.address, backlog=BACKLOG, reuse_port=hasattr(socket, "SO_REUSEPORT"))
    for each in sockets:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = Server(
        app,
        max_header_size=settings.header_limit,
        max_body_size=sys.maxsize,  # the app refuses a large one with an answer, where Tornado would only hang up
        max_buffer_size=settings.header_limit + 2 * READ_CHUNK,
        chunk_size=READ_CHUNK,
        body_timeout=settings.body_timeout,
    )
    server.app = app
    server.conn_params.header_timeout = None
    server.take(sockets)
    app.start()
    return server, int(sockets[0].getsockname()[1])


def _allow_files(number: int) -> None:
    """Let this process open so many files, as far as it may: each connection is one, and the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def stop_serving(server: Server, app: HotServer) -> None:
    """Take no more connections and no more devices, answer what was accepted, close."""
    server.stop()
    try:
        await asyncio.wait_for(app.drain(), DRAIN_SECONDS)
    except TimeoutError:
        log.warning("gave up on requests that were still waiting after %g s", DRAIN_SECONDS)
    await server.close_all_connections()
