"""The pages people read."""

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing, suppress
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, StaticFileHandler

from abtest import clock
from abtest.domain import APPS, LONGEST_TOKEN, Status, check_token
from abtest.enrolment import Explanation, ExplanationService
from abtest.errors import AbtestError, InvalidSetting, InvalidToken, UnknownDevice
from abtest.language import forms, number
from abtest.results import (
    MOST_DEVICES,
    Outlook,
    PlannedEffect,
    Report,
    ReportService,
    ResultService,
    Simulated,
    SimulationService,
    find,
    outlook,
)
from abtest.web.access import ADMIN
from abtest.web.base import CROSS_SITE, Handler, OfApp, PageHandler, whole
from abtest.web.pages import planning, rendering
from abtest.web.pages.chart import chart
from abtest.web.pages.telling import sentence, told
from abtest.web.problems import Problem, described

STATIC = Path(__file__).with_name("static")
DEFAULT_DEVICES = 600
FEW_EXPERIMENTS = 5
"""So many are shown in full."""
UNCRAWLED = ("/demo", "/simulate", "/api/", "/ofrep/")


class ReportPage(PageHandler):
    """A page of figures, which says how old they are."""

    def initialize(
        self,
        reports: OfApp[ReportService],
        results: OfApp[ResultService],
        groups: OfApp[ReportService],
        holdouts: OfApp[ReportService],
        stats_interval: float,
    ) -> None:
        self._reports = reports(self.app)
        self._results = results(self.app)
        self._groups = groups(self.app)
        self._holdouts = holdouts(self.app)
        self._old_seconds = max(15.0, 3 * stats_interval)

    def report_page(self, template: str, report: Report, **values: Any) -> None:
        """Finish with this page."""
        old = report.age_seconds is not None and report.age_seconds > self._old_seconds
        self.page(template, report=report, old=old, **values)


class Dashboard(ReportPage):
    """Every experiment with its distribution: a few in full, of many a line each. `q` and `status` choose some."""

    async def get(self) -> None:
        report, verdicts = await self._reports.report(), await self._results.verdicts()
        text, status = self.get_query_argument("q", ""), self.get_query_argument("status", "")
        shown = report.matching(text, status)
        archived = [each for each in shown if each.experiment.status is Status.ARCHIVED]
        self.report_page(
            "dashboard.html",
            report,
            page="dashboard",
            verdicts=verdicts,
            text=text,
            status=status,
            shown=[each for each in shown if each not in archived],
            archived=archived,
            many=len(report.experiments) > FEW_EXPERIMENTS,
            groups=(await self._groups.report()).experiments,
            holdouts=(await self._holdouts.report()).experiments,
        )

    head = get


