"""The pages people read."""

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, StaticFileHandler

from abtest import clock
from abtest.errors import AbtestError, InvalidSetting
from abtest.reports import Report, ReportService, find
from abtest.results import ResultService
from abtest.simulation import MOST_DEVICES, Simulated, SimulationService
from abtest.web import rendering
from abtest.web.base import Handler, PageHandler
from abtest.web.chart import chart
from abtest.web.problems import described

SPECIFICATION = Path(__file__).with_name("openapi.yaml")
STATIC = Path(__file__).with_name("static")
DEFAULT_DEVICES = 600
CROSS_SITE = {"cross-site", "same-site"}


class ReportPage(PageHandler):
    """A page of figures, which says how old they are."""

    def initialize(self, reports: ReportService, results: ResultService, stats_interval: float) -> None:
        self._reports = reports
        self._results = results
        self._old_seconds = max(15.0, 3 * stats_interval)

    def report_page(self, template: str, report: Report, **values: Any) -> None:
        """Finish with this page."""
        old = report.age_seconds is not None and report.age_seconds > self._old_seconds
        self.page(template, report=report, old=old, **values)


class Dashboard(ReportPage):
    """Every experiment with its distribution."""

    async def get(self) -> None:
        report, verdicts = await self._reports.report(), await self._results.verdicts()
        self.report_page("dashboard.html", report, page="dashboard", verdicts=verdicts)

    head = get


class Experiment(ReportPage):
    """One experiment in detail."""

    async def get(self, key: str) -> None:
        report = await self._reports.report()
        experiment = find(report, key)
        hours = await self._reports.per_hour(experiment.experiment)
        results = await self._results.one(key)
        drawn = chart(hours, now=(report.as_of or 0) // clock.HOUR)
        self.report_page("experiment.html", report, page="", it=experiment, chart=drawn, results=results)

    head = get


class Simulation(Handler):
    """Ends a simulation whose client has gone away."""

    def initialize(self, simulation: SimulationService) -> None:
        self._simulation = simulation
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
            self._show(devices=DEFAULT_DEVICES)

    async def _run(self) -> None:
        last: Simulated | None = None
        try:
            devices = asked_devices(self)
            async with aclosing(self._simulation.run(devices)) as steps:
                async for step in steps:
                    last = step
        except AbtestError as error:
            document, _ = described(error)
            self.set_status(document.status)
            self._show(devices=DEFAULT_DEVICES, message=f"{document.detail[:1].upper()}{document.detail[1:]}.")
        else:
            self._show(devices=devices, result=last)

    def _show(self, devices: int, result: Simulated | None = None, message: str = "") -> None:
        self.page(
            "simulate.html", page="simulate", most=MOST_DEVICES, devices=devices, result=result, message=message
        )


class SimulateRun(Simulation):
    """The same as server-sent events: `progress`, then `result` with the tables, or `failed` with the problem."""

    async def get(self) -> None:
        devices = asked_devices(self)
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        await self.while_connected(self._run(devices))

    async def _run(self, devices: int) -> None:
        try:
            async with aclosing(self._simulation.run(devices)) as steps:
                async for step in steps:
                    rate = step.done / step.seconds if step.seconds else 0
                    await self._send(
                        "progress", msgspec.json.encode({"done": step.done, "rate": round(rate)}).decode()
                    )
        except AbtestError as error:
            await self._send("failed", described(error)[0].json().decode())
        else:
            await self._send("result", rendering.render("_simulated.html", result=step))

    async def _send(self, event: str, text: str) -> None:
        lines = "".join(f"data: {line}\n" for line in text.splitlines())
        self.write(f"event: {event}\n{lines}\n")
        await self.flush()


class Docs(PageHandler):
    """The API reference."""

    def get(self) -> None:
        self.page("docs.html", page="docs")

    head = get


class Specification(Handler):
    """The OpenAPI document."""

    def get(self) -> None:
        self.set_header("Content-Type", "application/yaml; charset=UTF-8")
        self.set_header("Cache-Control", "no-cache")
        self.finish(SPECIFICATION.read_bytes())

    head = get


class Static(StaticFileHandler, PageHandler):
    """Style, scripts and the vendored API reference."""

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", "no-cache")


def asked_devices(handler: Handler) -> int:
    """The number of devices in the query. Raises InvalidSetting, or HTTPError when another site's page asks."""
    if handler.request.headers.get("Sec-Fetch-Site") in CROSS_SITE:
        raise HTTPError(HTTPStatus.FORBIDDEN)
    text = handler.get_query_argument("devices")
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidSetting(f"devices: a whole number from 1 to {MOST_DEVICES:,}")
    return int(text)
