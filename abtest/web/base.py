"""What every handler of the Application has in common."""

import logging
from typing import Any

from tornado.web import HTTPError, RequestHandler

from abtest.errors import AbtestError
from abtest.web.problems import CONTENT_TYPE, described, problem

CODES = {404: "not_found", 405: "method_not_allowed", 400: "bad_request", 413: "too_large"}
DETAILS = {404: "there is nothing at this path", 405: "this path does not take this method"}

log = logging.getLogger("abtest.web")


class Handler(RequestHandler):
    """Errors as problem documents, security headers on every answer."""

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")

    def compute_etag(self) -> str | None:
        """None: only answers that say so have one."""
        return None

    def allowed(self) -> list[str]:
        """The methods that this handler has."""
        return [
            method
            for method in self.SUPPORTED_METHODS
            if getattr(type(self), method.lower()) is not getattr(RequestHandler, method.lower())
        ]

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        headers: dict[str, str] = {}
        if isinstance(error, HTTPError):
            body = problem(
                status_code,
                CODES.get(status_code, "bad_request"),
                DETAILS.get(status_code, "this request can't be read"),
            )
            if status_code == 405:
                headers["Allow"] = ", ".join(self.allowed())
        else:
            status, body, headers = described(error or RuntimeError())
            self.set_status(status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.set_header("Content-Type", CONTENT_TYPE)
        self.set_header("Cache-Control", "no-store")
        self.finish(body)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, AbtestError | HTTPError):
            log.error("a request failed", exc_info=(typ, value, tb))


class NotFound(Handler):
    """Every path that is not a route."""

    def prepare(self) -> None:
        raise HTTPError(404)
