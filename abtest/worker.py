"""The stats worker: every few seconds, fold what is new into the summary, and conclude from it."""

import asyncio
from collections.abc import Callable

from abtest import clock
from abtest.errors import Unavailable
from abtest.store.base import FoldingStore

CHUNK = 10_000
LEASE_SECONDS = 1.0


class Worker:
    """Folds and concludes; remembers as of what it concluded, so that it does so only when something is new.

    It forgets that as soon as it folds something: a conclusion that fails is drawn in the next tick.
    """

    def __init__(self, store: FoldingStore) -> None:
        self._store = store
        self._concluded: tuple[int, int] | None = None

    async def tick(self) -> int:
        """Fold all that is there; how many devices it was. Enrolment waits for one chunk at most, never for all."""
        devices, left = 0, 1
        while left:
            folded = await self._store.fold(CHUNK, clock.now())
            devices, left = devices + folded.devices, folded.left
            if folded.devices or folded.events:
                self._concluded = None
        now = clock.now()
        state = folded.config_version, now // clock.DAY
        if state != self._concluded:
            await _conclude(self._store, now)
            self._concluded = state
        return devices


async def tick(store: FoldingStore) -> int:
    """Bring the figures up to date once; how many devices were new."""
    return await Worker(store).tick()


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
    worker = Worker(store)
    while True:
        try:
            await worker.tick()
        except Unavailable as error:
            say(f"no new figures now: {error}")
        if await clock.stopped(stop, interval):
            return


async def _conclude(store: FoldingStore, now: int) -> None:
    # scipy takes 30 MB and a quarter of a second: who serves requests, or only counts, never loads it.
    from abtest.judging import judged  # noqa: PLC0415
    from abtest.results import encoded  # noqa: PLC0415

    measured = await store.measured()
    await store.conclude([(each.experiment.id, encoded(judged(each, now))) for each in measured])
