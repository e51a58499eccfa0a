"""A network between clients and a server, with the faults that networks have."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from msgspec import Struct

PATIENCE = 30.0


class Request(Struct, frozen=True):
    """What a client sent, and when."""

    method: str
    path: str
    token: str
    body: bytes
    at: float

    @property
    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = msgspec.json.decode(self.body)["events"]
        return found


class Network:
    """Passes requests to the port of a server. `faults`: by method, what it does instead.

    `pages`: what it answers itself, by path. `heals_after`: after how many requests the faults are over.

    `busy`: 503 with a Retry-After of a second. `slow`: the answer is held back until `go_on`. `half`: half of the
    answer. `lost`: the request arrives, the answer does not. `portal`, `foreign`: 200 from something else, as HTML
    and as JSON. `moved`: a redirect.
    """

    def __init__(self, server: int) -> None:
        self.server = server
        self.faults: dict[str, str] = {}
        self.requests: list[Request] = []
        self.pages: dict[str, str] = {}
        self.heals_after = -1
        self.go_on = threading.Event()
        self._port = 0
        self._running: ThreadingHTTPServer | None = None
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def of(self, method: str) -> list[Request]:
        """The requests with this method."""
        return [each for each in self.requests if each.method == method]

    def fault(self, method: str) -> str | None:
        """What happens to the next request."""
        if self.heals_after == 0:
            self.faults = {}
        self.heals_after -= 1
        return self.faults.get(method)

    def up(self) -> None:
        """Take connections, always on the same port."""
        network = self

        class Handler(_Handler):
            def handle_one_request(self) -> None:
                self.network = network
                super().handle_one_request()

        self._running = _Server(("127.0.0.1", self._port), Handler)
        self._port = self._running.server_port
        threading.Thread(target=self._running.serve_forever, args=(0.01,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections."""
        if self._running is not None:
            self._running.shutdown()
            self._running.server_close()
            self._running = None


@contextmanager
def network(server: int) -> Iterator[Network]:
    """A network that ends with the block."""
    made = Network(server)
    try:
        yield made
    finally:
        made.go_on.set()
        made.down()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, *_: Any) -> None:
        """A client that was killed is no error."""


class _Handler(BaseHTTPRequestHandler):
    network: Network

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def log_message(self, *_: Any) -> None:
        """Tests read `requests`."""

    def _pass_on(self) -> None:
        if self.path in self.network.pages:
            self._answer(200, {"Content-Type": "text/html"}, self.network.pages[self.path].encode())
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = self.headers["Device-Token"]
        self.network.requests.append(Request(self.command, self.path, token, body, time.monotonic()))
        fault = self.network.fault(self.command)
        match fault:
            case "busy":
                self._answer(503, {"Retry-After": "1"}, b"{}")
            case "portal":
                self._answer(200, {}, b"<html>Sign in to this Wi-Fi</html>")
            case "foreign":
                self._answer(200, {}, b'{"error":{"code":7}}')
            case "moved":
                self._answer(302, {"Location": "/elsewhere"}, b"")
            case _:
                self._forward(body, fault)

    def _forward(self, body: bytes, fault: str | None) -> None:
        connection = HTTPConnection("127.0.0.1", self.network.server, timeout=PATIENCE)
        wanted = ("Device-Token", "Content-Type", "If-None-Match")
        headers = {name: self.headers[name] for name in wanted if name in self.headers}
        try:
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, HTTPException):
            return  # the server is away: so is its answer
        finally:
            connection.close()
        if fault == "slow":
            self.network.go_on.wait(PATIENCE)
        if fault != "lost":
            kept = {name: response.headers[name] for name in ("ETag", "Retry-After") if name in response.headers}
            self._answer(response.status, kept, answer, len(answer) // 2 if fault == "half" else None)

    def _answer(self, status: int, headers: dict[str, str], body: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
