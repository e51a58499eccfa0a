"""Grow a database to a number of devices through the store itself, then add more and time the worker on those."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from itertools import product
from pathlib import Path
from typing import Any, cast
from zlib import crc32

from abtest.domain.attributes import KNOWN_ATTRIBUTES, read_attributes
from abtest.results import worker
from abtest.store.sqlite.store import SQLiteStore

FILLING = 250_000
"""Devices per transaction before anything is timed: the same transaction as in a server, with fewer syncs."""
ENROLLING = 2_000
NEW = 10_000
PROFILES = [
    read_attributes(zip(KNOWN_ATTRIBUTES, combination, strict=True))
    for combination in product(
        ("ios", "android"),
        ("DE", "FR", "US", "BR", "JP", "IN", "GB", "PL", "ES", "IT"),
        ("de", "en", "fr"),
        [f"3.{minor}.0" for minor in range(20)],
        [f"{major}.2" for major in range(13, 18)],
    )
]
"""6,000 combinations of five attributes."""
TICKS = 9


class Timed:
    """A store that sums how many seconds its calls take: the trip to the thread, the lock, every statement, and the
    commit with its sync."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return await getattr(self._store, name)(*arguments)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


async def fill(path: Path, size: int) -> dict[str, object]:
    """The bytes at this size, and milliseconds for each of several further 10,000 devices.

    What is timed is their enrolment in the store, the whole tick of the worker, and the part of the tick that the
    database takes. The worker has its own connection, as it has when it runs in its own process.
    """
    store, counting = SQLiteStore(path), SQLiteStore(path)
    await store.open()
    try:
        await _enrol(store, (await store.ledger()).devices, size, FILLING)
    finally:
        await store.close()  # the last connection moves the log into the file
    bytes_then = (await store.condition()).database_bytes
    await store.open()
    await counting.open()
    try:
        await worker.tick(counting)
        ticks, database, enrolments = [], [], []
        for first in range(size, size + TICKS * NEW, NEW):
            began = time.perf_counter()
            await _enrol(store, first, first + NEW, ENROLLING)
            enrolments.append(1000 * (time.perf_counter() - began))
            timed, began = Timed(counting), time.perf_counter()
            await worker.tick(cast(worker.WorkerStore, timed))
            ticks.append(1000 * (time.perf_counter() - began))
            database.append(1000 * timed.seconds)
    finally:
        await counting.close()
        await store.close()
    return {"bytes": bytes_then, "ticks_ms": ticks, "database_ms": database, "enrolments_ms": enrolments}


async def _enrol(store: SQLiteStore, first: int, last: int, batch: int) -> None:
    for start in range(first, last, batch):
        # Scattered over the index of tokens, as UUIDs are.
        tokens = [
            f"{number * 2654435761 % 2**32:08x}-filled-{number:020d}"
            for number in range(start, min(start + batch, last))
        ]
        said = {token: PROFILES[crc32(token.encode()) % len(PROFILES)] for token in tokens}
        await store.enrol(tokens, time.time_ns() // 1_000_000, said)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(fill(Path(sys.argv[1]), int(sys.argv[2])))))
