"""Yardstick (c), the limit: an HTTPMessageDelegate of Tornado's server that answers a constant, under uvloop."""

import asyncio
import socket
import sys
from typing import Any, cast

import uvloop
from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate, HTTPServerConnectionDelegate
from tornado.iostream import IOStream

from benchmarks.yardsticks.bare import BODY

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Constant(HTTPMessageDelegate):
    """Reads nothing and always writes the same bytes."""

    def __init__(self, connection: HTTP1Connection) -> None:
        self._connection = connection

    def finish(self) -> None:
        self._connection.stream.write(RESPONSE)
        self._connection.finish()


class Constants(HTTPServerConnectionDelegate):
    """Makes one for each request."""

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        return Constant(cast(HTTP1Connection, request_conn))


class Stream(IOStream):
    """Leaves Nagle's algorithm off, as abtest's streams do."""

    def set_nodelay(self, value: bool) -> None:
        """Nothing to do."""


class Server(HTTPServer):
    """Uses `Stream` for its connections."""

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        stream.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().handle_stream(Stream(stream.socket), address)


async def main(port: int) -> None:
    """Serve until killed."""
    server = Server(Constants())
    server.conn_params.header_timeout = None  # as in abtest: a time-out costs a timer per request
    server.listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
