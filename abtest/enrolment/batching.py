"""Requests that arrive together are decided together: while the store decides a batch, the next is collected."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from itertools import islice
from time import monotonic
from typing import Generic, TypeVar, cast

from msgspec import Struct

from abtest.errors import AbtestError, Unavailable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

COLLECTING = 0.1
LONGEST_SECONDS = 0.005
ENOUGH = 64


class _Waiting(Struct, Generic[T]):
    """The future that waits for the result of a key, and the loop's time at which it gives up."""

    future: asyncio.Future[T]
    deadline: float


class Batches(Generic[K, V, T]):
    """Futures by key. `decide` gets the requests of at most `size` keys, and returns a result or an error for each.

    The size of a batch follows the load. Before a batch begins, the clients that were just answered have a moment to
    send their next requests: at most a tenth of the time that the last batch took. The batch begins earlier once they
    all have, or once ENOUGH requests wait to share its cost. With that many, another batch may also begin while one
    is under way, up to `at_once` of them; a key is only in one. At most `most` keys wait. After `deadline` seconds a
    key's future fails with Unavailable (`busy`), although the key may still be decided.
    """

    def __init__(
        self,
        decide: Callable[[Mapping[K, V]], Awaitable[Mapping[K, T | AbtestError]]],
        size: int,
        most: int,
        deadline: float,
        at_once: int = 1,
    ) -> None:
        self._decide = decide
        self._size = size
        self._most = most
        self._deadline = deadline
        self._at_once = at_once
        self._waiting: dict[K, _Waiting[T]] = {}
        self._asked: dict[K, V] = {}  # those that are in no batch yet
        self._working: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._expiring = False

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting(self, key: K) -> "asyncio.Future[T] | None":
        """The future of a key that is already waiting, if any."""
        found = self._waiting.get(key)
        return None if found is None or found.future.done() else found.future

    def add(self, key: K, asked: V) -> "asyncio.Future[T]":
        """The future of a key that is not waiting yet. Raises Unavailable (`queue_full`)."""
        if len(self._waiting) >= self._most:
            raise Unavailable("too many requests are waiting; try again", code="queue_full")
        loop = self._loop = self._loop or asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        deadline = loop.time() + self._deadline
        if key not in self._waiting:  # else its batch goes on, although its first future has failed
            self._asked[key] = asked
        self._waiting[key] = _Waiting(future, deadline)
        if not self._expiring:
            self._expiring = True
            loop.call_at(deadline, self._expire, loop)
        if not self._working or (len(self._working) < self._at_once and len(self._asked) >= ENOUGH):
            self._working.add(loop.create_task(self._work()))
        return future

    async def drain(self) -> None:
        """Return when nothing is waiting any more."""
        while self._working:
            await asyncio.wait(self._working)

    async def _work(self) -> None:
        try:
            while self._asked and (len(self._working) == 1 or len(self._asked) >= ENOUGH):
                batch = dict(islice(self._asked.items(), self._size))
                for key in batch:
                    del self._asked[key]
                began = monotonic()
                try:
                    await self._resolve(batch)
                finally:
                    self._end(batch)
                await self._collect(len(batch) + len(self._asked), monotonic() - began)
        finally:
            self._working.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            if not self._working:
                self._end(list(self._asked))
                self._asked.clear()

    def _end(self, keys: Iterable[K]) -> None:
        """Let these keys wait no longer. Their futures are done, unless the task was cancelled."""
        for key in keys:
            future = self._waiting.pop(key).future
            if not future.done():
                _fail(future, Unavailable("the server is stopping; try again", code="draining"))

    async def _collect(self, expected: int, took: float) -> None:
        until = monotonic() + min(took * COLLECTING, LONGEST_SECONDS)
        while len(self._asked) < min(expected, ENOUGH) and monotonic() < until:  # noqa: ASYNC110  # see below
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
                _fail(self._waiting[key].future, error)
            return
        for key in batch:
            future = self._waiting[key].future
            if key not in results:
                _fail(future, RuntimeError("a batch was decided without an answer to each request"))
            elif isinstance(result := results[key], AbtestError):
                _fail(future, result)
            elif not future.done():
                future.set_result(result)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """Fail the requests that waited too long, and check again when the next one might have."""
        now = loop.time()
        for waiting in self._waiting.values():
            if waiting.deadline <= now:
                _fail(waiting.future, Unavailable("the database did not answer in time; try again", code="busy"))
        deadlines = [waiting.deadline for waiting in self._waiting.values() if not waiting.future.done()]
        self._expiring = bool(deadlines)
        if deadlines:
            loop.call_at(min(deadlines), self._expire, loop)


def _fail(future: "asyncio.Future[T]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # if the client is gone, nobody else retrieves it, and asyncio would complain
