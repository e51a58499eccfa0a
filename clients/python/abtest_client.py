# SPDX-License-Identifier: MIT
"""A client of abtest for Python 3.11 and newer, in one file without dependencies. Read it, then paste or install it.

    abtest = Abtest("https://abtest.example.com", "/var/lib/my-service/abtest", {"platform": "linux"})
    color = abtest.value("button_color", default="#5A6270")
    abtest.shown("button_color", color)  # when a person sees it
    abtest.track("purchase", amount="9.99")
    abtest.close()  # when the program ends

Values are fixed for a whole start. A start uses the values of the last answer at once, and fetches a fresh answer
for the next start. Only the first start waits for an answer, at most `timeout` seconds; if none comes, it goes on
with the code's defaults. Events are kept in the folder until the server has confirmed them. Nothing here raises
because of the network or the disk; what goes wrong is logged.
"""

import json
import logging
import os
import random
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from http.client import HTTPException
from pathlib import Path
from typing import Any

BATCH_EVENTS, BATCH_BYTES = 500, 64 * 1024
FILE_EVENTS = 100
LONGEST_ANSWER = 1024 * 1024
LONGEST_PAUSE, LONGEST_RETRY_AFTER = 300.0, 86_400.0
REFUSED = {400, 413, 415, 422}
"""Statuses with which the server refuses the same events every time."""

log = logging.getLogger("abtest")


