"""Grow a database to a number of devices through the store itself, and time the worker on the last 10,000."""

import asyncio
import json
import sys
import time
from pathlib import Path

from abtest import worker
from abtest.store.sqlite import SQLiteStore

BATCH = 2_000
LAST = 10_000


async def fill(path: Path, size: int) -> float:
    """Milliseconds of database time for the fold of the last 10,000 devices."""
    store = SQLiteStore(path)
    await store.open()
    try:
        there = (await store.ledger()).devices
        await _enrol(store, there, size - LAST)
        await worker.tick(store)
        await _enrol(store, max(there, size - LAST), size)
        began = time.perf_counter()
        await worker.tick(store)
        return 1000 * (time.perf_counter() - began)
    finally:
        await store.close()


async def _enrol(store: SQLiteStore, first: int, last: int) -> None:
    for start in range(first, last, BATCH):
        # Scattered, as UUIDs are, over the index of tokens.
        tokens = [
            f"{number * 2654435761 % 2**32:08x}-filled-{number:020d}"
            for number in range(start, min(start + BATCH, last))
        ]
        await store.enrol(tokens, time.time_ns() // 1_000_000)


if __name__ == "__main__":
    print(json.dumps({"tick_ms": asyncio.run(fill(Path(sys.argv[1]), int(sys.argv[2])))}))
