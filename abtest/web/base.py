"""What all handlers of the Application have in common."""

import logging
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, TypeVar

from tornado.web import HTTPError, RequestHandler

from abtest.domain import DEFAULT_APP, AccessToken, path_of
from abtest.errors import AbtestError, Forbidden, NotSignedIn
from abtest.language import forms
from abtest.web.access import (
    ADMIN,
    ADMIN_EVERYWHERE,
    EDIT,
    LOOK,
    LOOK_CLOSELY,
    OPEN,
    SAFE_METHODS,
    Caller,
    Callers,
    Need,
    Scope,
)
from abtest.web.base_path import in_app
from abtest.web.origins import Origins, methods
from abtest.web.pages import rendering
from abtest.web.problems import CONTENT_TYPE, Problem, described, unreadable

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

SESSION = "abtest"
"""The cookie with the secret of a session."""
DONE = "did"
"""The cookie that says what the last form did, until a page has shown it."""
CROSS_SITE = {"cross-site", "same-site"}

MOST_DIGITS = 18

S = TypeVar("S")
OfApp = Callable[[str], S]
"""Gives the service of an app."""

NO_ATTEMPT = {"page": "sign-in", "name": "", "message": "", "following": ""}
"""What the sign-in form shows before an attempt."""

log = logging.getLogger("abtest.web")


