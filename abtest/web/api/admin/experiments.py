"""Experiments and their changes, as JSON for programs."""

from http import HTTPStatus

from msgspec import Struct

from abtest.domain import Experiment, parse_coverage
from abtest.errors import InvalidField, PreconditionRequired
from abtest.management import DeclaredVariant, ExperimentService, described, read_variants
from abtest.web.api.admin.base import Nothing
from abtest.web.api.admin.seen import SeenHandler
from abtest.web.reading import header


class Ending(Struct, forbid_unknown_fields=True):
    """How an experiment is finished."""

    winner: str | None = None
    because: str | None = None


class Weights(Struct, forbid_unknown_fields=True):
    """What a new phase begins with; what is not given stays as it is."""

    variants: list[DeclaredVariant] | None = None
    coverage: str | None = None
    stop_at: int | None = None


class ExperimentHandler(SeenHandler[ExperimentService]):
    """Answers as `abtest experiments show --json` does."""

    def show(self, experiment: Experiment, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Finish with this experiment."""
        self.tell(experiment, described(experiment), status)


class AdminExperiments(ExperimentHandler):
    """All experiments of an app."""

    async def get(self) -> None:
        self.answer([described(each) for each in await self.service.all()])

    head = get

    async def post(self) -> None:
        self.show(await self.service.create(self.read(dict)), HTTPStatus.CREATED)


class AdminExperiment(ExperimentHandler):
    """One experiment."""

    async def get(self, key: str) -> None:
        self.show(await self.service.one(key))

    head = get

    async def patch(self, key: str) -> None:
        if not header(self.request.headers, "If-Match").strip():
            raise PreconditionRequired
        fields = self.read(dict)
        self.show(await (await self.seen(key)).edit(key, fields))


class AdminStart(ExperimentHandler):
    """Lets a draft take devices."""

    async def post(self, key: str) -> None:
        self.read_or(Nothing())
        self.show(await (await self.seen(key)).start(key))


class AdminPause(ExperimentHandler):
    """Lets an experiment take no devices for now."""

    async def post(self, key: str) -> None:
        self.read_or(Nothing())
        self.show(await (await self.seen(key)).pause(key))


class AdminResume(ExperimentHandler):
    """Lets an experiment take devices again."""

    async def post(self, key: str) -> None:
        self.read_or(Nothing())
        self.show(await (await self.seen(key)).resume(key))


class AdminFinish(ExperimentHandler):
    """Ends an experiment, with a winner or without."""

    async def post(self, key: str) -> None:
        ending = self.read_or(Ending())
        self.show(await (await self.seen(key)).finish(key, ending.winner, ending.because or ""))


class AdminArchive(ExperimentHandler):
    """Ends the delivery of a key."""

    async def post(self, key: str) -> None:
        self.read_or(Nothing())
        self.show(await (await self.seen(key)).archive(key))


class AdminWeights(ExperimentHandler):
    """Begins a phase with other weights, another coverage or another end."""

    async def post(self, key: str) -> None:
        wanted = self.read(Weights)
        if wanted == Weights():
            raise InvalidField("give variants, coverage or stop_at", field="body")
        variants = read_variants(wanted.variants or ())
        coverage = None if wanted.coverage is None else parse_coverage(wanted.coverage)
        self.show(await (await self.seen(key)).reweight(key, variants, coverage, wanted.stop_at))
