"""What all handlers of the Application have in common."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from tornado.web import HTTPError, RequestHandler

from abtest.domain import DEFAULT_APP, path_of
from abtest.errors import AbtestError
from abtest.web.base_path import in_app
from abtest.web.origins import Origins, methods
from abtest.web.pages import rendering
from abtest.web.problems import CONTENT_TYPE, Problem, described, unreadable

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

S = TypeVar("S")
OfApp = Callable[[str], S]
"""Gives the service of an app."""

log = logging.getLogger("abtest.web")


class Handler(RequestHandler):
    """Answers errors with problem documents, and sets security headers on every answer.

    `app_id`: the number of the app.
    """

    app_id: int

    @property
    def app(self) -> str:
        """The key of the app that the path names, whether there is one or not."""
        return in_app(self.request.path)[0]

    async def prepare(self) -> None:
        """Look for the app. Raises UnknownApp, also where the path is unknown or does not take the method."""
        self.app_id = await self.settings["enrolment"].find_app(self.app)

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        if methods(self.request.path):
            origins: Origins = self.settings["origins"]
            for name, value in origins.headers(origins.allowed(self.request.headers.get("Origin"))).items():
                self.set_header(name, value)

    def allowed(self) -> list[str]:
        """The methods that this handler has."""
        return [
            method
            for method in self.SUPPORTED_METHODS
            if getattr(type(self), method.lower()) is not getattr(RequestHandler, method.lower())
        ]

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, HTTPError):
            document = unreadable(status_code)
            if status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                self.set_header("Allow", ", ".join(self.allowed()))
            self.settings["refused"](document.code)
        else:
            document = self.refuse(error or RuntimeError())
        self.set_header("Cache-Control", "no-store")
        self.write_problem(document)

    def refuse(self, error: BaseException) -> Problem:
        """The problem of an error, with its status and headers set."""
        document, headers = described(error)
        self.set_status(document.status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.settings["refused"](document.code)
        return document

    def write_problem(self, document: Problem) -> None:
        """Finish with the problem, in the form that this handler's clients expect."""
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(document.json())

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, AbtestError | HTTPError):
            log.error("a request failed", exc_info=(typ, value, tb))


class PageHandler(Handler):
    """Answers people: errors are pages too."""

    caching = "no-cache"

    @property
    def shared(self) -> dict[str, Any]:
        """What every page has.

        `root`: the base path. `base`: what links begin with, so that they stay in the app. `app`, `apps`: the key of
        this app, and of all. `demo`: whether the demo page is on.
        """
        root, apps = self.settings["base_path"], tuple(self.settings["enrolment"].apps)
        app = self.app if self.app in apps else DEFAULT_APP
        return {"root": root, "base": root + path_of(app), "app": app, "apps": apps, "demo": self.demo}

    @property
    def demo(self) -> bool:
        """Whether the demo page is on."""
        return bool(self.settings["demo"])

    def page(self, template: str, **values: Any) -> None:
        """Finish with this page."""
        failed = self.get_status() >= HTTPStatus.BAD_REQUEST
        self.set_header("Cache-Control", "no-store" if failed else self.caching)
        self.finish(rendering.render(template, **self.shared, **values))

    def write_problem(self, document: Problem) -> None:
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.finish(rendering.render("error.html", problem=document, page="", **self.shared))


class NotFound(PageHandler):
    """Answers every path without a route: with a page for people, with a problem document for programs."""

    async def prepare(self) -> None:
        await super().prepare()
        raise HTTPError(HTTPStatus.NOT_FOUND)

    def write_problem(self, document: Problem) -> None:
        if "text/html" in self.request.headers.get("Accept", ""):
            super().write_problem(document)
        else:
            Handler.write_problem(self, document)
