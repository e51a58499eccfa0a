"""Real processes of the product: starting, reading, killing and always ending them."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import IO

import msgspec
import pytest

SECONDS = 600


def url_of(database: Path | str) -> str:
    """The URL of a database, which may be a file of SQLite."""
    return database if isinstance(database, str) else f"sqlite:///{database}"


class Abtest:
    """A running `abtest` on a database, whose messages can be waited for."""

    def __init__(self, database: Path | str, *arguments: str) -> None:
        """`database`: a file of SQLite, or a URL."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "abtest", "--database", url_of(database), *arguments],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._unread: list[str] = []
        self._lines: Queue[str | None] = Queue()
        assert self.process.stderr is not None
        Thread(target=self._read, args=(self.process.stderr,), daemon=True).start()

    def __enter__(self) -> "Abtest":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first message that matches and was not waited for before: what processes say comes in any order."""
        seen = 0
        while True:
            for place, line in enumerate(self._unread[seen:], start=seen):
                if found := re.search(pattern, line):
                    del self._unread[place]
                    return found
            seen = len(self._unread)
            try:
                more = self._lines.get(timeout=SECONDS)
            except Empty:
                raise AssertionError(f"did not say {pattern!r}: {self.said}") from None
            assert more is not None, f"ended before it said {pattern!r}: {self.said}"
            self._unread.append(more)

    def port(self) -> int:
        """The port, once it is said."""
        self.port_number = int(self.wait_for(r"http://127\.0\.0\.1:(\d+)")[1])
        return self.port_number

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def children(self) -> list[int]:
        """The processes that it started and that run."""
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
        rows = [line.split() for line in listed.stdout.splitlines()]
        return [int(pid) for pid, parent, state in rows if int(parent) == self.process.pid and state[0] != "Z"]

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self.said.append(line)
                self._lines.put(line)
        self._lines.put(None)


class Device:
    """Asks one server over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)

    def ask(self, token: str) -> dict[str, str]:
        """What this device gets; OSError or HTTPException when the server goes away meanwhile."""
        self._connection.request("GET", "/api/v1/experiments", headers={"Device-Token": token})
        response = self._connection.getresponse()
        body = response.read()
        assert response.status == 200, body
        return msgspec.json.decode(body, type=dict[str, str])

    def close(self) -> None:
        self._connection.close()


def run(database: Path | str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "abtest", "--database", url_of(database), *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def runs(pid: int) -> bool:
    """Whether this process runs; one that ended and waits for its parent does not."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")


def free_port() -> int:
    """One on which nothing listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def certify(folder: Path) -> None:
    """Make a key and a certificate for this machine, key.pem and cert.pem, that nobody knows of."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    line = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    line += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(line, check=True, capture_output=True, cwd=folder)


def wait_until_answering(port: int) -> None:
    """Return when a process listens on the port."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
