"""The page for operators, and the same as JSON."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tornado.httpclient import HTTPResponse

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Role
from abtest.management import AccessTokenService
from abtest.results import worker
from abtest.settings import Settings
from abtest.store import Process
from abtest.store.sqlite.store import SQLiteStore
from abtest.upkeep import SystemService
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.processes import Abtest
from tests.scenes import ANNA, opened
from tests.web.visitors import Visitor, person, signed_in

pytest.importorskip("playwright.async_api", reason="the browser tests need playwright")
from playwright.async_api import Browser, expect

PATIENCE = 60_000
STATUS = "/api/v1/admin/status"


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def note(store: SQLiteStore, kind: str, **changed: Any) -> None:
    """A process that was seen a moment ago."""
    now = clock.now()
    process = Process(kind, "alpha", 4321, "1.2", now - clock.HOUR, now, stats_interval=5, free_disk=0)
    await store.note_process(structs.replace(process, **changed), 1)


async def all_well(store: SQLiteStore) -> None:
    await note(store, "server")
    await note(store, "worker", pid=4322)
    await worker.tick(store)


def text(page: HTTPResponse) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.body.decode().split('<main id="content">')[1]).split())


async def test_an_admin_sees_that_all_is_well(client: Client, store: SQLiteStore) -> None:
    await all_well(store)
    page = await (await signed_in(client, store)).get("/system")
    assert (page.code, page.headers["Cache-Control"]) == (200, "private, no-store")
    assert text(page).startswith("System All is well. Statistics updated ")
    assert "ago 0 devices behind; the worker is running" in text(page)
    assert re.search(r"Server 4321 \d+ seconds? ago 1 hour 1\.2 0 alpha", text(page))
    assert "Last backup none" in text(page)
    assert "Refused requests None since" in text(page)


async def test_what_is_wrong_comes_first_with_what_to_do(client: Client, store: SQLiteStore) -> None:
    await note(store, "server", refused={"busy": 2_500, "not_found": 1}, refused_lately={"busy": 1_200})
    page = text(await Visitor(client).get("/system"))
    assert page.startswith(
        "System Something is wrong. Problem: The stats worker is not running: it has never updated"
    )
    assert "Problem: 1,200 requests were refused in the last 5 minutes with the code busy ." in page
    assert "Start it with abtest worker , or start everything with abtest up . Devices" in page
    assert "busy 1,200 2,500 not_found 0 1" in page


async def test_what_can_wait_is_told_apart(client: Client, store: SQLiteStore) -> None:
    await all_well(store)
    await store.note_backup(clock.now() - 9 * clock.DAY)
    page = text(await Visitor(client).get("/system"))
    assert page.startswith(
        "System Nothing is broken, but there is something to do. Warning: The last backup is 9 days"
    )


async def test_growth_is_said_once_it_is_known(client: Client, store: SQLiteStore) -> None:
    assert "known after a day" in text(await Visitor(client).get("/system"))
    await note(store, "server", seen_at=clock.now() - 2 * clock.DAY)
    assert "kB a day measured over 2 days" in text(await Visitor(client).get("/system"))


async def test_whatever_a_host_is_called_the_page_is_whole(client: Client, store: SQLiteStore) -> None:
    await note(store, "server", host="<script>`x`</script>", seen_at=clock.now() - 60_000)
    await note(store, "server", pid=5)
    page = (await Visitor(client).get("/system")).body.decode()
    assert "<script>`" not in page
    assert "on &lt;script&gt;<code>x</code>&lt;/script&gt; has not been seen" in page


async def test_until_the_first_person_exists_whoever_reaches_the_port_sees_it(
    client: Client, store: SQLiteStore
) -> None:
    visitor = Visitor(client)
    assert 'href="/system"' in (await visitor.get("/")).body.decode()
    assert (await visitor.get("/system")).code == 200
    await person(store, "anna")
    assert (await visitor.get("/system")).code == 401


@pytest.mark.parametrize(("role", "where"), [(Role.VIEWER, None), (Role.EDITOR, None), (Role.ADMIN, "default")])
async def test_only_admins_of_every_app_see_it(
    client: Client, store: SQLiteStore, role: Role, where: str | None
) -> None:
    visitor = await signed_in(client, store, role, where)
    page = await visitor.get("/system")
    assert page.code == 403
    assert 'href="/system"' not in page.body.decode()
    assert (await visitor.get(STATUS)).code == 403


async def test_a_program_gets_what_the_command_prints(client: Client, store: SQLiteStore) -> None:
    await all_well(store)
    _, secret = await AccessTokenService(store).add("monitor", Role.ADMIN, None, None, by=ANNA)
    answer = await client.fetch(STATUS, headers={"Authorization": f"Bearer {secret}"})
    assert (answer.code, answer.headers["Cache-Control"]) == (200, "private, no-store")
    found = json.loads(answer.body)
    assert found.keys() == set((await SystemService(store).system()).__struct_fields__)
    assert (found["state"], found["warnings"], len(found["processes"])) == ("ok", [], 2)


async def test_a_program_has_to_sign_in_even_before_the_first_person_exists(client: Client) -> None:
    assert (await client.fetch(STATUS)).code == 401


async def test_the_page_tells_by_itself_what_goes_wrong(tmp_path: Path, browser: Browser) -> None:
    with Abtest(tmp_path / "abtest.db", "up", "--port", "0", "--processes", "1") as up:
        context = await browser.new_context(base_url=f"http://127.0.0.1:{up.port()}")
        page = await context.new_page()
        await page.goto("/system")
        verdict, problem = page.locator(".verdict"), page.locator(".warnings .urgent h2")
        await expect(verdict).to_have_text("All is well.", timeout=PATIENCE)
        async with opened(tmp_path / "abtest.db") as store:
            await note(store, "server", refused={"busy": 7}, refused_lately={"busy": 7})
        await expect(problem).to_contain_text("7 requests were refused", timeout=PATIENCE)
        await expect(verdict).to_have_text("Something is wrong.")


@pytest.mark.parametrize("width", [360, 1280])
async def test_nothing_makes_the_page_wider_than_the_screen(tmp_path: Path, browser: Browser, width: int) -> None:
    async with opened(tmp_path / "abtest.db") as store:
        await note(store, "server", host="h" * 253, refused={"too_many_new_devices": 1_234_567})
        await note(store, "server", host="g" * 253, seen_at=clock.now() - clock.HOUR)
    with Abtest(tmp_path / "abtest.db", "serve", "--port", "0", "--processes", "1") as serving:
        context = await browser.new_context(
            base_url=f"http://127.0.0.1:{serving.port()}", viewport={"width": width, "height": 700}
        )
        page = await context.new_page()
        await page.goto("/system")
        assert await page.locator(".warnings").is_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
