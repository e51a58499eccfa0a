"""Programs make and revoke links to the results of an experiment."""

from typing import Any

import msgspec
import pytest
from tornado.httpclient import HTTPResponse

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Role, Sought
from abtest.management import AccessTokenService, JournalService, SharedLinkService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA, experiment

PATH = "/api/v1/admin/experiments/price/shared-links"


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


class Program:
    """Asks with an access token."""

    def __init__(self, client: Client, token: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    async def ask(self, method: str, path: str = PATH, body: str | None = None) -> HTTPResponse:
        return await self._client.fetch(path, method=method, body=body, headers=self._headers)


async def program(client: Client, store: SQLiteStore, role: Role = Role.EDITOR) -> Program:
    """With two experiments in the store."""
    await store.add([experiment("price", "1", "1"), experiment("color", "1", "1")], clock.now())
    _, token = await AccessTokenService(store).add("ci", role, by=ANNA)
    return Program(client, token)


def read(answer: HTTPResponse) -> Any:
    return msgspec.json.decode(answer.body)


async def test_a_program_makes_lists_and_revokes_links(client: Client, store: SQLiteStore) -> None:
    ci = await program(client, store)
    added = await ci.ask("POST", body='{"note":"for the board"}')
    assert (added.code, added.headers["Cache-Control"]) == (201, "private, no-store")
    made = read(added)
    link = made.pop("link")
    assert link.startswith(f"{client.address}/shared/")
    assert (await client.fetch(link.removeprefix(client.address))).code == 200
    assert read(await ci.ask("GET")) == [made]
    assert made | {"made_at": ""} == {
        "id": 1,
        "experiment": "price",
        "note": "for the board",
        "made_at": "",
        "made_by": {"kind": "access token", "name": "ci"},
    }
    gone = await ci.ask("DELETE", f"{PATH}/1")
    assert (gone.code, gone.body) == (204, b"")
    assert (await client.fetch(link.removeprefix(client.address))).code == 404
    assert read(await ci.ask("GET")) == []
    entries = await JournalService(store).newest(Sought(about="price"), 2)
    assert [(each.action, each.by.name, each.by.address) for each in entries] == [
        ("shared_link.revoke", "ci", "127.0.0.1"),
        ("shared_link.add", "ci", "127.0.0.1"),
    ]


@pytest.mark.parametrize(
    ("body", "status", "code", "told"),
    [
        ('{"note":1}', 422, "invalid_field", "note: must be a text"),
        ('{"name":"x"}', 422, "invalid_field", "name: there is no such field"),
        ('{"note":"%s"}' % ("x" * 201), 422, "invalid_field", "note: must have at most 200"),
        ('{"note":"a\\nb"}', 422, "invalid_field", "note: must be UTF-8 without control"),
        ("", 400, "invalid_json", ""),
    ],
)
async def test_a_body_that_can_not_be_accepted_makes_no_link(
    client: Client, store: SQLiteStore, body: str, status: int, code: str, told: str
) -> None:
    ci = await program(client, store)
    refused = await ci.ask("POST", body=body)
    assert (refused.code, read(refused)["code"]) == (status, code)
    assert told in read(refused)["detail"]
    assert await SharedLinkService(store).all() == []


async def test_a_link_is_revoked_at_its_experiment_alone(client: Client, store: SQLiteStore) -> None:
    ci = await program(client, store)
    await ci.ask("POST", body="{}")
    for path, code in (
        (f"{PATH}/2", "unknown_shared_link"),
        (PATH.replace("price", "color") + "/1", "unknown_shared_link"),
        (PATH.replace("price", "nothing") + "/1", "unknown_experiment"),
        (f"{PATH}/one", "not_found"),
        (f"{PATH}/{'9' * 5000}", "not_found"),
        (f"/apps/nothing{PATH}/1", "unknown_app"),
    ):
        refused = await ci.ask("DELETE", path)
        assert (refused.code, read(refused)["code"]) == (404, code), path
    assert len(await SharedLinkService(store).all()) == 1


async def test_a_viewer_neither_sees_nor_makes_links(client: Client, store: SQLiteStore) -> None:
    viewer = await program(client, store, Role.VIEWER)
    assert (await viewer.ask("GET")).code == 403
    assert (await viewer.ask("POST", body="{}")).code == 403
