"""Tokens that come together are decided together: one batch with the store at a time, the next one collects."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

from abtest.errors import AbtestError, Unavailable

T = TypeVar("T")


class Batches(Generic[T]):
    """Futures of tokens, resolved by `decide`: it gets at most `size` tokens and gives a result or an error for each.

    The size of a batch follows the load, without a timer. At most `most` tokens wait; after `deadline` seconds a
    token's future fails with Unavailable (`busy`), though it may still be decided.
    """

    def __init__(
        self,
        decide: Callable[[Sequence[str]], Awaitable[Mapping[str, T | AbtestError]]],
        size: int,
        most: int,
        deadline: float,
    ) -> None:
        self._decide = decide
        self._size = size
        self._most = most
        self._deadline = deadline
        self._pending: dict[str, asyncio.Future[T]] = {}
        self._collecting: list[asyncio.Future[T]] = []
        self._working: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._pending)

    def waiting(self, token: str) -> "asyncio.Future[T] | None":
        """The future of a token that waits already."""
        found = self._pending.get(token)
        return None if found is None or found.done() else found

    def add(self, token: str) -> "asyncio.Future[T]":
        """The future of a token that did not wait. Raises Unavailable (`queue_full`)."""
        if len(self._pending) >= self._most:
            raise Unavailable("too many devices are waiting; ask again", code="queue_full")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = self._loop.create_future()
        self._pending[token] = future
        if not self._collecting:
            self._loop.call_later(self._deadline, _expire, self._collecting)
        self._collecting.append(future)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return future

    async def drain(self) -> None:
        """Return when nothing waits any more."""
        if self._working is not None:
            await self._working

    async def _work(self) -> None:
        try:
            while self._pending:
                self._collecting = []
                batch = list(islice(self._pending, self._size))
                await self._resolve(batch)
                for token in batch:
                    del self._pending[token]
        finally:
            self._working = None

    async def _resolve(self, batch: Sequence[str]) -> None:
        try:
            results = await self._decide(batch)
        except AbtestError as error:
            results = dict.fromkeys(batch, error)
        except Exception as error:
            if len(batch) > 1:  # one bad token must not fail the others
                for token in batch:
                    await self._resolve([token])
                return
            _fail(self._pending[batch[0]], error)
            return
        for token in batch:
            future, result = self._pending[token], results[token]
            if isinstance(result, AbtestError):
                _fail(future, result)
            elif not future.done():
                future.set_result(result)


def _expire(collected: "list[asyncio.Future[T]]") -> None:
    for future in collected:
        _fail(future, Unavailable("the database did not answer in time; ask again", code="busy"))


def _fail(future: "asyncio.Future[T]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # whoever asked may be gone; then nobody else reads it
