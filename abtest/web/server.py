"""The HTTP server of one process: its socket, its limits, its end."""

import asyncio
import logging
import socket

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerConnectionDelegate
from tornado.netutil import bind_sockets

from abtest.web.hot import HotServer

LARGEST_HEADER = 16 * 1024
LARGEST_BODY = 64 * 1024
IDLE_SECONDS = 75.0
BODY_SECONDS = 10.0
BACKLOG = 1024
DRAIN_SECONDS = 7.0

log = logging.getLogger("abtest.web")


def listen(app: HTTPServerConnectionDelegate, address: str, port: int) -> tuple[HTTPServer, int]:
    """A listening server and its port; port 0 takes a free one.

    The port is opened with SO_REUSEPORT: the kernel spreads connections over the processes that share it.
    """
    sockets = bind_sockets(port, address, backlog=BACKLOG, reuse_port=hasattr(socket, "SO_REUSEPORT"))
    server = HTTPServer(
        app,
        max_header_size=LARGEST_HEADER,
        max_body_size=LARGEST_BODY,
        max_buffer_size=LARGEST_HEADER + LARGEST_BODY,
        idle_connection_timeout=IDLE_SECONDS,
        body_timeout=BODY_SECONDS,
    )
    server.add_sockets(sockets)
    return server, int(sockets[0].getsockname()[1])


async def stop_serving(server: HTTPServer, app: HotServer) -> None:
    """Take no more connections and no more devices, answer what was accepted, close."""
    server.stop()
    try:
        await asyncio.wait_for(app.drain(), DRAIN_SECONDS)
    except TimeoutError:
        log.warning("gave up on requests that were still waiting after %g s", DRAIN_SECONDS)
    await server.close_all_connections()
