"""Token -> answer. What a device was answered never changes, so it is decided once and cached."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from time import monotonic

import msgspec
from msgspec import Struct

from abtest import clock
from abtest.domain import check_token
from abtest.enrolment.batching import Batches
from abtest.enrolment.limiting import Limiter, Rate
from abtest.errors import AbtestError, TooManyDevices, Unavailable
from abtest.store import Enrolment, EnrolmentStore


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
    per_source: Rate = Rate(0, 0)
    in_all: Rate = Rate(0, 0)


class EnrolmentService:
    """Answers tokens: from the cache at once, else through batches, one of which is with the store at a time."""

    def __init__(
        self,
        store: EnrolmentStore,
        limits: Limits,
        decided: Callable[[int, int, float], None] = lambda asked, new, seconds: None,
    ) -> None:
        """`decided` is told of each transaction: devices that asked, how many were new, and its seconds.

        `cached` is the answer of a device when it is at hand.
        """
        self._store = store
        self._limits = limits
        self._decided = decided
        self._limiter = Limiter(limits.per_source, limits.in_all)
        self._cache: dict[str, Answer] = {}
        self.cached: Callable[[str], Answer | None] = self._cache.get
        self._rendered: dict[tuple[int, ...], Answer] = {}
        self._config_version = 0
        self._enrolling = Batches[str, str | None, Answer](self._enrol, limits.batch, limits.queue, limits.deadline)
        self._finding = Batches[str, None, Answer | None](self._find, limits.batch, limits.queue, limits.deadline)
        self.draining = False

    @property
    def waiting(self) -> int:
        """Requests that wait for a transaction."""
        return len(self._enrolling) + len(self._finding)

    @property
    def cached_devices(self) -> int:
        """Devices whose answer is at hand."""
        return len(self._cache)

    def ask(self, token: str, source: str | None = None) -> "asyncio.Future[Answer]":
        """The stored answer of a device, which becomes one by asking, after its batch is durable.

        `source` is whom its new devices are counted under; None is never limited. The future fails with
        TooManyDevices, Unavailable (`busy`, `storage_full`) or StorageError. Raised at once are InvalidToken and
        Unavailable (`queue_full`, `draining`).
        """
        waiting = self._enrolling.waiting(token)
        if waiting is not None:
            return waiting
        check_token(token)
        if self.draining:
            raise Unavailable("the server is stopping; ask again", code="draining")
        wait = self._limiter.take(source, monotonic())
        if wait:
            return asyncio.ensure_future(self._only_known(token, wait))
        try:
            return self._enrolling.add(token, source)
        except Unavailable:
            self._limiter.give_back(source)
            raise

    async def answer(self, token: str) -> Answer:
        """The same at once when it is at hand, and without a limit."""
        answer = self.cached(token)
        return answer if answer is not None else await asyncio.shield(self.ask(token))

    async def find(self, token: str) -> Answer | None:
        """The answer of a known device; None for an unknown one, which stays unknown."""
        answer = self.cached(token)
        if answer is not None:
            return answer
        check_token(token)
        return await asyncio.shield(self._finding.waiting(token) or self._finding.add(token, None))

    async def drain(self) -> None:
        """Take no more devices, and finish those that were accepted."""
        self.draining = True
        await self._enrolling.drain()
        await self._finding.drain()

    async def refresh(self) -> None:
        """Drop what is cached if an experiment changed since it was read."""
        self._notice(await self._store.config_version())

    async def _only_known(self, token: str, wait: int) -> Answer:
        answer = await self.find(token)
        if answer is None:
            raise TooManyDevices("too many new devices from this address; ask again later", wait)
        return answer

    async def _enrol(self, sources: Mapping[str, str | None]) -> Mapping[str, Answer | AbtestError]:
        """Answers, after their transaction is durable; while nothing can be stored, of known devices only."""
        tokens = list(sources)
        new: Collection[str] = ()
        began = monotonic()
        try:
            enrolment = await self._store.enrol(tokens, clock.now())
            new = enrolment.new
            self._decided(len(tokens), len(new), monotonic() - began)
            return self._remember(enrolment)
        except Unavailable as error:
            known = await self._known(tokens)
            return {token: known.get(token, error) for token in tokens}
        finally:
            for token, source in sources.items():
                if source is not None and token not in new:
                    self._limiter.give_back(source)

    async def _find(self, tokens: Mapping[str, None]) -> Mapping[str, Answer | AbtestError | None]:
        known = await self._known(list(tokens))
        return {token: known.get(token) for token in tokens}

    async def _known(self, tokens: Sequence[str]) -> dict[str, Answer]:
        return self._remember(await self._store.find(tokens))

    def _remember(self, enrolment: Enrolment) -> dict[str, Answer]:
        """The answers of an enrolment, kept in the cache unless they are older than what is there."""
        self._notice(enrolment.config_version)
        current = enrolment.config_version == self._config_version
        rendered = self._rendered if current else {}
        if len(rendered) > self._limits.cache:  # with many experiments nearly every device has its own
            rendered.clear()
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
