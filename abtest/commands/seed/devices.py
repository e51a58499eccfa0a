"""Fake devices that a server can't tell from real ones."""

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import click
import msgspec

from abtest.commands.options import print_table, say
from abtest.commands.seed.behaving import Behaviour, Effects, Sending
from abtest.domain import DEFAULT_APP, Attributes, path_of
from abtest.errors import InvalidSetting, Unreachable
from abtest.events import Accepted
from abtest.language import counted, duration, number, percent
from abtest.results import made_up_devices, signed

ATTEMPTS = 5
TIMEOUT_SECONDS = 30.0
LONGEST_PAUSE = 5.0
LONGEST_REFUSAL = 30.0
"""How long devices go on when the server refuses every request, or answers none."""
EXPERIMENTS, EVENTS, STATS = "/api/v1/experiments", "/api/v1/events", "/api/v1/stats"

T = TypeVar("T")


class Devices:
    """Fake devices of an app: each thread keeps one connection open, as apps behind a proxy do."""

    def __init__(self, url: str, behaviour: Behaviour | None, app: str = DEFAULT_APP) -> None:
        try:
            parts = urlsplit(url)
            fits = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and url.isascii()
        except ValueError:  # a port that is no number, or half of an IPv6 address
            fits = False
        if not fits:
            raise InvalidSetting("must look like http://127.0.0.1:8080", field="url")
        self._parts = parts = parts._replace(path=parts.path.rstrip("/") + path_of(app))
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        self._behaviour = behaviour
        self._local = threading.local()
        self._said = made_up_devices([])
        self._lock = threading.Lock()
        self._connections: set[http.client.HTTPConnection] = set()
        self._stop = threading.Event()
        self._heard = False
        self._served_at = time.monotonic()
        self.asked = 0
        self.unanswered = 0
        self.answers: dict[str, Counter[str]] = {}
        self.failures: Counter[str] = Counter()
        self.events = Counter(accepted=0, duplicates=0, purchases=0)

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

    def close(self) -> None:
        """Close the connections; call this when no thread asks any more."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def values(self) -> dict[str, list[str]] | None:
        """The values of every experiment of the server, by key; None if the server doesn't tell."""
        try:
            status, _, answer = self._request("seed", "GET", STATS, None)
            if status == http.HTTPStatus.OK:
                stats = msgspec.json.decode(answer, type=_Stats)
                return {each.key: [variant.value for variant in each.variants] for each in stats.experiments}
        except (OSError, http.client.HTTPException, msgspec.DecodeError):
            self._let_go()
        return None

    def ask_all(self, tokens: Iterator[str], asked: Callable[[], None]) -> None:
        """Ask for one token after another; the threads share the tokens.

        Raises Unreachable, and stops the other threads, when no server has answered anything.
        """
        while True:
            with self._lock:
                token, said = next(tokens, None), next(self._said)
            if token is None or self.stopped:
                return
            self._live(token, said)
            if self.stopped:
                return
            with self._lock:
                asked()

    def _live(self, token: str, said: Attributes) -> None:
        """Let one device ask for its experiments, and report what it did with them."""
        values = self._answer(dict[str, str], token, "GET", EXPERIMENTS, query=urlencode(said.pairs))
        if values is None:
            with self._lock:
                self.unanswered += not self.stopped
            return
        self._count(values)
        if self._behaviour is None:
            return
        sending = self._behaviour.sending(token, values)
        if sending.events:
            accepted = self._answer(Accepted, token, "POST", EVENTS, msgspec.json.encode(sending))
            if accepted is not None:
                self._count_events(accepted, sending)

    def _answer(
        self, kind: type[T], token: str, method: str, path: str, body: bytes | None = None, query: str = ""
    ) -> T | None:
        """What the server answers; asks again after a pause when it is busy or gone. None when it failed."""
        failure, asking = "", f"{method} {self._url}{path}"
        for attempt in range(ATTEMPTS):
            if self.stopped:
                return None
            try:
                status, retry_after, answer = self._request(token, method, f"{path}?{query}" if query else path, body)
                self._heard = True
                if status in {http.HTTPStatus.OK, http.HTTPStatus.ACCEPTED}:
                    self._served_at = time.monotonic()
                    return msgspec.json.decode(answer, type=kind)
            except (OSError, http.client.HTTPException) as error:
                self._let_go()
                reason, pause = _reason(error), 0.2 * 2**attempt
                failure = f"{asking}: {reason}"
            except msgspec.DecodeError:
                failure = f"{asking} answered something that can't be read"
                break
            else:
                wait = float(retry_after) if retry_after and retry_after.isdigit() else 1.0
                failure, pause = f"{asking} answered {status}{_problem(answer)}", min(wait, LONGEST_PAUSE)
                if status < http.HTTPStatus.INTERNAL_SERVER_ERROR and status != http.HTTPStatus.TOO_MANY_REQUESTS:
                    break
            if attempt < ATTEMPTS - 1:
                self._stop.wait(pause)
        if not self._heard and not self.stopped:
            self.stop()
            raise Unreachable(f"no server answers at {self._url}: {reason}; start one with: abtest up")
        with self._lock:
            self.failures[failure] += 1
        if time.monotonic() - self._served_at > LONGEST_REFUSAL:
            self.stop()
        return None

    def result(self, seconds: float) -> dict[str, Any]:
        """What happened, as JSON."""
        events = {} if self._behaviour is None else {"events": dict(self.events)}
        return {
            "devices": self.asked,
            "failed": self.failures.total(),
            "failures": dict(self.failures),
            "seconds": round(seconds, 3),
            "per_second": round(self.asked / seconds),
            **events,
            "experiments": {key: dict(sorted(counts.items())) for key, counts in sorted(self.answers.items())},
        }

    def print(self, seconds: float) -> None:
        """What happened, as text."""
        click.echo(
            f"{counted(self.asked, 'device')} asked in {duration(seconds)}, "
            f"{number(round(self.asked / seconds))} per second"
        )
        if self._behaviour is not None:
            self._print_events(self._behaviour)
        for key, counts in sorted(self.answers.items()):
            click.echo(f"\n{key}")
            rows = [
                [value, number(devices), percent(devices / counts.total(), 2, 2)]
                for value, devices in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
            ]
            print_table(["VALUE", "DEVICES", "PERCENT"], rows, frozenset({1, 2}))
        if not self.answers and not self.failures:
            click.echo("no device is in any experiment")
        for failure, times in self.failures.most_common(5):
            say(f"{counted(times, 'device')} failed: {failure}")

    def _print_events(self, behaviour: Behaviour) -> None:
        counts = self.events
        click.echo(
            f"{counted(counts['accepted'], 'event')} accepted, {counted(counts['duplicates'], 'duplicate')}; "
            f"{counted(counts['purchases'], 'device')} bought"
        )
        often, much = self._given(behaviour.effects), self._given(behaviour.spend_effects)
        paid = f"; on what buyers pay: {much}" if much else ""
        click.echo(f"true effects: {often or 'none'}{paid}")

    def _given(self, effects: Effects) -> str:
        """The effects of values that some device got."""
        return ", ".join(
            f"{key}:{value} {signed(effect)}"
            for (key, value), effect in effects.items()
            if effect and self.answers.get(key, Counter())[value]
        )

    def _request(self, token: str, method: str, path: str, body: bytes | None) -> tuple[int, str | None, bytes]:
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
        headers = {"Device-Token": token} | ({} if body is None else {"Content-Type": "application/json"})
        connection.request(method, self._parts.path + path, body, headers)
        response = connection.getresponse()
        return response.status, response.getheader("Retry-After"), response.read()

    def _let_go(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            with self._lock:
                self._connections.discard(connection)
        self._local.connection = None

    def _count(self, values: dict[str, str]) -> None:
        with self._lock:
            self.asked += 1
            for key, value in values.items():
                self.answers.setdefault(key, Counter())[value] += 1

    def _count_events(self, accepted: Accepted, sending: Sending) -> None:
        with self._lock:
            self.events["accepted"] += accepted.accepted
            self.events["duplicates"] += accepted.duplicates
            self.events["purchases"] += sum(event.name == "purchase" for event in sending.events)


class _Variant(msgspec.Struct):
    value: str


class _Experiment(msgspec.Struct):
    key: str
    variants: list[_Variant]


class _Stats(msgspec.Struct):
    """The part of a server's statistics that is read."""

    experiments: list[_Experiment]


class _Problem(msgspec.Struct):
    detail: str
    code: str


def _problem(answer: bytes) -> str:
    """What a problem document says beside its status; nothing for another answer, which no abtest server gave."""
    try:
        found = msgspec.json.decode(answer, type=_Problem)
    except msgspec.DecodeError:
        return ""
    told = f" {found.code}: {found.detail}"
    return told if told.isprintable() else ""


def _reason(error: OSError | http.client.HTTPException) -> str:
    """Why there was no answer, in words."""
    if not isinstance(error, OSError):
        return "the answer is not HTTP"
    if isinstance(error, TimeoutError) and not error.strerror:
        return f"no answer for {duration(TIMEOUT_SECONDS)}"
    text = error.strerror or str(error)
    return f"{text[:1].lower()}{text[1:]}"
