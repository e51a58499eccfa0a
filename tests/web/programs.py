"""Programs that call /api/v1/admin with an access token."""

import json
from typing import Any

from tornado.httpclient import HTTPResponse

from abtest.domain import Role
from abtest.management import AccessTokenService
from abtest.store.sqlite.store import SQLiteStore
from tests.conftest import Client
from tests.scenes import ANNA

JSON = "application/json"


class Program:
    """Sends JSON, and reads it."""

    def __init__(self, client: Client, base: str = "/api/v1/admin", **headers: str) -> None:
        self._client = client
        self._headers = headers
        self._base = base

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> HTTPResponse:
        """`body`: bytes as they are, anything else as JSON; None for none."""
        sent = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent = {"Content-Type": JSON} | sent
            body = body if isinstance(body, bytes) else json.dumps(body)
        options: dict[str, Any] = {"body": body, "allow_nonstandard_methods": True}
        return await self._client.fetch(self._base + path, method=method, headers=sent, **options)

    async def get(self, path: str, **headers: str) -> Any:
        """What the path says. Fails unless it is there."""
        answer = await self.send("GET", path, **headers)
        assert answer.code == 200, answer.body
        return said(answer)


def said(answer: HTTPResponse) -> Any:
    """The document of an answer."""
    return json.loads(answer.body)


def refused(answer: HTTPResponse, status: int, code: str, words: str = "") -> None:
    """Fails unless this was the answer."""
    problem = said(answer)
    assert (answer.code, problem["status"], problem["code"]) == (status, status, code), problem
    assert words in problem["detail"], problem
    assert answer.headers["Content-Type"] == "application/problem+json"


async def program(
    client: Client, store: SQLiteStore, role: Role = Role.EDITOR, app: str | None = None, base: str = "/api/v1/admin"
) -> Program:
    """A program with an access token of this role."""
    _, secret = await AccessTokenService(store).add("ci", role, app, by=ANNA)
    return Program(client, base, Authorization=f"Bearer {secret}")
