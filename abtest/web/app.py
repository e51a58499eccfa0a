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
from abtest.web.base import NotFound, OfApp
from abtest.web.base_path import IN_APP
from abtest.web.hot import HotServer
from abtest.web.monitoring import Monitoring
from abtest.web.ofrep import FLAGS
from abtest.web.origins import EVENTS, Origins
from abtest.web.pages import groups
from abtest.web.pages import handlers as pages
from abtest.web.ways import PATH

Route = tuple[str, type[Any], dict[str, Any]]


class Services(Struct, frozen=True):
    """What the handlers call. An app has its own reports, results, simulations and explanations."""

    enrolment: EnrolmentService
    reports: OfApp[ReportService]
    results: OfApp[ResultService]
    groups: OfApp[ReportService]
    holdouts: OfApp[ReportService]
    holdout_results: OfApp[ResultService]
    tracking: TrackingService
    simulation: OfApp[SimulationService]
    explanations: OfApp[ExplanationService]
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
        (f"{IN_APP}{PATH}", api.Experiments, {}),
        (f"{IN_APP}{FLAGS}/?", api.Flags, {}),
        (f"{IN_APP}{FLAGS}/([^/]+)/?", api.Flags, {}),
        (f"{IN_APP}{EVENTS}", api.Events, {"tracking": services.tracking}),
        (f"{IN_APP}/api/v1/stats", api.Stats, reports),
        (f"{IN_APP}/api/v1/experiments/([^/]+)/results", api.Results, results),
        (f"{IN_APP}/api/v1/experiments/([^/]+)/results.csv", api.ResultsTable, results),
        ("/healthz", ops.Healthz, {}),
        ("/readyz", ops.Readyz, readiness),
        ("/metrics", ops.Metrics, {"monitoring": services.monitoring, "store": services.store} | reports),
        (f"{IN_APP}/", pages.Dashboard, figures),
        (f"{IN_APP}/experiments/([^/]+)", pages.Experiment, figures),
        (f"{IN_APP}/groups/([^/]+)", groups.Group, figures),
        (f"{IN_APP}/holdouts/([^/]+)", groups.Holdout, figures | {"results": services.holdout_results}),
        (f"{IN_APP}/simulate", pages.Simulate, simulation),
        (f"{IN_APP}/simulate/run", pages.SimulateRun, simulation),
        (f"{IN_APP}/plan", pages.Plan, {}),
        (f"{IN_APP}/why", pages.Why, {"explanations": services.explanations}),
        (f"{IN_APP}/demo", pages.Demo, reports),
        (f"{IN_APP}/docs", pages.Docs, {}),
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
        enrolment=services.enrolment,
        log_function=answered,
        base_path=services.settings.base_path,
        demo=services.settings.demo == "on",
        origins=origins,
        refused=services.monitoring.refused,
        xsrf_cookie_kwargs={"httponly": True, "samesite": "Strict", "path": services.settings.base_path or "/"},
    )
    return HotServer(services.enrolment, application, services.monitoring, services.settings, origins)
