"""Every route on one screen, and who may call it."""

from typing import Any

from tornado.web import Application, RequestHandler

from abtest.domain import PROGRAM
from abtest.enrolment import Proxies
from abtest.store import Table
from abtest.web import ops
from abtest.web.access import (
    ADMIN,
    ADMIN_EVERYWHERE,
    EDIT,
    LOOK,
    LOOK_CLOSELY,
    LOOK_EVERYWHERE,
    OPEN,
    SIGNED_IN,
    VIEW,
    Callers,
    Need,
    Needs,
    needs_by_method,
)
from abtest.web.api import handlers as api
from abtest.web.api.admin import access_tokens, audit, devices, exporting, people, shared_links, status
from abtest.web.api.admin import apps as admin_apps
from abtest.web.api.admin import experiments as living
from abtest.web.api.admin import groups as managed
from abtest.web.api.admin.base import ADMIN_PATH
from abtest.web.base import Handler, NotFound
from abtest.web.base_path import IN_APP
from abtest.web.hot import HotServer
from abtest.web.ofrep import FLAGS
from abtest.web.origins import EVENTS, Origins
from abtest.web.pages import groups, system
from abtest.web.pages import handlers as pages
from abtest.web.pages.changing import acting, editing, forgetting, form, grouping, test_devices
from abtest.web.pages.team import access_tokens as token_pages
from abtest.web.pages.team import account, sharing, signing_in, single_sign_on
from abtest.web.pages.team import apps as app_pages
from abtest.web.pages.team import audit as audit_pages
from abtest.web.pages.team import people as people_pages
from abtest.web.services import Services
from abtest.web.ways import PATH

MANAGED = f"{IN_APP}{ADMIN_PATH}"

Route = tuple[str, type[Handler], Needs, dict[str, Any]]
"""Path pattern, handler, who may call it, and what the handler needs."""