def whole(text: str) -> int | None:
    """The whole number in this text; None if there is none, or if it is larger than any that is stored."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS else None


def parse_id(text: str) -> int:
    """The number of something, in a path. Raises HTTPError (404) for any other text."""
    id = whole(text)
    if id is None:
        raise HTTPError(HTTPStatus.NOT_FOUND)
    return id


class Handler(RequestHandler):
    """Checks who may call, answers errors with problem documents, and sets security headers on every answer.

    `app_id`: the number of the app. `caller`: nobody in particular where it does not matter.
    """

    app_id: int
    caller = Caller()
    has_forms = False

    @property
    def app(self) -> str:
        """The key of the app that the path names, whether there is such an app or not."""
        return in_app(self.request.path)[0]

    @property
    def callers(self) -> Callers:
        """Finds out who calls."""
        found: Callers = self.settings["callers"]
        return found

    async def prepare(self) -> None:
        """Find the app, and refuse callers who may not call.

        Raises UnknownApp, even if the path does not take the method; NotSignedIn or Forbidden; and HTTPError when a
        page of another site makes a browser send a request that changes something.
        """
        await self.find_app()
        need: Need | None = self.settings["needs"][type(self)].get(self.request.method)
        if need is None:
            raise HTTPError(HTTPStatus.METHOD_NOT_ALLOWED)
        if need is not OPEN:
            self.caller = await self.callers.of(self.request, self.get_cookie(SESSION))
            self.require(need)
        by_browser = (self.has_forms or need is not OPEN) and not isinstance(self.caller.who, AccessToken)
        if by_browser and self.request.method not in SAFE_METHODS:
            if self.request.headers.get("Sec-Fetch-Site") in CROSS_SITE:
                raise HTTPError(HTTPStatus.FORBIDDEN)
            self.check_xsrf_cookie()

    async def find_app(self) -> None:
        """Find the app. Raises UnknownApp."""
        self.app_id = await self.settings["enrolment"].find_app(self.app)

    def url(self, path: str) -> str:
        """The URL of this path for a browser: below the public URL or, without one, at the host of this request."""
        scheme = "https" if self.callers.is_secure(self.request) else "http"
        here = f"{scheme}://{self.request.host}{self.settings['base_path']}"
        return f"{self.settings['public'](here)}{path}"

    def may(self, need: Need) -> bool:
        """Whether whoever calls meets this need in this app."""
        return self.caller.may(need, self.app)

    def require(self, need: Need) -> None:
        """Raises NotSignedIn or Forbidden."""
        if self.may(need):
            return
        if self.caller.who is None:
            raise NotSignedIn
        where = "every app" if need.scope is Scope.EVERY_APP else f"the app {self.app}"
        own = "every app" if self.caller.who.app is None else f"the app {self.caller.who.app}"
        raise Forbidden(f"this needs the role {need.role} for {where}; yours is {self.caller.who.role} for {own}")

    def cookie(self, name: str) -> str:
        """The name of a cookie in this request. With HTTPS, its prefix keeps other hosts from setting it.

        Servers with different base paths on one host don't share it.
        """
        base: str = self.settings["base_path"]
        name += base.replace("/", ".")
        return f"__Host-{name}" if self.callers.is_secure(self.request) else name

    def get_cookie(self, name: str, default: Any = None) -> Any:
        return super().get_cookie(self.cookie(name), default)

    def set_cookie(self, name: str, value: str | bytes, *arguments: Any, **named: Any) -> None:
        """Always HttpOnly; with HTTPS also Secure and for the whole host, as the prefix of its name demands."""
        secure = self.callers.is_secure(self.request)
        path = "/" if secure else self.settings["base_path"] or "/"
        named |= {"path": path, "secure": secure, "httponly": True}
        super().set_cookie(self.cookie(name), value, *arguments, **named)

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        if methods(self.request.path):
            origins: Origins = self.settings["origins"]
            for name, value in origins.headers(origins.allowed(self.request.headers.get("Origin"))).items():
                self.set_header(name, value)

    def keep(self, caching: str) -> None:
        """Say how long the answer may be kept; a shared cache may never keep what is for one person."""
        self.set_header("Cache-Control", f"private, {caching}" if self.caller.who else caching)

    @classmethod
    def allowed(cls) -> list[str]:
        """The methods that this handler has."""
        return [
            method
            for method in cls.SUPPORTED_METHODS
            if getattr(cls, method.lower()) is not getattr(RequestHandler, method.lower())
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
        """The problem for an error. Sets its status and headers too."""
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
    """Answers people: errors are pages too, and somebody who must sign in gets the sign-in form."""

    caching = "no-cache"
    has_forms = True

    @property
    def shared(self) -> dict[str, Any]:
        """What every page has.

        `root`: the base path. `base`: what links begin with, so that they stay in the app. `app`, `apps`: the key of
        this app, and of all that the caller may see. `demo`: whether the demo page is on. `did`: what the last form
        did, in a sentence. `form_token`: gives what each form must send as `_xsrf`.
        """
        root, every = self.settings["base_path"], tuple(self.settings["enrolment"].apps)
        app = self.app if self.app in every else DEFAULT_APP
        return {
            "root": root,
            "base": root + path_of(app),
            "app": app,
            "apps": [each for each in every if self.caller.may(LOOK, each)],
            "demo": self.demo,
            "caller": self.caller,
            "may_look": self.caller.may(LOOK, app),
            "may_look_closely": self.caller.may(LOOK_CLOSELY, app),
            "may_edit": self.caller.may(EDIT, app),
            "may_administer": self.caller.may(ADMIN, app),
            "administers_all": self.caller.may(ADMIN_EVERYWHERE, app),
            "did": self.was_done(),
            "form_token": self.form_token,
            "single_sign_on": self.settings["single_sign_on"],
        }

    @property
    def demo(self) -> bool:
        """Whether the demo page is on."""
        return bool(self.settings["demo"])

    def was_done(self) -> str:
        """What the last form did, in a sentence. It is shown once: this answer deletes the cookie."""
        word = self.get_cookie(DONE, "")
        if word:
            self.clear_cookie(DONE)
        return forms.DID.get(word, "")

    def form_token(self) -> str:
        """What a form sends to show that it comes from a page of this server."""
        return self.xsrf_token.decode()

    def page(self, template: str, **values: Any) -> None:
        """Finish with this page."""
        failed = self.get_status() >= HTTPStatus.BAD_REQUEST
        self.keep("no-store" if failed else self.caching)
        self.finish(rendering.render(template, **self.shared, **values))

    def see_other(self, path: str, did: str = "") -> None:
        """Send the browser to this path of the server. `did`: a word of forms.DID, for what the page then says."""
        if did:
            self.set_cookie(DONE, did, samesite="Lax")
        self.redirect(self.settings["base_path"] + path, status=HTTPStatus.SEE_OTHER)

    def write_problem(self, document: Problem) -> None:
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        if document.code == NotSignedIn.code:
            following = self.request.uri if self.request.method in SAFE_METHODS else ""
            self.finish(rendering.render("sign_in.html", **NO_ATTEMPT | {"following": following}, **self.shared))
        else:
            again = document.passes and "GET" in self.allowed()
            self.finish(rendering.render("error.html", problem=document, again=again, page="", **self.shared))


class NotFound(PageHandler):
    """Answers every path without a route: with a page for people, with a problem document for programs."""

    async def prepare(self) -> None:
        await self.find_app()
        with suppress(AbtestError):  # the page around the error shows who has signed in
            self.caller = await self.callers.of(self.request, self.get_cookie(SESSION))
        raise HTTPError(HTTPStatus.NOT_FOUND)

    def write_problem(self, document: Problem) -> None:
        if "text/html" in self.request.headers.get("Accept", ""):
            super().write_problem(document)
        else:
            Handler.write_problem(self, document)