class Experiment(ReportPage):
    """One experiment in detail."""

    async def get(self, key: str) -> None:
        report = await self._reports.report()
        experiment = find(report, key)
        hours = await self._reports.per_hour(experiment.experiment)
        results, tested = await self._results.one(key), await self._reports.tested(experiment.experiment)
        drawn = chart(hours, now=(report.as_of or 0) // clock.HOUR)
        held = bool((await self._holdouts.report()).experiments)
        grouped = any(key in each.experiment.values for each in (await self._groups.report()).experiments)
        self.report_page(
            "experiment.html",
            report,
            page="",
            it=experiment,
            chart=drawn,
            results=results,
            tested=tested,
            held=held,
            grouped=grouped,
        )

    head = get


class Simulation(Handler):
    """Ends a simulation whose client has gone away."""

    def initialize(self, simulation: OfApp[SimulationService]) -> None:
        self._simulation = simulation(self.app)
        self._running: asyncio.Task[None] | None = None

    async def while_connected(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work; a client that goes away ends it."""
        self._running = asyncio.create_task(work)
        with suppress(asyncio.CancelledError, StreamClosedError):
            await self._running

    def on_connection_close(self) -> None:
        if self._running is not None:
            self._running.cancel()


class Simulate(Simulation, PageHandler):
    """The form, and with `devices` in the query the result as well."""

    async def get(self) -> None:
        if "devices" in self.request.query_arguments:
            await self.while_connected(self._run())
        else:
            self._show()

    def head(self) -> None:
        """The headers alone: what was asked is checked, and nothing is drawn."""
        if "devices" in self.request.query_arguments:
            asked_devices(self)
            asked_effect(self)
        self._show()

    async def _run(self) -> None:
        last: Simulated | None = None
        try:
            devices, planned = asked_devices(self), asked_effect(self)
            async with aclosing(self._simulation.run(devices)) as steps:
                async for step in steps:
                    last = step
        except AbtestError as error:
            self._show(error)
        else:
            self._show(result=last, outlooks=_outlooks(planned, last))

    def _show(self, error: AbtestError | None = None, **result: Any) -> None:
        fields = {"devices": str(DEFAULT_DEVICES), "base": "", "effect": ""}
        shown = {"result": None, "outlooks": {}} | result
        self.page(
            "simulate.html",
            page="simulate",
            most=MOST_DEVICES,
            message=told(self.refuse(error), error, forms.SIMULATION_LABELS) if error else "",
            wrong=error and error.field,
            labels=forms.SIMULATION_LABELS,
            entered={name: self.get_query_argument(name, default) for name, default in fields.items()},
            **shown,
        )


class SimulateRun(Simulation):
    """The same as server-sent events: `progress`, then `result` with the tables, or `failed` with the problem."""

    async def get(self) -> None:
        await self.while_connected(self._run(*self._asked()))

    async def head(self) -> None:
        """The headers alone: without events there is nothing to draw devices for."""
        self._asked()
        await self.flush()

    def refuse(self, error: BaseException) -> Problem:
        return _labelled(super().refuse(error), error)

    def _asked(self) -> tuple[int, PlannedEffect | None]:
        devices, planned = asked_devices(self), asked_effect(self)
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        return devices, planned

    async def _run(self, devices: int, planned: PlannedEffect | None) -> None:
        try:
            async with aclosing(self._simulation.run(devices)) as steps:
                async for step in steps:
                    progress = {"done": step.done, "rate": step.per_second}
                    await self._send("progress", msgspec.json.encode(progress).decode())
        except AbtestError as error:
            document, _ = described(error)
            self.settings["refused"](document.code)
            await self._send("failed", _labelled(document, error).json().decode())
        else:
            tables = rendering.render("_simulated.html", result=step, outlooks=_outlooks(planned, step))
            await self._send("result", tables)

    async def _send(self, event: str, text: str) -> None:
        lines = "".join(f"data: {line}\n" for line in text.splitlines())
        self.write(f"event: {event}\n{lines}\n")
        await self.flush()


class Plan(PageHandler):
    """The planner's form; with a query the answer as well."""

    def get(self) -> None:
        entered = {name: self.get_query_argument(name, default) for name, default in planning.FIELDS.items()}
        if not self.request.query_arguments:
            self._show(entered)
            return
        try:
            answer = planning.answered(entered)
        except InvalidSetting as error:
            self._show(entered, error=error)
        else:
            self._show(entered, answer)

    head = get

    def _show(
        self, entered: dict[str, str], answer: planning.Answer | None = None, error: AbtestError | None = None
    ) -> None:
        self.page(
            "plan.html",
            page="plan",
            entered=entered,
            labels=forms.PLAN_LABELS,
            answer=answer,
            message=told(self.refuse(error), error, forms.PLAN_LABELS) if error else "",
            wrong=error and error.field,
        )


class Why(PageHandler):
    """A form for a token, and what that device has. The token comes in a body, so that no address or log has it."""

    caching = "no-store"

    def initialize(self, explanations: OfApp[ExplanationService]) -> None:
        self._explanations = explanations(self.app)

    def get(self) -> None:
        self._show()

    head = get

    async def post(self) -> None:
        try:
            token = check_token(self.get_body_argument("token", "", strip=False))
            explanation = await self._explanations.why(token)
        except (InvalidToken, UnknownDevice) as error:
            self._show(message=sentence(self.refuse(error).detail))
        else:
            self._show(explanation, token=token)

    def _show(self, explanation: Explanation | None = None, message: str = "", token: str = "") -> None:
        self.page(
            "why.html",
            page="why",
            longest=LONGEST_TOKEN,
            explanation=explanation,
            message=message,
            forgettable=token if self.may(ADMIN) else "",
        )


class Demo(PageHandler):
    """An app to play with, where it is on, and the audiences that decide about its new devices."""

    def initialize(self, reports: OfApp[ReportService]) -> None:
        self._reports = reports(self.app)

    async def get(self) -> None:
        if not self.demo:
            raise HTTPError(HTTPStatus.NOT_FOUND)
        running = [each.experiment for each in (await self._reports.report()).matching(status=Status.RUNNING)]
        self.set_header("X-Robots-Tag", "noindex")
        self.page("demo.html", page="demo", audiences=[each for each in running if each.audience])

    head = get


class Robots(Handler):
    """What crawlers leave alone (RFC 9309): the demo page makes a device each time it is opened."""

    def get(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.set_header("Cache-Control", "no-cache")
        bases = (self.settings["base_path"] + app for app in ("", f"{APPS}*"))
        self.finish("User-agent: *\n" + "".join(f"Disallow: {base}{path}\n" for base in bases for path in UNCRAWLED))

    head = get


class Docs(PageHandler):
    """The API reference."""

    def get(self) -> None:
        self.page("docs.html", page="docs")

    head = get


class Static(StaticFileHandler, PageHandler):
    """Style, scripts and the vendored API reference."""

    async def get(self, path: str, include_body: bool = True) -> None:
        # Tornado would answer 403 outside of the folder, and take a path with a slash too many for one without.
        if path not in static_files():
            raise HTTPError(HTTPStatus.NOT_FOUND)
        await super().get(path, include_body)

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", "no-cache")


@cache
def static_files() -> frozenset[str]:
    """The paths that there are under /static/."""
    return frozenset(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file())


def asked_devices(handler: Handler) -> int:
    """The number of devices in the query. Raises InvalidSetting, or HTTPError when another site's page asks."""
    if handler.request.headers.get("Sec-Fetch-Site") in CROSS_SITE:
        raise HTTPError(HTTPStatus.FORBIDDEN)
    devices = whole(handler.get_query_argument("devices", ""))
    if devices is None or not 1 <= devices <= MOST_DEVICES:
        raise InvalidSetting(f"must be a whole number from 1 to {number(MOST_DEVICES)}", field="devices")
    return devices


def asked_effect(handler: Handler) -> PlannedEffect | None:
    """The planned effect in the query, in percent; None when nothing is entered. Raises InvalidSetting."""
    entered = {name: handler.get_query_argument(name, "") for name in ("base", "effect")}
    if not any(entered.values()):
        return None
    base, effect = (planning.percent(entered, name) for name in entered)
    return PlannedEffect(base, effect).checked()


def _labelled(problem: Problem, error: BaseException) -> Problem:
    """As the form says it: its script shows the detail."""
    return msgspec.structs.replace(problem, detail=told(problem, error, forms.SIMULATION_LABELS))


def _outlooks(planned: PlannedEffect | None, result: Simulated | None) -> dict[str, Outlook]:
    """By the keys of the experiments."""
    if planned is None or result is None:
        return {}
    return {each.experiment.key: outlook(planned, each) for each in result.experiments}
