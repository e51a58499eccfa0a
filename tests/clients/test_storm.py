"""Clients and server are killed and started again, over and over: no event is lost or doubled, no value changes."""

import random
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from abtest.store.sqlite.driver import open_raw
from tests.clients.driving import Driver
from tests.faults.servers import COLOR, PRICE, create, free_port, serve, verify

CLIENTS, PROCESSES, LIVES, EVENTS = 200, 4, 2, 60
DEFAULT = "default"
STORED = "SELECT token, name FROM event JOIN device_token USING (device_id)"


class Storm:
    """What 200 clients sent and saw, and one server that comes and goes."""

    def __init__(self, command: list[str], folder: Path, send_every: float = 0.05) -> None:
        self._command, self._folder, self._send_every = command, folder, send_every
        self.database, self._port = folder / "abtest.db", free_port()
        self._over = threading.Event()
        self.tokens: dict[str, set[str]] = defaultdict(set)
        self.values: dict[str, str] = {}
        self.sent: dict[str, set[str]] = defaultdict(set)
        self.kept: dict[str, set[str]] = defaultdict(set)

    def run(self) -> None:
        """The server has as many lives as fit; each process of clients has two, and a last one that is calm."""
        parts = [[f"phone-{number}" for number in range(place, CLIENTS, PROCESSES)] for place in range(PROCESSES)]
        server = threading.Thread(target=self._come_and_go)
        server.start()
        with ThreadPoolExecutor(PROCESSES) as threads:
            for live in [threads.submit(self._live, place, names) for place, names in enumerate(parts)]:
                live.result()
            self._over.set()
            server.join()
            with serve(self.database, self._port):
                for calm in [threads.submit(self._end, names) for names in parts]:
                    calm.result()

    def lost(self) -> list[str]:
        """The events that a client had kept and the server does not have."""
        events = set(self.stored())
        return [
            f"{event} of {name}"
            for name, kept in self.kept.items()
            for event in sorted(kept)
            if not any((token, event) in events for token in self.tokens[name])
        ]

    def stored(self) -> list[tuple[str, str]]:
        """The token and the name of every event."""
        with closing(open_raw(self.database)) as connection:
            return list(connection.execute(STORED).fetchall())

    def devices(self) -> int:
        """How many devices there are."""
        with closing(open_raw(self.database)) as connection:
            return int(connection.execute("SELECT count(*) FROM device").fetchone()[0])

    def _come_and_go(self) -> None:
        chance = random.Random(1)
        while not self._over.is_set():
            with serve(self.database, self._port) as running:
                self._over.wait(chance.uniform(1, 3))
                running.stop(signal.SIGKILL)
            self._over.wait(chance.uniform(0, 0.5))

    def _live(self, place: int, names: list[str]) -> None:
        chance = random.Random(place)
        for life in range(LIVES):
            driver = self._started(names)
            events = [(chance.choice(names), f"event-{life}-{number}") for number in range(EVENTS)]
            for name, event in events:
                self.sent[name].add(event)
                driver.send(name, "track", name=event, times=1)
            for name, event in events[: chance.randrange(EVENTS)]:
                self.tokens[name].add(driver.answer()["token"])
                self.kept[name].add(event)
            self._over.wait(chance.uniform(0, 0.5))
            driver.kill()

    def _end(self, names: list[str]) -> None:
        driver = self._started(names, timeout=300)
        for name in names:
            driver.send(name, "close", seconds=300)
        assert {driver.answer()["done"] for _ in names} == {"true"}
        driver.kill()

    def _started(self, names: Iterable[str], timeout: float = 0.05) -> Driver:
        driver = Driver(self._command)
        settings = {"timeout": timeout, "send_every": self._send_every, "pause": 0.05}
        for name in names:
            folder = self._folder / name
            driver.send(name, "start", url=f"http://127.0.0.1:{self._port}", folder=folder, **settings)
            driver.send(name, "value", key="color", default=DEFAULT)
        for name in names:
            driver.answer()
            value = driver.answer()["value"]
            assert self.values.get(name, DEFAULT) in {DEFAULT, value}
            self.values[name] = value
        return driver


def test_two_hundred_clients_lose_nothing_and_double_nothing(language: list[str], tmp_path: Path) -> None:
    create(tmp_path / "abtest.db", COLOR, PRICE)
    storm = Storm(language, tmp_path)
    storm.run()
    assert storm.lost() == []
    events = storm.stored()
    assert len(events) == len(set(events)) > 100
    for name, tokens in storm.tokens.items():
        assert {event for token, event in events if token in tokens} <= storm.sent[name]
    assert storm.devices() == len(storm.values) == CLIENTS
    assert DEFAULT not in storm.values.values()
    assert verify(storm.database) == ""


def test_a_client_that_forgets_what_it_kept_loses_events(drivers: Callable[[str], list[str]], tmp_path: Path) -> None:
    create(tmp_path / "abtest.db", COLOR, PRICE)
    *start, program = drivers("python")
    storm = Storm([*start, str(Path(program).with_name("broken.py"))], tmp_path, send_every=60)
    storm.run()
    assert storm.lost()
