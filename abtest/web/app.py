"""Every route on one screen."""

from typing import Any

from msgspec import Struct
from tornado.web import Application, RequestHandler

from abtest.enrolment import EnrolmentService, ExplanationService
from abtest.events import TrackingService
from abtest.results import ReportService, ResultService, SimulationService
from abtest.settings import Settings
from abtest.store import ConditionStore
from abtest.web import ops
from abtest.web.api import handlers as api
from abtest.web.base import NotFound
from abtest.web.hot import HotServer
from abtest.web.monitoring import Monitoring
from abtest.web.ofrep import FLAGS
from abtest.web.origins import EVENTS, Origins
from abtest.web.pages import groups
from abtest.web.pages import handlers as pages
from abtest.web.ways import PATH

Route = tuple[str, type[Any], dict[str, Any]]


class Services(Struct, frozen=True):
    """What the handlers call."""

    enrolment: EnrolmentService
    reports: ReportService
    results: ResultService
    groups: ReportService
    holdouts: ReportService
    holdout_results: ResultService
    tracking: TrackingService
    simulation: SimulationService
    explanations: ExplanationService
    store: ConditionStore
    monitoring: Monitoring
    settings: Settings


def routes(services: Services) -> list[Route]:
    """Path pattern, handler, and what the handler needs."""
    reports = {"reports": services.reports}
    figures = reports | {
        "results": services.results,
        "groups": services.groups,
        "holdouts": services.holdouts,
        "stats_interval": services.settings.stats_interval,
    }
    results = {"results": services.results}
    simulation = {"simulation": services.simulation}
    readiness = {
        "enrolment": services.enrolment,
        "store": services.store,
        "free_disk": services.settings.free_disk,
    }
    return [
        (PATH, api.Experiments, {}),
        (f"{FLAGS}/?", api.Flags, {}),
        (f"{FLAGS}/([^/]+)/?", api.Flags, {}),
        (EVENTS, api.Events, {"tracking": services.tracking}),
        ("/api/v1/stats", api.Stats, reports),
        ("/api/v1/experiments/([^/]+)/results", api.Results, results),
        ("/api/v1/experiments/([^/]+)/results.csv", api.ResultsTable, results),
        ("/healthz", ops.Healthz, {}),
        ("/readyz", ops.Readyz, readiness),
        ("/metrics", ops.Metrics, {"monitoring": services.monitoring, "store": services.store} | reports),
        ("/", pages.Dashboard, figures),
        ("/experiments/([^/]+)", pages.Experiment, figures),
        ("/groups/([^/]+)", groups.Group, figures),
        ("/holdouts/([^/]+)", groups.Holdout, figures | {"results": services.holdout_results}),
        ("/simulate", pages.Simulate, simulation),
        ("/simulate/run", pages.SimulateRun, simulation),
        ("/plan", pages.Plan, {}),
        ("/why", pages.Why, {"explanations": services.explanations}),
        ("/demo", pages.Demo, reports),
        ("/docs", pages.Docs, {}),
        ("/robots.txt", pages.Robots, {}),
        ("/openapi.yaml", api.Specification, {}),
        ("/static/(.+)", pages.Static, {"path": str(pages.STATIC)}),
    ]


def make_app(services: Services) -> HotServer:
    """The whole HTTP interface."""
    rules: list[Any] = list(routes(services))
    origins = Origins(services.settings.cors_origins)

    def answered(handler: RequestHandler) -> None:
        services.monitoring.answered(type(handler).__name__, handler.get_status(), handler.request.request_time())

    application = Application(
        rules,
        default_handler_class=NotFound,
        log_function=answered,
        base_path=services.settings.base_path,
        demo=services.settings.demo == "on",
        origins=origins,
        refused=services.monitoring.refused,
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Strict", "path": services.settings.base_path or "/"},
    )
    return HotServer(services.enrolment, application, services.monitoring, services.settings, origins)
