"""Experiments: what people change of them, as JSON for programs."""

import re
from hashlib import sha256
from http import HTTPStatus

import msgspec
from msgspec import Raw, Struct

from abtest.domain import Experiment, parse_coverage, path_of, revision
from abtest.errors import InvalidField, PreconditionRequired
from abtest.management import DeclaredVariant, ExperimentService, described, read_variants
from abtest.web.access import SAFE_METHODS
from abtest.web.api.admin.base import ADMIN_PATH, AdminHandler
from abtest.web.reading import header
from abtest.web.services import ChangingSeen

TAG = re.compile('"([0-9a-f]{32})-[0-9a-f]{8}"')
"""The revision, and what else the document says: devices come without a change of the revision."""
NEVER = ""
"""The revision of nothing."""


class Nothing(Struct, forbid_unknown_fields=True):
    """A body without fields."""


class Ending(Struct, forbid_unknown_fields=True):
    """How an experiment is finished."""

    winner: str | None = None
    because: str | None = None


class Weights(Struct, forbid_unknown_fields=True):
    """What a new phase begins with; what is not given stays as it is."""

    variants: list[DeclaredVariant] | None = None
    coverage: str | None = None
    stop_at: int | None = None


class ExperimentHandler(AdminHandler):
    """Answers with an experiment and its ETag."""

    tag: str | None = None

    def initialize(self, experiments: ChangingSeen[ExperimentService]) -> None:
        self._experiments = experiments

    @property
    def service(self) -> ExperimentService:
        """Changes an experiment, whatever it is by then."""
        return self._experiments(self.app, by=self.caller.by)

    async def seen(self, key: str) -> ExperimentService:
        """Changes this experiment only as If-Match names it. Raises UnknownExperiment."""
        tags = header(self.request.headers, "If-Match").strip()
        if tags in {"", "*"}:
            return self.service
        named = [match[1] for each in tags.split(",") if (match := TAG.fullmatch(each.strip()))]
        present = revision(await self.service.one(key))
        return self._experiments(self.app, present if present in named else NEVER, by=self.caller.by)

    def tell(self, experiment: Experiment, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Finish with this experiment."""
        document = msgspec.json.encode(described(experiment))
        self.tag = f'"{revision(experiment)}-{sha256(document).hexdigest()[:8]}"'
        if self.request.method not in SAFE_METHODS:
            self.set_header("ETag", self.tag)
        self.answer(Raw(document), status)

    def compute_etag(self) -> str | None:
        return self.tag or super().compute_etag()


class AdminExperiments(ExperimentHandler):
    """All experiments of an app."""

    async def get(self) -> None:
        self.answer([described(each) for each in await self.service.all()])

    head = get

    async def post(self) -> None:
        added = await self.service.create(self.read(dict))
        path = f"{path_of(self.app)}{ADMIN_PATH}/experiments/{added.key}"
        self.set_header("Location", self.settings["base_path"] + path)
        self.tell(added, HTTPStatus.CREATED)


class AdminExperiment(ExperimentHandler):
    """One experiment."""

    async def get(self, key: str) -> None:
        self.tell(await self.service.one(key))

    head = get

    async def patch(self, key: str) -> None:
        if not header(self.request.headers, "If-Match").strip():
            raise PreconditionRequired
        fields = self.read(dict)
        self.tell(await (await self.seen(key)).edit(key, fields))


class AdminStart(ExperimentHandler):
    """Lets a draft take devices."""

    async def post(self, key: str) -> None:
        self.read_or(Nothing())
        self.tell(await (await self.seen(key)).start(key))


class AdminPause(ExperimentHandler):
    """Lets an experiment take no devices for now."""

    async def post(self, key: str) -> None:
        self.read_or(Nothing())
        self.tell(await (await self.seen(key)).pause(key))


class AdminResume(ExperimentHandler):
    """Lets an experiment take devices again."""

    async def post(self, key: str) -> None:
        self.read_or(Nothing())
        self.tell(await (await self.seen(key)).resume(key))


class AdminFinish(ExperimentHandler):
    """Ends an experiment, with a winner or without."""

    async def post(self, key: str) -> None:
        ending = self.read_or(Ending())
        self.tell(await (await self.seen(key)).finish(key, ending.winner, ending.because or ""))


class AdminArchive(ExperimentHandler):
    """Ends the delivery of a key."""

    async def post(self, key: str) -> None:
        self.read_or(Nothing())
        self.tell(await (await self.seen(key)).archive(key))


class AdminWeights(ExperimentHandler):
    """Begins a phase with other weights, another coverage or another end."""

    async def post(self, key: str) -> None:
        wanted = self.read(Weights)
        if wanted == Weights():
            raise InvalidField("give variants, coverage or stop_at", field="body")
        variants = read_variants(wanted.variants or ())
        coverage = None if wanted.coverage is None else parse_coverage(wanted.coverage)
        self.tell(await (await self.seen(key)).reweight(key, variants, coverage, wanted.stop_at))