def routes(services: Services) -> list[Route]:
    """Every route. IN_APP: the path may begin with an app."""
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
    management = services.management
    changing, experiments = {"services": management.experiments}, {"experiments": management.experiments}
    of_groups, testing = {"groups": management.groups}, {"test_devices": management.test_devices}
    holding, erasure = {"services": management.holdouts}, {"erasure": management.erasure}
    sharing_links = {"shared_links": management.shared_links}
    exports = {"exports": services.exports, "running": exporting.Running()}
    accounts, apps = {"people": management.people}, {"apps": management.apps}
    programs, journal = {"access_tokens": management.access_tokens}, {"journal": management.journal}
    signing, explaining = {"signing_in": management.signing_in}, {"explanations": services.explanations}
    prospects = {"prospects": services.prospects}
    making = experiments | of_groups | prospects | journal
    acting_on = experiments | reports | results | prospects | journal
    grouped, tested = experiments | of_groups, experiments | testing
    held = {"holdouts": management.holdouts, "reports": services.holdouts} | journal
    device = explaining | erasure
    provider = signing | {"provider": services.provider}
    return [
        (f"{IN_APP}{PATH}", api.Experiments, OPEN, {}),
        (f"{IN_APP}{FLAGS}/?", api.Flags, OPEN, {}),
        (f"{IN_APP}{FLAGS}/([^/]+)/?", api.Flags, OPEN, {}),
        (f"{IN_APP}{EVENTS}", api.Events, OPEN, {"tracking": services.tracking}),
        (f"{IN_APP}/api/v1/stats", api.Stats, LOOK, reports),
        (f"{IN_APP}/api/v1/experiments/([^/]+)/results", api.Results, LOOK, results),
        (f"{IN_APP}/api/v1/experiments/([^/]+)/results.csv", api.ResultsTable, LOOK, results),
        (f"{MANAGED}/experiments/([^/]+)/shared-links", shared_links.SharedLinks, EDIT, sharing_links),
        (
            f"{MANAGED}/experiments/([^/]+)/shared-links/([^/]+)",
            shared_links.SharedLink,
            EDIT,
            sharing_links,
        ),
        ("/api/v1/admin/status", status.Status, ADMIN_EVERYWHERE, {"system": services.system}),
        *((f"{MANAGED}/export/{table}", exporting.Export, ADMIN, exports | {"table": table}) for table in Table),
        (f"{MANAGED}/experiments", living.AdminExperiments, {"GET": VIEW, "POST": EDIT}, changing),
        (f"{MANAGED}/experiments/([^/]+)", living.AdminExperiment, {"GET": VIEW, "PATCH": EDIT}, changing),
        (f"{MANAGED}/experiments/([^/]+)/start", living.AdminStart, EDIT, changing),
        (f"{MANAGED}/experiments/([^/]+)/pause", living.AdminPause, EDIT, changing),
        (f"{MANAGED}/experiments/([^/]+)/resume", living.AdminResume, EDIT, changing),
        (f"{MANAGED}/experiments/([^/]+)/finish", living.AdminFinish, EDIT, changing),
        (f"{MANAGED}/experiments/([^/]+)/archive", living.AdminArchive, EDIT, changing),
        (f"{MANAGED}/experiments/([^/]+)/weights", living.AdminWeights, EDIT, changing),
        (admin_apps.APPS, admin_apps.Apps, ADMIN_EVERYWHERE, apps),
        (f"{admin_apps.APPS}/([^/]+)", admin_apps.App, ADMIN_EVERYWHERE, apps),
        (people.PEOPLE, people.People, ADMIN_EVERYWHERE, accounts),
        (f"{people.PEOPLE}/([^/]+)", people.Person, ADMIN_EVERYWHERE, accounts),
        (f"{people.PEOPLE}/([^/]+)/link", people.PersonLink, ADMIN_EVERYWHERE, accounts),
        (f"{people.PEOPLE}/([^/]+)/accounts", people.PersonAccounts, ADMIN_EVERYWHERE, accounts),
        (f"{people.PEOPLE}/([^/]+)/sessions", people.Sessions, ADMIN_EVERYWHERE, signing),
        (f"{people.PEOPLE}/([^/]+)/sessions/([^/]+)", people.Session, ADMIN_EVERYWHERE, signing),
        (access_tokens.ACCESS_TOKENS, access_tokens.AccessTokens, ADMIN_EVERYWHERE, programs),
        (f"{access_tokens.ACCESS_TOKENS}/([^/]+)", access_tokens.AccessToken, ADMIN_EVERYWHERE, programs),
        (f"{IN_APP}{audit.AUDIT}", audit.Audit, ADMIN, journal),
        (f"{MANAGED}/groups", managed.AdminGroups, {"GET": VIEW, "POST": EDIT}, of_groups),
        (f"{MANAGED}/groups/([^/]+)", managed.AdminGroup, VIEW, of_groups),
        (f"{MANAGED}/groups/([^/]+)/join", managed.AdminJoin, EDIT, of_groups),
        (f"{MANAGED}/groups/([^/]+)/leave", managed.AdminLeave, EDIT, of_groups),
        (f"{MANAGED}/holdouts", managed.AdminHoldouts, {"GET": VIEW, "POST": EDIT}, holding),
        (f"{MANAGED}/holdouts/([^/]+)", managed.AdminHoldout, VIEW, holding),
        (f"{MANAGED}/holdouts/([^/]+)/end", managed.AdminEnd, EDIT, holding),
        (f"{MANAGED}/holdouts/([^/]+)/metrics", managed.AdminMetrics, EDIT, holding),
        (
            f"{MANAGED}/holdouts/([^/]+)/results",
            managed.AdminHoldoutResults,
            VIEW,
            {"results": services.holdout_results},
        ),
        (f"{MANAGED}/test-devices", devices.AdminTestDevices, EDIT, testing),
        (f"{MANAGED}/device", devices.AdminDevice, {"GET": EDIT, "DELETE": ADMIN}, device),
        ("/healthz", ops.Healthz, OPEN, {}),
        ("/readyz", ops.Readyz, OPEN, readiness),
        ("/metrics", ops.Metrics, LOOK, {"monitoring": services.monitoring, "store": services.store} | reports),
        (f"{IN_APP}/", pages.Dashboard, LOOK, figures),
        (f"{IN_APP}/experiments/([^/]+)", pages.Experiment, LOOK, figures),
        (f"{IN_APP}/experiments/([^/]+)/start", acting.Start, EDIT, acting_on),
        (f"{IN_APP}/experiments/([^/]+)/pause", acting.Pause, EDIT, acting_on),
        (f"{IN_APP}/experiments/([^/]+)/resume", acting.Resume, EDIT, acting_on),
        (f"{IN_APP}/experiments/([^/]+)/weights", acting.Weights, EDIT, acting_on),
        (f"{IN_APP}/experiments/([^/]+)/finish", acting.Finish, EDIT, acting_on),
        (f"{IN_APP}/experiments/([^/]+)/archive", acting.Archive, EDIT, acting_on),
        (f"{IN_APP}/experiments/([^/]+)/edit", editing.EditPage, EDIT, making),
        (f"{IN_APP}/experiments/([^/]+)/edit/preview", editing.EditPreviewPart, EDIT, making),
        (f"{IN_APP}/new-experiment", form.NewExperimentPage, EDIT, making),
        (f"{IN_APP}/new-experiment/preview", form.PreviewPart, EDIT, making),
        (f"{IN_APP}/groups", grouping.Groups, {"GET": LOOK, "POST": EDIT}, grouped),
        (f"{IN_APP}/groups/([^/]+)/join", grouping.Join, EDIT, grouped),
        (f"{IN_APP}/groups/([^/]+)/leave", grouping.Leave, EDIT, grouped),
        (f"{IN_APP}/holdouts", grouping.Holdouts, {"GET": LOOK, "POST": EDIT}, held),
        (f"{IN_APP}/holdouts/([^/]+)/end", grouping.EndHoldout, EDIT, held),
        (f"{IN_APP}/holdouts/([^/]+)/metrics", grouping.HoldoutMetrics, EDIT, held),
        (f"{IN_APP}/test-devices", test_devices.TestDevices, EDIT, tested),
        (f"{IN_APP}/test-devices/remove", test_devices.RemoveTestDevice, EDIT, tested),
        (f"{IN_APP}/groups/([^/]+)", groups.Group, LOOK, figures),
        (f"{IN_APP}/holdouts/([^/]+)", groups.Holdout, LOOK, figures | {"results": services.holdout_results}),
        (f"{IN_APP}/experiments/([^/]+)/shared-links", sharing.SharedLinks, EDIT, sharing_links),
        (f"{IN_APP}/experiments/([^/]+)/shared-links/([^/]+)/revoke", sharing.RevokedSharedLink, EDIT, sharing_links),
        ("/shared/([^/]+)", sharing.Shared, OPEN, sharing_links | reports | results),
        (f"{IN_APP}/simulate", pages.Simulate, LOOK, simulation),
        (f"{IN_APP}/simulate/run", pages.SimulateRun, LOOK, simulation),
        (f"{IN_APP}/plan", pages.Plan, LOOK, {}),
        (f"{IN_APP}/why", pages.Why, LOOK_CLOSELY, explaining),
        (f"{IN_APP}/why/forget", forgetting.Forget, ADMIN, erasure),
        (f"{IN_APP}/demo", pages.Demo, LOOK, reports),
        (f"{IN_APP}/docs", pages.Docs, LOOK, {}),
        ("/system", system.System, LOOK_EVERYWHERE, {"system": services.system}),
        ("/sign-in", signing_in.SignIn, OPEN, signing),
        ("/sign-in/link/([^/]+)", signing_in.Link, OPEN, signing),
        ("/sign-in/first/([^/]+)", signing_in.FirstLink, OPEN, signing),
        ("/sign-in/provider", single_sign_on.Begin, OPEN, provider),
        ("/sign-in/provider/return", single_sign_on.Return, OPEN, provider),
        ("/sign-in/provider/end", single_sign_on.SignOutThere, OPEN, provider),
        ("/sign-out", signing_in.SignOut, SIGNED_IN, signing),
        ("/account", account.AccountPage, SIGNED_IN, signing),
        ("/account/password", account.AccountPassword, SIGNED_IN, signing),
        ("/account/sessions", account.AccountSessions, SIGNED_IN, signing),
        ("/people", people_pages.PeoplePage, ADMIN_EVERYWHERE, accounts | signing),
        ("/people/edit", people_pages.PersonPage, ADMIN_EVERYWHERE, accounts | signing),
        ("/people/role", people_pages.PersonRole, ADMIN_EVERYWHERE, accounts | signing),
        ("/people/link", people_pages.PersonNewLink, ADMIN_EVERYWHERE, accounts | signing),
        ("/people/disconnect", people_pages.PersonDisconnection, ADMIN_EVERYWHERE, accounts | signing),
        ("/people/sessions", people_pages.PersonSessions, ADMIN_EVERYWHERE, accounts | signing),
        ("/people/remove", people_pages.PersonRemoval, ADMIN_EVERYWHERE, accounts | signing),
        ("/access-tokens", token_pages.AccessTokensPage, ADMIN_EVERYWHERE, programs),
        ("/access-tokens/([^/]+)/revoke", token_pages.RevokedAccessToken, ADMIN_EVERYWHERE, programs),
        ("/apps", app_pages.AppsPage, ADMIN_EVERYWHERE, apps | reports),
        (f"{IN_APP}/audit", audit_pages.AuditPage, ADMIN, journal),
        ("/robots.txt", pages.Robots, OPEN, {}),
        ("/openapi.yaml", api.Specification, LOOK, {}),
        ("/static/(.+)", pages.Static, OPEN, {"path": str(pages.STATIC)}),
    ]


