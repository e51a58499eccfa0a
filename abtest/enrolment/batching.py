"""Requests that come together are decided together: while the store decides one batch, the next one is collected."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from itertools import islice
from time import monotonic
from typing import Generic, TypeVar

from msgspec import Struct

from abtest.errors import AbtestError, Unavailable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

COLLECTING = 0.1
LONGEST_SECONDS = 0.005
ENOUGH = 64


class _Waiting(Struct, Generic[V, T]):
    """A request, the future that waits for its result, and the loop's time at which it gives up."""

    asked: V
    future: asyncio.Future[T]
    deadline: float


class Batches(Generic[K, V, T]):
    """Futures by key. `decide` gets the requests of at most `size` keys, and returns a result or an error for each.

    The size of a batch follows the load. A batch first waits a moment for the clients that were just answered, until
    as many requests are there as it can expect: for at most a tenth of the time that the last batch took, and not at
    all if enough requests are waiting to share its cost. At most `most` keys wait. After `deadline` seconds a key's
    future fails with Unavailable (`busy`), although the key may still be decided.
    """

    def __init__(
        self,
        decide: Callable[[Mapping[K, V]], Awaitable[Mapping[K, T | AbtestError]]],
        size: int,
        most: int,
        deadline: float,
    ) -> None:
        self._decide = decide
        self._size = size
        self._most = most
        self._deadline = deadline
        self._pending: dict[K, _Waiting[V, T]] = {}
        self._working: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._expiring = False

    def __len__(self) -> int:
        return len(self._pending)

    def waiting(self, key: K) -> "asyncio.Future[T] | None":
        """The future of a key that is already waiting, if any."""
        found = self._pending.get(key)
        return None if found is None or found.future.done() else found.future

    def add(self, key: K, asked: V) -> "asyncio.Future[T]":
        """The future of a key that is not waiting yet. Raises Unavailable (`queue_full`)."""
        if len(self._pending) >= self._most:
            raise Unavailable("too many requests are waiting; ask again", code="queue_full")
        loop = self._loop = self._loop or asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        deadline = loop.time() + self._deadline
        self._pending[key] = _Waiting(asked, future, deadline)
        if not self._expiring:
            self._expiring = True
            loop.call_at(deadline, self._expire, loop)
        if self._working is None:
            self._working = loop.create_task(self._work())
        return future

    async def drain(self) -> None:
        """Return when nothing is waiting any more."""
        while self._working is not None:
            await asyncio.wait({self._working})

    async def _work(self) -> None:
        try:
            while self._pending:
                batch = {key: waiting.asked for key, waiting in islice(self._pending.items(), self._size)}
                began = monotonic()
                await self._resolve(batch)
                for key in batch:
                    del self._pending[key]
                await self._collect(len(batch) + len(self._pending), monotonic() - began)
        finally:
            self._working = None
            for waiting in self._pending.values():  # none, unless this task was cancelled
                _fail(waiting.future, Unavailable("the server is stopping; ask again", code="draining"))
            self._pending.clear()

    async def _collect(self, expected: int, took: float) -> None:
        until = monotonic() + min(took * COLLECTING, LONGEST_SECONDS)
        while len(self._pending) < min(expected, ENOUGH) and monotonic() < until:  # noqa: ASYNC110  # see below
            await asyncio.sleep(0)  # one round of the loop: its timers count in milliseconds, which is too coarse

    async def _resolve(self, batch: Mapping[K, V]) -> None:
        results: Mapping[K, T | AbtestError]
        try:
            results = await self._decide(batch)
        except AbtestError as error:
            results = dict.fromkeys(batch, error)
        except Exception as error:
            if len(batch) > 1:  # one bad request must not fail the others
                for key, asked in batch.items():
                    await self._resolve({key: asked})
                return
            for key in batch:
                _fail(self._pending[key].future, error)
            return
        for key in batch:
            future = self._pending[key].future
            if key not in results:
                _fail(future, RuntimeError("a batch was decided without an answer to each request"))
            elif isinstance(result := results[key], AbtestError):
                _fail(future, result)
            elif not future.done():
                future.set_result(result)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """Fail the requests that waited too long, and check again when the next one might have."""
        now = loop.time()
        for waiting in self._pending.values():
            if waiting.deadline <= now:
                _fail(waiting.future, Unavailable("the database did not answer in time; ask again", code="busy"))
        deadlines = [waiting.deadline for waiting in self._pending.values() if not waiting.future.done()]
        self._expiring = bool(deadlines)
        if deadlines:
            loop.call_at(min(deadlines), self._expire, loop)


def _fail(future: "asyncio.Future[T]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # if the client is gone, nobody else retrieves it, and asyncio would complain
