"""Liveness and readiness."""

from abtest.enrolment import EnrolmentService
from abtest.errors import Unavailable
from abtest.web.base import Handler


class Healthz(Handler):
    """The process runs."""

    def get(self) -> None:
        self.write({"status": "ok"})

    head = get


class Readyz(Handler):
    """The process takes devices and reaches its database."""

    def initialize(self, enrolment: EnrolmentService) -> None:
        self._enrolment = enrolment

    async def get(self) -> None:
        if self._enrolment.draining:
            raise Unavailable("the server is stopping", code="draining")
        if self._enrolment.failure is not None:
            raise self._enrolment.failure
        await self._enrolment.refresh()
        self.write({"status": "ready"})

    head = get
