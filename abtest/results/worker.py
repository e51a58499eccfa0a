"""The stats worker: every few seconds, fold what is new into the summary, and conclude from it."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from msgspec import structs

from abtest import clock
from abtest.errors import Unavailable
from abtest.management import keep_schedule
from abtest.results.conclusions import Conclusions, encoded
from abtest.store import ExperimentStore, FoldingStore, Measured

CHUNK = 10_000
LEASE_SECONDS = 1.0
SCHEDULE_SECONDS = 10.0
"""The longest time between two looks for what has to be started or finished."""
OF_ALL_EXPERIMENTS = ("duplicate_events", "unknown_device_events", "unknown_experiment_events", "shortened_devices")

log = logging.getLogger("abtest.results")


class WorkerStore(FoldingStore, ExperimentStore, Protocol):
    """What a worker needs."""


class Worker:
    """Folds new rows into the summary and judges the experiments whose figures changed.

    It looks for changes when something was folded, an experiment was changed, or a day is over. A conclusion that
    could not be stored is made again in the next tick.
    """

    def __init__(self, store: WorkerStore, say: Callable[[str], None] = log.info) -> None:
        """`say` is told what was started and finished."""
        self._store = store
        self._say = say
        self._state: tuple[int, int] | None = None
        self._judged: dict[int, tuple[Measured, int, Conclusions]] = {}
        self._unjudged: set[int] = set()

    async def tick(self) -> int:
        """Fold everything new, and return the number of new devices. Enrolment waits for one chunk at most.

        Also starts and finishes experiments, and deletes what a killed `abtest forget` left.
        """
        await keep_schedule(self._store, self._say)
        devices, left = 0, 1
        while left:
            folded = await self._store.fold(CHUNK, clock.now())
            devices, left = devices + folded.devices, folded.left
            if folded.devices or folded.events:
                self._state = None
        now = clock.now()
        state = folded.config_version, now // clock.DAY
        if state != self._state:
            await self._conclude(now)
            self._state = state
        if await self._store.finish_forgetting():
            await self._store.empty_log()
        return devices

    async def _conclude(self, now: int) -> None:
        documents = {}
        for each in await self._store.measured():
            experiment = each.experiment
            try:
                documents[experiment.id] = encoded(self._results(each, now))
                self._unjudged.discard(experiment.id)
            except Exception:  # one experiment's figures must not keep the others from theirs
                if experiment.id not in self._unjudged:
                    log.exception("%s can't be judged; its results stay as they were", experiment.key)
                self._unjudged.add(experiment.id)
        changed = documents.items() - (await self._store.results()).items()
        if changed:
            await self._store.conclude(sorted(changed))

    def _results(self, measured: Measured, now: int) -> Conclusions:
        # scipy takes 30 MB and a quarter of a second: processes that serve requests, or only count, never load it.
        from abtest.results.judging import judged  # noqa: PLC0415

        # When a count for all experiments together changes, they need not all be judged again.
        refused = {name: getattr(measured, name) for name in OF_ALL_EXPERIMENTS}
        own = structs.replace(measured, **dict.fromkeys(refused, 0))
        basis = own, now // clock.DAY
        known = self._judged.get(measured.experiment.id)
        if known is None or known[:2] != basis:
            known = self._judged[measured.experiment.id] = (*basis, judged(own, now))
        results = known[2]
        return structs.replace(results, health=structs.replace(results.health, **refused))


async def tick(store: WorkerStore, say: Callable[[str], None] = log.info) -> int:
    """Bring the figures up to date once; how many devices were new."""
    return await Worker(store, say).tick()


async def work(store: WorkerStore, interval: float, say: Callable[[str], None], stop: asyncio.Event) -> None:
    """Tick every `interval` seconds until `stop`. While another worker is at work, wait until it ends.

    Raises StorageError when the file can't be trusted any more.
    """
    worker, waiting = Worker(store, say), False
    while True:
        try:
            if await store.try_lease():
                if waiting:
                    say("the other worker ended; taking over")
                    worker, waiting = Worker(store, say), False
                await worker.tick()
            else:
                if not waiting:
                    say("another worker is at work; waiting until it ends")
                waiting = True
        except Unavailable as error:
            say(f"no new figures now: {error}")
        rest = LEASE_SECONDS if waiting else interval
        while rest > SCHEDULE_SECONDS:
            if await clock.stopped(stop, SCHEDULE_SECONDS):
                return
            rest -= SCHEDULE_SECONDS
            with suppress(Unavailable):
                await keep_schedule(store, say)
        if await clock.stopped(stop, rest):
            return
