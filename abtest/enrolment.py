"""Token -> answer. What a device was answered never changes, so it is decided once and cached."""

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from itertools import islice

import msgspec
from msgspec import Struct

from abtest import clock
from abtest.errors import AbtestError, StorageError, Unavailable
from abtest.models import check_token
from abtest.store.base import Enrolment, EnrolmentStore


class Answer(Struct, frozen=True):
    """What a device gets: a JSON object, and a strong ETag of its bytes."""

    values: dict[str, str]
    body: bytes
    etag: str


class Limits(Struct, frozen=True):
    """Bounds of the service. Seconds and numbers of devices."""

    batch: int = 512
    queue: int = 10_000
    cache: int = 200_000
    deadline: float = 2.0


class EnrolmentService:
    """Answers tokens: from the cache at once, else through batches, one of which is with the store at a time.

    While a batch is with the store the next one collects, so its size follows the load without a timer.
    """

    def __init__(self, store: EnrolmentStore, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._cache: dict[str, Answer] = {}
        self._rendered: dict[tuple[int, ...], Answer] = {}
        self._config_version = 0
        self._pending: dict[str, asyncio.Future[Answer]] = {}
        self._collecting: list[asyncio.Future[Answer]] = []
        self._working: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.draining = False
        self.failure: AbtestError | None = None

    def ask(self, token: str) -> "Answer | asyncio.Future[Answer]":
        """The stored answer of a device, which becomes one by asking: at once, or after its batch is durable.

        The future fails with Unavailable (`busy`) or StorageError; Unavailable (`queue_full`, `draining`) and
        InvalidToken are raised at once. Cancelling the future changes nothing for other requests of the device.
        """
        answer = self._cache.get(token)
        if answer is not None:
            return answer
        waiting = self._pending.get(token)
        if waiting is None or waiting.done():
            waiting = self._enqueue(token)
        return waiting

    async def answer(self, token: str) -> Answer:
        """The same, waiting for it."""
        answer = self.ask(token)
        return answer if isinstance(answer, Answer) else await asyncio.shield(answer)

    async def find(self, token: str) -> Answer | None:
        """The answer of a known device; None for an unknown one, which stays unknown."""
        answer = self._cache.get(token)
        if answer is None:
            answer = self._remember(await self._store.find([token])).get(token)
        return answer

    async def drain(self) -> None:
        """Take no more devices, and finish those that were accepted."""
        self.draining = True
        if self._working is not None:
            await self._working

    async def refresh(self) -> None:
        """Drop what is cached if an experiment changed since it was read."""
        self._notice(await self._store.config_version())

    def _enqueue(self, token: str) -> asyncio.Future[Answer]:
        check_token(token)
        if self.draining:
            raise Unavailable("the server is stopping; ask again", code="draining")
        if self.failure is not None:
            raise self.failure
        if len(self._pending) >= self._limits.queue:
            raise Unavailable("too many new devices are waiting; ask again", code="queue_full")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Answer] = self._loop.create_future()
        self._pending[token] = waiting
        if not self._collecting:
            self._loop.call_later(self._limits.deadline, self._expire, self._collecting)
        self._collecting.append(waiting)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return waiting

    def _expire(self, collected: list[asyncio.Future[Answer]]) -> None:
        """Those who came while one batch was with the store have waited for too long; some may be answered."""
        for waiting in collected:
            if not waiting.done():
                _fail(waiting, Unavailable("the database did not answer in time; ask again", code="busy"))

    async def _work(self) -> None:
        try:
            while self._pending:
                self._collecting = []
                batch = list(islice(self._pending, self._limits.batch))
                await self._decide(batch)
                for token in batch:
                    del self._pending[token]
        finally:
            self._working = None

    async def _decide(self, batch: list[str]) -> None:
        """Resolve the futures of a batch, after its transaction is durable."""
        try:
            answers = self._remember(await self._store.enrol(batch, clock.now()))
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, AbtestError):
                for token in batch:
                    await self._decide([token])
                return
            if isinstance(error, StorageError):
                self.failure = error
            for token in batch:
                _fail(self._pending[token], error)
            return
        for token in batch:
            waiting = self._pending[token]
            if not waiting.done():
                waiting.set_result(answers[token])

    def _remember(self, enrolment: Enrolment) -> dict[str, Answer]:
        """The answers of an enrolment, kept in the cache unless they are older than what is there."""
        self._notice(enrolment.config_version)
        current = enrolment.config_version == self._config_version
        rendered = self._rendered if current else {}
        answers = {}
        for token, variants in enrolment.variants.items():
            answer = rendered.get(variants)
            if answer is None:
                answer = rendered[variants] = render([enrolment.values[variant] for variant in variants])
            answers[token] = answer
        if current:
            while len(self._cache) + len(answers) > self._limits.cache and self._cache:
                del self._cache[next(iter(self._cache))]
            self._cache.update(answers)
        return answers

    def _notice(self, config_version: int) -> None:
        if config_version > self._config_version:
            self._config_version = config_version
            self._cache.clear()
            self._rendered.clear()


def render(pairs: Sequence[tuple[str, str]]) -> Answer:
    """The answer of experiment keys and values, keys in ascending order."""
    values = dict(sorted(pairs))
    body = msgspec.json.encode(values)
    return Answer(values=values, body=body, etag=f'"{blake2b(body, digest_size=12).hexdigest()}"')


def _fail(waiting: asyncio.Future[Answer], error: Exception) -> None:
    if not waiting.done():
        waiting.set_exception(error)
        waiting.exception()  # whoever asked may be gone; then nobody else reads it
