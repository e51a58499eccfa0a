"""Token -> answer. What a device was answered never changes, so it is decided once and cached."""

import asyncio
from collections.abc import Sequence
from hashlib import blake2b

import msgspec
from msgspec import Struct

from abtest import clock
from abtest.errors import AbtestError, Unavailable
from abtest.store.base import Enrolment, EnrolmentStore


class Answer(Struct, frozen=True):
    """What a device gets: a JSON object, and the ETag of its bytes for this token's combination."""

    values: dict[str, str]
    body: bytes


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
        self._working: asyncio.Task[None] | None = None
        self.draining = False
        self.failure: AbtestError | None = None

    def cached(self, token: str) -> Answer | None:
        """The answer, when it can be given without waiting."""
        return self._cache.get(token)

    async def answer(self, token: str) -> Answer:
        """The stored answer of a device, which becomes one by asking.

        Raises Unavailable (`busy`, `queue_full`, `storage_full`, `draining`) or StorageError.
        """
        answer = self._cache.get(token)
        if answer is not None:
            return answer
        waiting = self._pending.get(token)
        if waiting is None:
            waiting = self._enqueue(token)
        try:
            return await asyncio.wait_for(asyncio.shield(waiting), self._limits.deadline)
        except TimeoutError:
            raise Unavailable("the database did not answer in time; ask again", code="busy") from None

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
        if self.draining:
            raise Unavailable("the server is stopping; ask again", code="draining")
        if self.failure is not None:
            raise self.failure
        if len(self._pending) >= self._limits.queue:
            raise Unavailable("too many new devices are waiting; ask again", code="queue_full")
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        # A request that gave up at its deadline leaves nobody to read the failure.
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._pending[token] = waiting
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return waiting

    async def _work(self) -> None:
        try:
            while self._pending:
                tokens = list(self._pending)[: self._limits.batch]
                batch = {token: self._pending[token] for token in tokens}
                await self._decide(batch)
                for token in tokens:
                    del self._pending[token]
        finally:
            self._working = None

    async def _decide(self, batch: dict[str, asyncio.Future[Answer]]) -> None:
        """Resolve the futures of a batch, after its transaction is durable."""
        try:
            answers = self._remember(await self._store.enrol(list(batch), clock.now()))
        except Unavailable as error:
            for waiting in batch.values():
                waiting.set_exception(error)
            return
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, AbtestError):
                for token, waiting in batch.items():
                    await self._decide({token: waiting})
                return
            if isinstance(error, AbtestError):
                self.failure = error
            for waiting in batch.values():
                waiting.set_exception(error)
            return
        for token, waiting in batch.items():
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
    return Answer(values=values, body=msgspec.json.encode(values))


def etag(token: str, answer: Answer) -> str:
    """A strong ETag over token and answer: equal for equal answers in every process."""
    return f'"{blake2b(answer.body, key=blake2b(token.encode()).digest(), digest_size=12).hexdigest()}"'
