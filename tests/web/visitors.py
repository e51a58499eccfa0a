"""People who visit the pages: with cookies and forms, as a browser has them, but without one."""

import re
from collections.abc import Mapping, Sequence
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from tornado.httpclient import HTTPResponse

from abtest.domain import Role
from abtest.management import PeopleService, SignInService
from abtest.store.sqlite.store import SQLiteStore
from tests.conftest import Client
from tests.scenes import ANNA

PASSWORD = "correct horse battery"
FORM = "application/x-www-form-urlencoded"


class Visitor:
    """Keeps cookies as a browser does, and sends what the last page's form has."""

    def __init__(self, client: Client, **headers: str) -> None:
        self.client = client
        self.headers = headers
        self.cookies: dict[str, str] = {}
        self.token = ""

    async def get(self, path: str) -> HTTPResponse:
        return await self._send(path, "GET", None, {"Accept": "text/html"})

    async def post(
        self, path: str, sent: Mapping[str, str] | None = None, **fields: str | Sequence[str]
    ) -> HTTPResponse:
        body = urlencode({"_xsrf": self.token, **fields}, doseq=True)
        return await self._send(path, "POST", body, {"Content-Type": FORM} | dict(sent or {}))

    async def sign_in(self, name: str, password: str = PASSWORD, following: str = "") -> HTTPResponse:
        await self.get("/sign-in")
        return await self.post("/sign-in", name=name, password=password, following=following)

    def led(self, answer: HTTPResponse) -> str:
        """Where an answer leads, and the word for what was done: /groups/screen group_added."""
        return f"{answer.headers['Location']} {self.cookies.get('did', '')}".rstrip()

    async def _send(self, path: str, method: str, body: str | None, headers: dict[str, str]) -> HTTPResponse:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = self.headers | headers | ({"Cookie": cookie} if cookie else {})
        answer = await self.client.fetch(path, method=method, body=body, headers=headers)
        for line in answer.headers.get_list("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
                if not morsel.value:
                    del self.cookies[name]
        if found := re.search(r'name="_xsrf" value="([^"]+)"', answer.body.decode("utf-8", "replace")):
            self.token = found[1]
        return answer


async def person(store: SQLiteStore, name: str, role: Role = Role.ADMIN, app: str | None = None) -> None:
    """Somebody who has the PASSWORD."""
    _, link = await PeopleService(store, by=ANNA).add(name, role, app)
    await SignInService(store).use_link(link.secret, PASSWORD)


async def signed_in(
    client: Client, store: SQLiteStore, role: Role = Role.ADMIN, app: str | None = None, name: str = "anna"
) -> Visitor:
    """Somebody new with this role, who has signed in."""
    await person(store, name, role, app)
    visitor = Visitor(client)
    await visitor.sign_in(name)
    return visitor
