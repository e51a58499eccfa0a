"""The stats worker: every few seconds, fold what is new into the summary."""

import asyncio
from collections.abc import Callable

from abtest import clock
from abtest.errors import Unavailable
from abtest.store.base import FoldingStore

CHUNK = 10_000
LEASE_SECONDS = 1.0


async def tick(store: FoldingStore) -> int:
    """Fold all that is there; how many devices it was. Enrolment waits for one chunk at most, never for all."""
    total, left = await store.fold(CHUNK, clock.now())
    while left:
        folded, left = await store.fold(CHUNK, clock.now())
        total += folded
    return total


async def work(store: FoldingStore, interval: float, say: Callable[[str], None], stop: asyncio.Event) -> None:
    """Tick every `interval` seconds until `stop`. While another worker is at work, wait for its end.

    Raises StorageError when the file can't be trusted any more.
    """
    if not store.try_lease():
        say("another worker is at work; waiting for its end")
        while not store.try_lease():
            if await clock.stopped(stop, LEASE_SECONDS):
                return
        say("the other worker ended; taking over")
    while True:
        try:
            await tick(store)
        except Unavailable as error:
            say(f"no new figures now: {error}")
        if await clock.stopped(stop, interval):
            return
