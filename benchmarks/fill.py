"""Grow a database to a number of devices through the store itself, and time the worker on what comes then."""

import asyncio
import json
import sys
import time
from pathlib import Path

from abtest import worker
from abtest.store.sqlite import SQLiteStore

FILLING = 250_000
"""Devices per transaction while it only grows: the same transaction as a server's, with fewer syncs."""
ENROLLING = 2_000
NEW = 10_000
TICKS = 5


async def fill(path: Path, size: int) -> dict[str, object]:
    """Bytes at this size, then milliseconds of a tick for each time that 10,000 more devices came.

    A tick is timed from the call to the return: the trip to the thread, the lock, every statement, and the commit
    with its sync. It has a connection of its own, since the worker is a process of its own.
    """
    store, counting = SQLiteStore(path), SQLiteStore(path)
    await store.open()
    try:
        await _enrol(store, (await store.ledger()).devices, size, FILLING)
    finally:
        await store.close()  # the last connection moves the log into the file
    bytes_then = store.condition().database_bytes
    await store.open()
    await counting.open()
    try:
        await worker.tick(counting)
        ticks = []
        for first in range(size, size + TICKS * NEW, NEW):
            await _enrol(store, first, first + NEW, ENROLLING)
            began = time.perf_counter()
            await worker.tick(counting)
            ticks.append(1000 * (time.perf_counter() - began))
    finally:
        await counting.close()
        await store.close()
    return {"bytes": bytes_then, "ticks_ms": ticks}


async def _enrol(store: SQLiteStore, first: int, last: int, batch: int) -> None:
    for start in range(first, last, batch):
        # Scattered, as UUIDs are, over the index of tokens.
        tokens = [
            f"{number * 2654435761 % 2**32:08x}-filled-{number:020d}"
            for number in range(start, min(start + batch, last))
        ]
        await store.enrol(tokens, time.time_ns() // 1_000_000)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(fill(Path(sys.argv[1]), int(sys.argv[2])))))
