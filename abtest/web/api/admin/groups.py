"""Groups and holdouts and their changes, as JSON for programs."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from msgspec import Struct

from abtest.domain import Experiment, Kind, parse_coverage
from abtest.errors import InvalidField, UnknownExperiment
from abtest.management import GroupService, HoldoutService, described_group, described_holdout
from abtest.results import ResultService
from abtest.web.api.admin.base import AdminHandler, Nothing
from abtest.web.api.admin.seen import SeenHandler
from abtest.web.base import OfApp
from abtest.web.services import Changing


class NewGroup(Struct, forbid_unknown_fields=True):
    """A group to create."""

    key: str
    description: str | None = None


class Joining(Struct, forbid_unknown_fields=True):
    """An experiment that joins a group."""

    experiment: str
    share: str


class Leaving(Struct, forbid_unknown_fields=True):
    """An experiment that leaves a group."""

    experiment: str


class NewHoldout(Struct, forbid_unknown_fields=True):
    """A holdout to create."""

    key: str
    share: str
    description: str | None = None
    metrics: list[str] | None = None


class Metrics(Struct, forbid_unknown_fields=True):
    """The metrics that compare held and free devices."""

    metrics: list[str]


class GroupHandler(AdminHandler):
    """Answers with groups."""

    def initialize(self, groups: Changing[GroupService]) -> None:
        self._groups = groups

    @property
    def service(self) -> GroupService:
        """Changes the groups of the app."""
        return self._groups(self.app, by=self.caller.by)


class AdminGroups(GroupHandler):
    """All groups of an app."""

    async def get(self) -> None:
        self.answer([described_group(each) for each in await self.service.all()])

    head = get

    async def post(self) -> None:
        new = self.read(NewGroup)
        added = await self.service.add(new.key, new.description or "")
        self.created(f"groups/{added.key}", described_group(added))


class AdminGroup(GroupHandler):
    """One group."""

    async def get(self, key: str) -> None:
        self.answer(described_group(await self.service.one(key)))

    head = get


class AdminJoin(GroupHandler):
    """Puts an experiment into a group."""

    async def post(self, key: str) -> None:
        joining = self.read(Joining)
        share = parse_coverage(joining.share, "share")
        with _in_body():
            joined = await self.service.join(key, joining.experiment, share)
        self.answer(described_group(joined))


class AdminLeave(GroupHandler):
    """Takes an experiment out of a group."""

    async def post(self, key: str) -> None:
        leaving = self.read(Leaving)
        with _in_body():
            left = await self.service.leave(key, leaving.experiment)
        self.answer(described_group(left))


class HoldoutHandler(SeenHandler[HoldoutService]):
    """Answers as `abtest holdouts list --json` does."""

    def show(self, holdout: Experiment, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Finish with this holdout."""
        self.tell(holdout, described_holdout(holdout), status)


class AdminHoldouts(HoldoutHandler):
    """All holdouts of an app."""

    async def get(self) -> None:
        self.answer([described_holdout(each) for each in await self.service.all()])

    head = get

    async def post(self) -> None:
        new = self.read(NewHoldout)
        share, metrics = parse_coverage(new.share, "share"), tuple(new.metrics or ())
        self.show(await self.service.add(new.key, share, new.description or "", metrics), HTTPStatus.CREATED)


class AdminHoldout(HoldoutHandler):
    """One holdout."""

    async def get(self, key: str) -> None:
        self.show(await self.service.one(key))

    head = get


class AdminEnd(HoldoutHandler):
    """Lets a holdout hold no more devices."""

    async def post(self, key: str) -> None:
        self.read_or(Nothing())
        self.show(await (await self.seen(key)).end(key))


class AdminMetrics(HoldoutHandler):
    """Sets the metrics that compare held and free devices."""

    async def post(self, key: str) -> None:
        metrics = tuple(self.read(Metrics).metrics)
        self.show(await (await self.seen(key)).measure(key, metrics))


class AdminHoldoutResults(AdminHandler):
    """The effect of all experiments together."""

    def initialize(self, results: OfApp[ResultService]) -> None:
        self._results = results(self.app)

    async def get(self, key: str) -> None:
        self.answer(await self._results.one(key))

    head = get


@contextmanager
def _in_body() -> Iterator[None]:
    """Blame the body, not the path, if there is no such experiment."""
    try:
        yield
    except UnknownExperiment as error:
        if error.kind == Kind.GROUP:
            raise
        raise InvalidField("there is no such experiment", field="experiment") from None
