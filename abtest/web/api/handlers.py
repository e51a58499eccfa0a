"""JSON for programs, beside the hot path."""

from functools import cache
from http import HTTPStatus
from pathlib import Path

import msgspec

from abtest.events import TrackingService
from abtest.results import ReportService, ResultService, table
from abtest.web import ofrep
from abtest.web.base import Handler, OfApp
from abtest.web.base_path import in_app
from abtest.web.problems import Problem
from abtest.web.reading import device_token, require_json

SERVER, APP_SERVER = "servers:\n  - url: /", "  - url: /apps/"


class Experiments(Handler):
    """The path of apps, for methods other than GET and HEAD, which `HotServer` answers before they get here."""

    def get(self) -> None:
        raise NotImplementedError

    head = get


class Flags(Handler):
    """The paths of OFREP, for methods other than POST, which `HotServer` answers before it gets here."""

    def post(self, key: str | None = None) -> None:
        raise NotImplementedError

    def write_problem(self, document: Problem) -> None:
        # If Tornado refused the request, perhaps only its path is known.
        _, path = in_app(self.request.path)
        way = ofrep.asked(path)
        self.set_header("Content-Type", "application/json")
        self.finish(ofrep.failure(document, way.key if way else None))


class Specification(Handler):
    """The OpenAPI document."""

    def get(self) -> None:
        self.set_header("Content-Type", "application/yaml; charset=UTF-8")
        self.keep("no-cache")
        base = self.settings["base_path"]
        document = specification().replace(SERVER, f"{SERVER}{base.removeprefix('/')}", 1)
        self.finish(document.replace(APP_SERVER, f"  - url: {base}/apps/", 1))

    head = get


@cache
def specification() -> str:
    """The OpenAPI document: the files of `specification/`, in the order of their names."""
    parts = sorted((Path(__file__).parent / "specification").glob("*.yaml"))
    return "".join(part.read_text(encoding="utf-8") for part in parts)


class JsonHandler(Handler):
    """Answers with a document."""

    def json(self, document: msgspec.Struct, caching: str = "no-cache") -> None:
        """Finish with this document."""
        self.set_header("Content-Type", "application/json")
        self.keep(caching)
        self.finish(msgspec.json.encode(document))


class Events(JsonHandler):
    """What happened on a device."""

    def initialize(self, tracking: TrackingService) -> None:
        self._tracking = tracking
        # Otherwise Tornado would parse a form before `post` can refuse it.
        self._content_type = self.request.headers.pop("Content-Type", "")

    async def post(self) -> None:
        token = device_token(self.request.headers)
        require_json(self._content_type)
        accepted = await self._tracking.track(token, self.request.body, self.app_id)
        self.set_status(HTTPStatus.ACCEPTED)
        self.json(accepted, caching="no-store")


class Stats(JsonHandler):
    """The summary that the worker wrote."""

    def initialize(self, reports: OfApp[ReportService]) -> None:
        self._reports = reports(self.app)

    async def get(self) -> None:
        report = await self._reports.report()
        self.json(report.figures)

    head = get


class Results(JsonHandler):
    """The results of an experiment, as the worker computed them."""

    def initialize(self, results: OfApp[ResultService]) -> None:
        self._results = results(self.app)

    async def get(self, key: str) -> None:
        self.json(await self._results.one(key))

    head = get


class ResultsTable(Results):
    """The results as CSV."""

    async def get(self, key: str) -> None:
        results = await self._results.one(key)
        self.set_header("Content-Type", "text/csv; charset=UTF-8")
        self.set_header("Content-Disposition", f'attachment; filename="{results.key}.csv"')
        self.keep("no-cache")
        self.finish(table(results))

    head = get