def declared_needs(table: list[Route]) -> dict[type[Handler], dict[str, Need]]:
    """Who may call each method of each handler. Raises TypeError if it is not declared, or in two ways."""
    found: dict[type[Handler], dict[str, Need]] = {}
    for path, handler, needs, _ in table:
        by_method = needs_by_method(needs, handler.allowed(), path)
        if found.setdefault(handler, by_method) != by_method:
            raise TypeError(f"{path}: {handler.__name__} is declared in another way for another path")
    return found


def make_app(services: Services) -> HotServer:
    """The whole HTTP interface."""
    table = routes(services)
    rules: list[Any] = [(path, handler, arguments) for path, handler, _, arguments in table]
    settings, management = services.settings, services.management
    origins, proxies = Origins(settings.cors_origins), Proxies(settings.trusted_proxies)
    people = management.people(by=PROGRAM)

    def answered(handler: RequestHandler) -> None:
        services.monitoring.answered(type(handler).__name__, handler.get_status(), handler.request.request_time())

    application = Application(
        rules,
        default_handler_class=NotFound,
        enrolment=services.enrolment,
        log_function=answered,
        needs=declared_needs(table),
        callers=Callers(
            management.signing_in,
            management.access_tokens,
            people,
            proxies,
            settings.anonymous,
            settings.proxy_user_header,
        ),
        base_path=settings.base_path,
        public=settings.public,
        demo=settings.demo == "on",
        single_sign_on=services.provider.label if services.provider else "",
        origins=origins,
        refused=services.monitoring.refused,
        xsrf_cookie_kwargs={"samesite": "Strict"},
    )
    server = HotServer(services.enrolment, application, services.monitoring, settings, origins, proxies)
    application.settings["goes_on"] = server.connections.goes_on
    return server
