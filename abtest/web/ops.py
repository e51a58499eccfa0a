"""Liveness, readiness and figures for Prometheus."""

from abtest.domain import DEFAULT_APP
from abtest.enrolment import EnrolmentService
from abtest.errors import Unavailable
from abtest.results import ReportService
from abtest.store import ConditionStore, lacking
from abtest.upkeep import LARGE_LOG
from abtest.web.base import Handler, OfApp
from abtest.web.monitoring import CONTENT_TYPE, Monitoring


class Healthz(Handler):
    """The process runs."""

    def get(self) -> None:
        self.write({"status": "ok"})

    head = get


class Readyz(Handler):
    """The process takes devices and reaches its database."""

    def initialize(self, enrolment: EnrolmentService, store: ConditionStore, free_disk: float) -> None:
        self._enrolment = enrolment
        self._store = store
        self._free_disk = free_disk

    async def get(self) -> None:
        if self._enrolment.draining:
            raise Unavailable("the server is stopping", code="draining")
        if self._store.failure is not None:
            raise self._store.failure
        await self._enrolment.refresh()
        condition = await self._store.condition()
        details = [lacking(condition.free_bytes, self._free_disk), _large(condition.log_bytes)]
        detail = "; ".join(each for each in details if each)
        self.write({"status": "ready"} | ({"detail": detail} if detail else {}))

    head = get


def _large(log_bytes: int | None) -> str:
    if log_bytes is None or log_bytes <= LARGE_LOG:
        return ""
    return (
        f"the write-ahead log is {log_bytes >> 20} MB large: a program has been reading the database for a long time"
    )


class Metrics(Handler):
    """Counts, times and sizes for Prometheus."""

    def initialize(self, monitoring: Monitoring, store: ConditionStore, reports: OfApp[ReportService]) -> None:
        self._monitoring = monitoring
        self._store = store
        self._reports = reports(DEFAULT_APP)

    async def get(self) -> None:
        self.set_header("Content-Type", CONTENT_TYPE)
        self.set_header("Cache-Control", "no-store")
        self.finish(self._monitoring.page(await self._store.condition(), await self._reports.report()))

    head = get