class Abtest:
    """The values of this start, and the events that wait to be sent. Any thread may call its methods.

    `url`: that of the server, or of one of its apps. `folder`: used by this device alone. `attributes`: what the
    device says about itself in its first request. Times are in seconds. The first start waits for at most `timeout`,
    each request for at most `request_timeout`. Events are sent every `send_every`. After a failure comes a `pause`,
    which doubles up to 5 minutes. When more than `most_events` events wait, the oldest are dropped.

    `dropped`: how many events of this start were dropped because too many were waiting. `rejected`: how many were
    dropped because the server refuses them.
    """

    def __init__(
        self,
        url: str,
        folder: str | Path,
        attributes: Mapping[str, str] | None = None,
        *,
        timeout: float = 2.0,
        request_timeout: float = 10.0,
        send_every: float = 5.0,
        pause: float = 1.0,
        most_events: int = 10_000,
    ) -> None:
        self.dropped = self.rejected = 0
        query = urllib.parse.urlencode(attributes or {})
        self._experiments = f"{url.rstrip('/')}/api/v1/experiments{'?' if query else ''}{query}"
        self._events = f"{url.rstrip('/')}/api/v1/events"
        self._request_timeout, self._send_every, self._pause = request_timeout, send_every, pause
        self._most_events, self._most_in_batch = most_events, BATCH_EVENTS
        self._http = urllib.request.build_opener(_NoRedirect)
        self._folder = _Folder(Path(folder))
        self._changed = threading.Condition(threading.RLock())
        self._device: dict[str, Any] = {}
        self._shown: set[str] = set()
        self._files: list[_File] = []
        self._start, self._made = f"events-{time.time_ns() // 1_000_000:013d}-{secrets.token_hex(4)}", 0
        self._asking = self._hurry = True
        self._closed = False
        self._safely(self._open)
        threading.Thread(target=self._work, name="abtest", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: "values" in self._device, timeout)
            self._values: dict[str, str] | None = self._device.get("values")

    @property
    def token(self) -> str | None:
        """The device's token, for `abtest why`; None while the folder can't be written."""
        return self._device.get("token")

    @property
    def queued(self) -> int:
        """How many events wait for the server's confirmation."""
        with self._changed:
            return sum(len(file.events) for file in self._files)

    def value(self, key: str, default: str) -> str:
        """The device's value for an experiment, or the default if it has none. The same for the whole start."""
        return (self._values or {}).get(key, default)

    def shown(self, key: str, value: str) -> None:
        """Report an exposure: a person sees this value. It is reported once per start and experiment."""
        with self._changed:
            if key in self._shown:
                return
            self._shown.add(key)
            if self._values is not None and key not in self._values:
                log.warning("%s is not reported as shown: this device has no value for it; is the key right?", key)
                return
        self._add({"name": "exposure", "experiment": key, "value": value})

    def track(self, name: str, amount: str | int | float | Decimal | None = None) -> None:
        """Report an event. An amount has at most 4 decimals, and is negative for a refund."""
        self._add({"name": name} | ({} if amount is None else {"amount": str(amount)}))

    def restart(self) -> None:
        """Begin a new start in the same process: use the values of the last answer, and fetch a fresh one."""
        with self._changed:
            self._values, self._asking = self._device.get("values"), True
            self._shown.clear()
            self._changed.notify_all()

    def flush(self, timeout: float = 2.0) -> bool:
        """Send events now, but not during a pause after a failure. Returns whether all are confirmed."""
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._files, timeout)

    def close(self, timeout: float = 2.0) -> bool:
        """Flush, and stop. Events that are left are sent after the next start."""
        done = self.flush(timeout)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        return done

    def _open(self) -> None:
        """Read the device, or make its token; take over the events of earlier starts. Raises OSError."""
        new = json.dumps({"token": secrets.token_hex(16)})
        device = _device(self._folder.create("device", new))
        if not device:  # damaged
            self._folder.set("device", new)
            device = _device(new)
        for name in self._folder.names("events-"):
            file = _File(self._next_name())
            if not name.startswith(self._start) and self._folder.rename(name, file.name):
                file.events = _events(self._folder.get(file.name))
                if file.events:
                    self._files.append(file)
                else:  # the process died before it wrote the first
                    self._folder.remove(file.name)
        self._device = device

    def _add(self, event: dict[str, str]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = {"id": secrets.token_hex(16), **event, "at": at}
        with self._changed:
            if not self._files or len(self._files[-1].events) >= FILE_EVENTS:
                self._files.append(_File(self._next_name()))
            self._safely(self._append, self._files[-1], event["id"], json.dumps(event))
            while self.queued > self._most_events and len(self._files) > 1:
                oldest = self._files.pop(0)
                self.dropped += len(oldest.events)
                log.warning("too many events are waiting: dropped the oldest %d", len(oldest.events))
                self._safely(self._folder.remove, oldest.name)
            self._changed.notify_all()

    def _next_name(self) -> str:
        self._made += 1
        return f"{self._start}-{self._made:06d}"

    def _append(self, file: "_File", id: str, text: str) -> None:
        was_kept, file.kept = file.kept, False
        file.events[id] = text
        if was_kept:
            self._folder.append(file.name, f"{text}\n")
            file.kept = True
        else:
            self._keep(file)

    def _keep(self, file: "_File") -> None:
        file.kept = False
        if file.events:
            self._folder.set(file.name, "".join(f"{text}\n" for text in file.events.values()))
        else:
            self._folder.remove(file.name)
        file.kept = True

    def _safely(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except OSError as error:  # what could not be written stays in memory, and the thread tries again
            log.warning("can't write to the folder yet: %s", error)

    def _work(self) -> None:
        """Ask and send until closed. Pauses are partly random, so that devices don't come all at once."""
        failures = 0
        while not self._closed:
            try:
                if self._asking:
                    self._ask()
                elif self._files:
                    self._send()
                failures, pause = 0, 0.0
            except (_Later, OSError, HTTPException, ValueError) as error:
                backoff = min(self._pause * 2 ** min(failures, 20), LONGEST_PAUSE)
                pause = max(backoff, getattr(error, "seconds", 0.0)) * random.uniform(1.0, 1.5)
                failures += 1
                log.log(
                    logging.WARNING if failures == 1 else logging.INFO, "trying again in %.1f s: %s", pause, error
                )
            with self._changed:
                for file in self._files:
                    if not file.kept:
                        self._safely(self._keep, file)
                if pause:
                    self._changed.wait_for(lambda: self._closed, pause)
                    continue
                self._changed.wait_for(lambda: self._closed or self._asking or self._files)
                self._changed.wait_for(self._must_not_wait, self._send_every)

    def _must_not_wait(self) -> bool:
        return self._closed or self._asking or self._hurry or self.queued >= BATCH_EVENTS

    def _ask(self) -> None:
        if not self._device:  # without a stored token, the next start would be another device with other values
            self._open()
        known = {"If-None-Match": self._device["etag"]} if self._device.get("etag") else {}
        status, answer, etag = self._request(self._experiments, known)
        if status == 200:
            device = _device(json.dumps({"token": self.token, "etag": etag, "values": json.loads(answer)}))
            if not device:
                raise _Later("this is not an answer from abtest")
            self._safely(self._folder.set, "device", json.dumps(device))
            with self._changed:
                self._device = device
                self._changed.notify_all()
        elif status != 304:
            raise _Later(f"the answer was {status}")
        self._asking = False

    def _send(self) -> None:
        batch: dict[str, str] = {}
        size = 0
        with self._changed:
            for id, text in (event for file in self._files for event in file.events.items()):
                size += len(text) + 1
                if batch and (len(batch) >= self._most_in_batch or size > BATCH_BYTES - 100):
                    break
                batch[id] = text
        body = f'{{"events":[{",".join(batch.values())}]}}'.encode()
        status, answer, _ = self._request(self._events, {"Content-Type": "application/json"}, body)
        if status == 404 and '"unknown_device"' in answer:
            self._asking = True
        if status in REFUSED and len(batch) > 1:  # one event is to blame: halve until it is found
            self._most_in_batch = len(batch) // 2
        elif status == 202 or status in REFUSED:
            self._most_in_batch = min(2 * self._most_in_batch, BATCH_EVENTS)
            if status != 202:
                self.rejected += 1
                log.warning("dropped an event that the server refuses: %s: %s", answer[:300], *batch.values())
            self._confirm(batch)
        else:
            raise _Later(f"the answer was {status}")

    def _confirm(self, batch: Mapping[str, str]) -> None:
        with self._changed:
            for file in self._files:
                if not file.events.keys().isdisjoint(batch):
                    file.events = {id: text for id, text in file.events.items() if id not in batch}
                    self._safely(self._keep, file)
            self._files = [file for file in self._files if file.events]
            self._hurry = self._hurry and bool(self._files)
            self._changed.notify_all()

    def _request(
        self, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, str, str | None]:
        """Status, body and ETag. Raises _Later, OSError, HTTPException or ValueError."""
        until = time.monotonic() + self._request_timeout
        request = urllib.request.Request(url, body, {"Device-Token": self.token or "", **headers})
        try:
            response = self._http.open(request, timeout=self._request_timeout)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            answer = b""
            while part := response.read1(65_536):
                answer += part
                if time.monotonic() > until or len(answer) > LONGEST_ANSWER:
                    raise _Later("the answer is too long")
            if response.status in {429, 503}:
                seconds = response.headers.get("Retry-After", "")
                raise _Later(f"the answer was {response.status}", float(seconds) if seconds.isdecimal() else 0.0)
            return response.status, answer.decode(), response.headers.get("ETag")


class _Later(Exception):
    """Try again, after so many seconds at the earliest."""

    def __init__(self, why: str, seconds: float = 0.0) -> None:
        super().__init__(why)
        self.seconds = min(seconds, LONGEST_RETRY_AFTER)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect comes from something else, such as a network that wants a sign-in first."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _File:
    """A file of the folder, with events as JSON by their ids."""

    def __init__(self, name: str) -> None:
        self.name, self.kept = name, True
        self.events: dict[str, str] = {}


class _Folder:
    """Small texts in files, each replaced as a whole. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, name: str) -> str:
        return (self._path / name).read_text("utf-8", errors="replace")

    def set(self, name: str, text: str) -> None:
        self._write(text, lambda written: written.replace(self._path / name))

    def append(self, name: str, text: str) -> None:
        """Add to a text. It survives a crash, but not a power cut."""
        with (self._path / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def create(self, name: str, text: str) -> str:
        """Write a text unless there is one, and return the one that is there. One of several processes wins."""
        try:
            self._write(text, lambda written: os.link(written, self._path / name))
        except FileExistsError:
            return self.get(name)
        return text

    def rename(self, name: str, new: str) -> bool:
        """Returns whether the file was there. If several processes try, one gets it."""
        try:
            (self._path / name).rename(self._path / new)
        except FileNotFoundError:
            return False
        return True

    def remove(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def names(self, prefix: str) -> list[str]:
        return sorted(path.name for path in self._path.glob(f"{prefix}*"))

    def _write(self, text: str, put: Callable[[Path], object]) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        written = self._path / f"writing-{secrets.token_hex(8)}"
        try:
            with written.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            put(written)
        finally:
            written.unlink(missing_ok=True)


def _device(text: str) -> dict[str, Any]:
    """What is stored of a device: its token, and the ETag and values of the last answer. Empty if it is damaged."""
    try:
        kept = json.loads(text)
        values = kept.get("values", {}).values()
        sound = isinstance(kept["token"], str) and all(isinstance(value, str) for value in values)
    except (ValueError, KeyError, AttributeError):
        return {}
    return kept if sound else {}


def _events(text: str) -> dict[str, str]:
    events = {}
    for line in text.splitlines():
        try:
            events[str(json.loads(line)["id"])] = line
        except (ValueError, KeyError, TypeError):
            log.warning("left out a damaged event")
    return events
