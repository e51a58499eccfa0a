"""Every route on one screen."""

from tornado.web import Application

from abtest.enrolment import EnrolmentService
from abtest.web import ops
from abtest.web.base import Handler, NotFound
from abtest.web.hot import PATH, HotServer


class Experiments(Handler):
    """The methods of the hot path that are not GET or HEAD: `HotServer` answers those."""

    def get(self) -> None:
        raise NotImplementedError

    head = get


def routes(enrolment: EnrolmentService) -> list[tuple[object, ...]]:
    """Path pattern, handler and what the handler needs."""
    return [
        (PATH, Experiments),
        ("/healthz", ops.Healthz),
        ("/readyz", ops.Readyz, {"enrolment": enrolment}),
    ]


def make_app(enrolment: EnrolmentService) -> HotServer:
    """The whole HTTP interface."""
    application = Application(
        routes(enrolment),  # type: ignore[arg-type]  # a list of rules is invariant in Tornado's types
        default_handler_class=NotFound,
        log_function=lambda handler: None,
    )
    return HotServer(enrolment, application)
