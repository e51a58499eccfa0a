"""Each process notes in the database that it runs."""

import asyncio
import logging
import os
import socket
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from time import monotonic
from types import MappingProxyType

from msgspec import structs

from abtest import clock
from abtest.errors import AbtestError
from abtest.settings import Settings
from abtest.store import Process, UpkeepStore, is_full

EVERY_SECONDS = 10.0
LATELY_SECONDS = 300.0
LEAST_ROOM = 10
"""Megabytes of free disk below which nothing is noted, so that notes don't fill the disk."""
NOTHING: Mapping[str, int] = MappingProxyType({})

log = logging.getLogger("abtest.upkeep")


class Heartbeat:
    """Keeps the row of this process up to date. `beat` never makes its caller wait."""

    def __init__(
        self,
        store: UpkeepStore,
        kind: str,
        settings: Settings,
        refused: Mapping[str, int] = NOTHING,
        every: float = EVERY_SECONDS,
    ) -> None:
        """`refused`: how many requests this process has refused so far, by code; its owner keeps it up to date."""
        now = clock.now()
        self._store = store
        self._refused = refused
        self._every = every
        self._process = Process(
            kind=kind,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("abtest"),
            started_at=now,
            seen_at=now,
            stats_interval=settings.stats_interval,
            free_disk=settings.free_disk,
        )
        self._due = monotonic()
        self._earlier = deque([(self._due, Counter[str]())])
        self._waiting = 0
        self._noting: asyncio.Task[None] | None = None

    def beat(self, waiting: int = 0) -> None:
        """Begin to note that this process runs, unless that was noted a moment ago. Call this about every second.

        `waiting`: how many requests wait at this moment.
        """
        self._waiting = max(self._waiting, waiting)
        now = monotonic()
        if now >= self._due and (self._noting is None or self._noting.done()):
            self._due = now + self._every
            self._noting = asyncio.create_task(self._note(now))

    async def stop(self) -> None:
        """Remove the row of this process; if others keep the database busy, they remove it later."""
        self._due = float("inf")
        if self._noting is not None:
            await self._noting
        with suppress(AbtestError):
            await self._store.remove_process(self._process)

    async def _note(self, now: float) -> None:
        try:
            condition = await self._store.condition()
            if is_full(condition.free_bytes, LEAST_ROOM):
                return
            refused = Counter(self._refused)
            while len(self._earlier) > 1 and self._earlier[1][0] <= now - LATELY_SECONDS:
                self._earlier.popleft()
            self._process = structs.replace(
                self._process,
                seen_at=await self._store.now(),
                waiting=self._waiting,
                refused=dict(refused),
                refused_lately=dict(refused - self._earlier[0][1]),
            )
            self._earlier.append((now, refused))
            self._waiting = 0
            await self._store.note_process(self._process, condition.database_bytes)
        except AbtestError:
            pass  # if the store is busy or full, the next beat tries again; if it failed, the process ends anyway
        except Exception:  # a process must not end because it can't note that it runs
            log.exception("could not note in the database that this process runs")
