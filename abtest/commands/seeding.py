"""seed: fake devices through real HTTP."""

import http.client
import os
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from abtest.commands.options import as_json, option, print_json, print_table, say
from abtest.errors import InvalidSetting
from abtest.models import check_token
from abtest.settings import ADDRESS, PORT, Settings

ATTEMPTS = 5
TIMEOUT_SECONDS = 30.0
LONGEST_PAUSE = 5.0
PATH = "/api/v1/experiments"


@click.command()
@click.argument("count", type=click.IntRange(1, 100_000_000))
@option("--url", help="The server to ask; else the one that ABTEST_ADDRESS and ABTEST_PORT name, or the default.")
@option(
    "--prefix", help="Tokens are this text and a number, so that the same devices ask again; else they are UUIDs."
)
@option("--concurrency", default=32, type=click.IntRange(1, 1000), help="Requests at the same time.")
@as_json
def seed(count: int, url: str | None, prefix: str | None, concurrency: int, as_json: bool) -> None:
    """Let COUNT fake devices ask for their experiments, through real HTTP requests.

    \b
    abtest seed 600
    abtest seed 600 --prefix phone-        the same 600 devices each time
    """
    if prefix is not None:
        check_token(f"{prefix}{count}")
    devices = _Devices(url or _own_server())
    tokens = _tokens(count, prefix)
    began = time.monotonic()
    with (
        click.progressbar(length=count, label="asking", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar,
        ThreadPoolExecutor(concurrency) as pool,
    ):
        try:
            for asking in [
                pool.submit(devices.ask_all, tokens, lambda: bar.update(1)) for _ in range(min(concurrency, count))
            ]:
                asking.result()
        except KeyboardInterrupt:
            devices.stop()
    seconds = time.monotonic() - began
    if as_json:
        print_json(devices.result(seconds))
    else:
        devices.print(seconds)
    if devices.stopped:
        say(f"stopped before the other {count - devices.asked:,}")
    if devices.failures or devices.stopped:
        raise click.exceptions.Exit(1)


COMMANDS = (seed,)


class _Devices:
    """Fake devices: each thread keeps one connection open, as apps behind a proxy do."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidSetting("url: must look like http://127.0.0.1:8080")
        self._parts = parts
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: set[http.client.HTTPConnection] = set()
        self._stop = threading.Event()
        self.asked = 0
        self.answers: dict[str, Counter[str]] = {}
        self.failures: Counter[str] = Counter()

    @property
    def stopped(self) -> bool:
        """Whether it was stopped."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Let every thread end, even one whose server does not answer."""
        self._stop.set()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def ask_all(self, tokens: Iterator[str], asked: Callable[[], None]) -> None:
        """Take tokens, which other threads take from as well, and ask for each."""
        while True:
            with self._lock:
                token = next(tokens, None)
            if token is None or self.stopped:
                return
            self.ask(token)
            if self.stopped:
                return
            with self._lock:
                self.asked += 1
                asked()

    def ask(self, token: str) -> None:
        """One device's request; asks again after a pause when the server is busy or gone."""
        failure = ""
        for attempt in range(ATTEMPTS):
            if self.stopped:
                return
            try:
                status, retry_after, body = self._request(token)
                if status == http.HTTPStatus.OK:
                    self._count(msgspec.json.decode(body, type=dict[str, str]))
                    return
            except (OSError, http.client.HTTPException) as error:
                self._let_go()
                failure, pause = f"{type(error).__name__}: {error}", 0.2 * 2**attempt
            except msgspec.DecodeError:
                failure = "answered something that is not an object of texts"
                break
            else:
                wait = float(retry_after) if retry_after and retry_after.isdigit() else 1.0
                failure, pause = f"answered {status}", min(wait, LONGEST_PAUSE)
                if status < http.HTTPStatus.INTERNAL_SERVER_ERROR and status != http.HTTPStatus.TOO_MANY_REQUESTS:
                    break
            if attempt < ATTEMPTS - 1:
                self._stop.wait(pause)
        with self._lock:
            self.failures[failure] += 1

    def result(self, seconds: float) -> dict[str, Any]:
        """What happened, as JSON."""
        return {
            "devices": self.asked,
            "failed": self.failures.total(),
            "failures": dict(self.failures),
            "seconds": round(seconds, 3),
            "per_second": round(self.asked / seconds),
            "experiments": {key: dict(sorted(counts.items())) for key, counts in sorted(self.answers.items())},
        }

    def print(self, seconds: float) -> None:
        """What happened, as text."""
        click.echo(f"{self.asked:,} devices asked in {seconds:.1f} s, {self.asked / seconds:,.0f} per second")
        for key, counts in sorted(self.answers.items()):
            click.echo(f"\n{key}")
            rows = [
                [value, f"{devices:,}", f"{100 * devices / counts.total():.2f} %"]
                for value, devices in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
            ]
            print_table(["VALUE", "DEVICES", "PERCENT"], rows, frozenset({1, 2}))
        if not self.answers and not self.failures:
            click.echo("no device is in an experiment")
        for failure, times in self.failures.most_common(5):
            say(f"{times:,} failed: {failure}")

    def _request(self, token: str) -> tuple[int, str | None, bytes]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
            connection = kind(self._parts.hostname or "", self._parts.port, timeout=TIMEOUT_SECONDS)
            connection.connect()
            with self._lock:
                if self.stopped:
                    connection.close()
                    raise ConnectionAbortedError("stopped")
                self._connections.add(connection)
            self._local.connection = connection
        connection.request("GET", self._parts.path.rstrip("/") + PATH, headers={"Device-Token": token})
        response = connection.getresponse()
        return response.status, response.getheader("Retry-After"), response.read()

    def _let_go(self) -> None:
        with self._lock:
            self._connections.discard(getattr(self._local, "connection", None))
        self._local.connection = None

    def _count(self, values: dict[str, str]) -> None:
        with self._lock:
            for key, value in values.items():
                self.answers.setdefault(key, Counter())[value] += 1


def _own_server() -> str:
    address, port = (os.environ.get(setting.variable, str(setting.default)) for setting in (ADDRESS, PORT))
    if not port.isdecimal():
        raise InvalidSetting(f"{PORT.variable}: must be a number")
    return Settings(address=address).url(int(port))


def _tokens(count: int, prefix: str | None) -> Iterator[str]:
    for number in range(1, count + 1):
        yield str(uuid.uuid4()) if prefix is None else f"{prefix}{number}"
