"""The pages of access tokens, apps and the audit log."""

import re
from html import unescape

import pytest

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Role
from abtest.management import AccessTokenService, ExperimentService, PeopleService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.scenes import ANNA, experiment
from tests.web.visitors import signed_in

SCRIPT = '"><script>alert(1)</script>'


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def test_an_access_token_is_shown_once_and_revoked(client: Client, store: SQLiteStore) -> None:
    browser = await signed_in(client, store)
    await browser.get("/access-tokens")
    page = await browser.post("/access-tokens", name=SCRIPT, role="viewer", app="", expires="2100-01-01")
    assert (page.code, page.headers["Cache-Control"]) == (200, "private, no-store")
    (secret,) = re.findall(r'value="(abt_[^"]+)" readonly', page.body.decode())
    assert "<script>alert" not in page.body.decode()
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await client.fetch("/api/v1/stats", headers=headers)).code == 200
    listed = (await browser.get("/access-tokens")).body.decode()
    assert secret not in listed
    assert "1 Jan 2100" in listed.replace("\u202f", " ")
    assert browser.led(await browser.post("/access-tokens/1/revoke")) == "/access-tokens token_revoked"
    assert (await client.fetch("/api/v1/stats", headers=headers)).code == 401
    assert (await browser.post("/access-tokens/1/revoke")).code == 404


async def test_a_refused_access_token_says_why_and_keeps_what_was_typed(client: Client, store: SQLiteStore) -> None:
    browser = await signed_in(client, store)
    await browser.get("/access-tokens")
    page = await browser.post("/access-tokens", name="ci", role="editor", expires="2000-01-01")
    assert page.code == 422
    assert "Last day: has passed already." in page.body.decode()
    assert 'value="ci"' in page.body.decode()
    assert 'value="2000-01-01"' in page.body.decode()
    assert "<option selected>editor</option>" in page.body.decode()
    assert await AccessTokenService(store).all() == []


async def test_an_app_is_added_and_all_are_listed_with_what_is_in_them(client: Client, store: SQLiteStore) -> None:
    await store.add([experiment("price", "1", "1")], 1)
    browser = await signed_in(client, store)
    await browser.get("/apps")
    assert browser.led(await browser.post("/apps", key="staging")) == "/apps app_added"
    page = (await browser.get("/apps")).body.decode()
    assert 'href="/apps/staging/"' in page
    assert "/apps/staging/api/v1/experiments" in page
    assert re.findall(r'data-label="Experiments">(\d+)<', page) == ["1", "0"]
    for key, status, words in (
        ("staging", 409, "The app &#39;staging&#39; already exists."),
        (SCRIPT, 422, "Key: must be 1 to 64 characters from a-z"),
    ):
        refused = await browser.post("/apps", key=key)
        assert refused.code == status
        assert words in refused.body.decode()
        assert "<script>alert" not in refused.body.decode()


def said(page: bytes) -> list[str]:
    """What the entries of a page say, cut as they are."""
    found = re.findall(r"<td>(?:<details class=\"long\"><summary>)?<bdi>(.+?)</bdi>", page.decode())
    return [unescape(each) for each in found]


async def test_the_log_is_read_page_by_page(client: Client, store: SQLiteStore) -> None:
    for number in range(60):
        await store.add_app(f"app-{number}", clock.now(), ANNA)
    browser = await signed_in(client, store)
    first = await browser.get("/audit?by=anna")
    (older,) = re.findall(r'href="([^"]+)" rel="next"', first.body.decode())
    second = await browser.get(unescape(older))
    found = said(first.body) + said(second.body)
    assert len(said(first.body)) == 50
    assert found[-60:] == [f"added the app app-{number}" for number in range(59, -1, -1)]
    assert 'rel="next"' not in second.body.decode()
    (newest,) = re.findall(r'href="([^"]+)">Newest', second.body.decode())
    assert said((await browser.get(unescape(newest))).body) == said(first.body)


async def test_the_log_is_asked_by_name_key_day_and_app(client: Client, store: SQLiteStore) -> None:
    await store.add_app("staging", 1, ANNA)
    await ExperimentService(store, by=ANNA).add([experiment("price", "1", "1")])
    browser = await signed_in(client, store)
    assert said((await browser.get("/audit?about=staging")).body) == ["added the app staging"]
    assert said((await browser.get("/audit?app=staging")).body) == ["added the app staging"]
    assert said((await browser.get("/apps/staging/audit")).body) == ["added the app staging"]
    assert said((await browser.get("/audit?app=default")).body)[0].startswith("added price: status running")
    assert len(said((await browser.get(f"/audit?since={clock.iso(clock.now())[:10]}")).body)) == 3
    page = (await browser.get("/audit?about=staging")).body.decode()
    assert '/api/v1/admin/audit?about=staging&amp;app=&amp;limit=1000&amp;format=csv" download="audit.csv"' in page
    assert "No such changes." in (await browser.get("/audit?about=nothing")).body.decode()
    wrong = await browser.get("/audit?since=yesterday")
    assert wrong.code == 422
    assert "Since: must be a day such as 2026-12-03" in wrong.body.decode()
    assert (await browser.get("/audit?app=nothing")).code == 404


async def test_a_long_value_is_cut_and_the_whole_is_a_fold_away(client: Client, store: SQLiteStore) -> None:
    service = ExperimentService(store, by=ANNA)
    await service.add([experiment("price", "1", "1")])
    await service.finish("price", because=f"it sells more {SCRIPT} {'x' * 300} so there")
    browser = await signed_in(client, store)
    page = (await browser.get("/audit?about=price")).body
    assert said(page)[0].endswith('because “it sells more "><script>…so there” (was none)')
    assert "x" * 300 in page.decode()
    assert b"<script>alert" not in page


async def test_an_admin_of_one_app_sees_its_log_alone(client: Client, store: SQLiteStore) -> None:
    await store.add_app("staging", 1, ANNA)
    await PeopleService(store, by=ANNA).add("zoe", Role.ADMIN)
    browser = await signed_in(client, store, Role.ADMIN, "staging", name="ben")
    page = await browser.get("/apps/staging/audit")
    assert said(page.body) == ["added the app staging"]
    assert (await browser.get("/apps/staging/audit?app=default")).code == 403
    for path in ("/audit", "/people", "/access-tokens", "/apps"):
        assert (await browser.get(path)).code == 403


@pytest.mark.parametrize("path", ["/access-tokens", "/access-tokens/1/revoke", "/apps"])
async def test_another_site_changes_nothing(client: Client, store: SQLiteStore, path: str) -> None:
    await AccessTokenService(store).add("ci", Role.VIEWER, by=ANNA)
    browser = await signed_in(client, store)
    await browser.get("/apps")
    browser.token = "0" * 32
    assert (await browser.post(path, name="x", key="x", role="admin")).code == 403
    assert [each.name for each in await AccessTokenService(store).all()] == ["ci"]
    assert len(await store.apps()) == 1
