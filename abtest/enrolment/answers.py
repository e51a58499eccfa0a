"""Token -> answer. A device's answer never changes, so it is decided once and cached."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from operator import attrgetter
from time import monotonic

import msgspec
from msgspec import Struct

from abtest import clock
from abtest.domain import DEFAULT_APP, DEFAULT_APP_ID, NO_ATTRIBUTES, Attributes, app_of, check_token, scoped
from abtest.enrolment.batching import Batches
from abtest.enrolment.limiting import Limiter, Rate
from abtest.errors import AbtestError, TooManyDevices, Unavailable, UnknownApp
from abtest.store import Delivered, Enrolment, EnrolmentStore


class Answer(Struct, frozen=True):
    """What a device gets: its values, keys in ascending order, as a JSON object of texts with a strong ETag.

    `keys`: those of all experiments of its app, whether the device is in them or not.
    """

    delivered: tuple[Delivered, ...]
    keys: frozenset[str]
    body: bytes
    etag: str


class Asked(Struct, frozen=True):
    """What a first request brings: the source that it counts against, None for this machine, and attributes."""

    source: str | None
    attributes: Attributes


class Limits(Struct, frozen=True):
    """Limits of the service, in seconds and numbers of devices."""

    batch: int = 512
    queue: int = 10_000
    cache: int = 200_000
    deadline: float = 2.0
    per_source: Rate = Rate(0, 0)
    in_all: Rate = Rate(0, 0)


class EnrolmentService:
    """Answers tokens: at once from the cache, else in batches. The store says how many batches it takes at once."""

    def __init__(
        self,
        store: EnrolmentStore,
        limits: Limits,
        decided: Callable[[int, int, float], None] = lambda asked, new, seconds: None,
    ) -> None:
        """`decided` is called after each transaction: devices that asked, how many of them were new, and seconds.

        `cached`: scoped token -> the answer in the cache, if any.
        """
        self._store = store
        self._limits = limits
        self._decided = decided
        self._limiter = Limiter(limits.per_source, limits.in_all)
        self._cache: dict[str, Answer] = {}
        self.cached: Callable[[str], Answer | None] = self._cache.get
        self._rendered: dict[tuple[int, tuple[int, ...]], Answer] = {}
        self._apps: Mapping[str, int] = {DEFAULT_APP: DEFAULT_APP_ID}
        self._config_version = 0
        self._enrolling = Batches[str, Asked, Answer](
            self._enrol, limits.batch, limits.queue, limits.deadline, store.batches_at_once
        )
        self._finding = Batches[str, None, Answer | None](self._find, limits.batch, limits.queue, limits.deadline)
        self.draining = False

    @property
    def waiting(self) -> int:
        """Requests that are waiting for a transaction."""
        return len(self._enrolling) + len(self._finding)

    @property
    def cached_devices(self) -> int:
        """Devices whose answer is in the cache."""
        return len(self._cache)

    @property
    def apps(self) -> Collection[str]:
        """The keys of the apps that this process knows, in the order of creation."""
        return self._apps.keys()

    def app(self, key: str) -> int | None:
        """The number of the app with this key, if this process knows it already."""
        return self._apps.get(key)

    async def find_app(self, key: str) -> int:
        """The number of the app with this key, looked up if this process doesn't know it. Raises UnknownApp."""
        if key not in self._apps:
            await self._learn_apps()
        if key not in self._apps:
            raise UnknownApp(key)
        return self._apps[key]

    def ask(
        self,
        token: str,
        source: str | None = None,
        attributes: Attributes = NO_ATTRIBUTES,
        app: int = DEFAULT_APP_ID,
    ) -> "asyncio.Future[Answer]":
        """The stored answer of a token, after its batch is durable. An unknown token becomes a device.

        `source`: where the request comes from, for the limit on new devices; None is never limited. `attributes`:
        stored with a new device. The future fails with TooManyDevices, Unavailable (`busy`, `storage_full`) or
        StorageError. InvalidToken and Unavailable (`queue_full`, `draining`) are raised at once.
        """
        device = scoped(app, check_token(token))
        waiting = self._enrolling.waiting(device)
        if waiting is not None:
            return waiting
        if self.draining:
            raise Unavailable("the server is stopping; try again", code="draining")
        wait = self._limiter.take(source, monotonic())
        if wait:
            return asyncio.ensure_future(self._only_known(token, app, wait))
        try:
            return self._enrolling.add(device, Asked(source, attributes))
        except Unavailable:
            self._limiter.give_back(source)
            raise

    async def answer(self, token: str, app: int = DEFAULT_APP_ID) -> Answer:
        """As `ask`, but at once if the answer is in the cache, and without a limit on new devices."""
        answer = self.cached(scoped(app, check_token(token)))
        return answer if answer is not None else await asyncio.shield(self.ask(token, app=app))

    async def find(self, token: str, app: int = DEFAULT_APP_ID) -> Answer | None:
        """The answer of a known device; None for an unknown token, which stays unknown."""
        device = scoped(app, check_token(token))
        answer = self.cached(device)
        if answer is not None:
            return answer
        return await asyncio.shield(self._finding.waiting(device) or self._finding.add(device, None))

    async def drain(self) -> None:
        """Take no more devices, and answer the requests that were accepted."""
        self.draining = True
        await self._enrolling.drain()
        await self._finding.drain()

    async def refresh(self) -> None:
        """Empty the cache if an experiment or an app has changed."""
        version = await self._store.config_version()
        if version > self._config_version:
            await self._learn_apps()
        self._notice(version)

    async def _learn_apps(self) -> None:
        self._apps = {app.key: app.id for app in await self._store.apps()}

    async def _only_known(self, token: str, app: int, wait: int) -> Answer:
        answer = await self.find(token, app)
        if answer is None:
            raise TooManyDevices("too many new devices from this address or in all; try again later", wait)
        return answer

    async def _enrol(self, asked: Mapping[str, Asked]) -> Mapping[str, Answer | AbtestError]:
        """The answers, after their transaction is durable. If nothing can be stored, only known devices get one."""
        tokens = list(asked)
        attributes = {token: each.attributes for token, each in asked.items()}
        new: Collection[str] = ()
        began = monotonic()
        try:
            enrolment = await self._store.enrol(tokens, clock.now(), attributes)
            new = enrolment.new
            self._decided(len(tokens), len(new), monotonic() - began)
            return self._remember(enrolment)
        except Unavailable as error:
            known = await self._known(tokens)
            return {token: known.get(token, error) for token in tokens}
        finally:
            for token, each in asked.items():
                if token not in new:
                    self._limiter.give_back(each.source)

    async def _find(self, tokens: Mapping[str, None]) -> Mapping[str, Answer | AbtestError | None]:
        known = await self._known(list(tokens))
        return {token: known.get(token) for token in tokens}

    async def _known(self, tokens: Sequence[str]) -> dict[str, Answer]:
        return self._remember(await self._store.find(tokens))

    def _remember(self, enrolment: Enrolment) -> dict[str, Answer]:
        """The answers of an enrolment. They are cached unless the cache is already newer."""
        self._notice(enrolment.config_version)
        current = enrolment.config_version == self._config_version
        if current:
            self._apps = enrolment.apps
        rendered = self._rendered if current else {}
        if len(rendered) > self._limits.cache:  # with many experiments, nearly every device has an answer of its own
            rendered.clear()
        answers = {}
        for token, variants in enrolment.variants.items():
            app = app_of(token)
            answer = rendered.get((app, variants))
            if answer is None:
                delivered = [enrolment.values[variant] for variant in variants]
                answer = rendered[app, variants] = render(delivered, enrolment.keys.get(app, frozenset()))
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


def render(delivered: Sequence[Delivered], keys: frozenset[str]) -> Answer:
    """The answer with these values. `keys`: those of all experiments."""
    ordered = tuple(sorted(delivered, key=attrgetter("key")))
    body = msgspec.json.encode({each.key: each.value for each in ordered})
    return Answer(ordered, keys, body, etag=f'"{blake2b(body, digest_size=12).hexdigest()}"')
