"""Every page in a real browser, light and dark, narrow and wide, by the rules of axe-core."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Role
from abtest.domain.events import Event
from abtest.management import (
    DEMO,
    AccessTokenService,
    AppService,
    ExperimentService,
    GroupService,
    HoldoutService,
    PeopleService,
    SignInService,
    TestDeviceService,
)
from abtest.results import worker
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import routes
from abtest.web.base import PageHandler
from abtest.web.base_path import IN_APP
from abtest.web.pages.handlers import Static
from tests.conftest import Client, serving
from tests.scenes import ANNA, answers, experiment, tokens
from tests.web.visitors import signed_in

pytest.importorskip("playwright.async_api", reason="the browser tests need playwright")
from playwright.async_api import Browser, BrowserContext, Page

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
GRAVE = {"serious", "critical"}
RUN = """async () => (await axe.run({resultTypes: ["violations"]})).violations.map(
  (each) => [each.impact, each.id, each.nodes.map((node) => node.html).slice(0, 3)])"""
LOOKS = [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)]
PAGES = {
    "/": ["/", "/?q=nothing"],
    "/experiments/([^/]+)": ["/experiments/button_color", "/experiments/price", "/experiments/draft"],
    "/groups/([^/]+)": ["/groups/screens"],
    "/holdouts/([^/]+)": ["/holdouts/everything"],
    "/simulate": ["/simulate", "/simulate?devices=60&base=5&effect=20", "/simulate?devices=x"],
    "/plan": ["/plan", "/plan?base=5", "/plan?base=x"],
    "/why": ["/why"],
    "/demo": ["/demo"],
    "/docs": [],
    "/sign-in": [],
    "/sign-in/link/([^/]+)": [],
    "/sign-in/first/([^/]+)": [],
}
"""Paths by route. /docs is Swagger UI, which is not ours; who has signed in sees no form to do so."""
SIGNED_OUT = ["/", "/sign-in", "/sign-in?did=signed_out", "/sign-in/link/LINK", "/sign-in/link/unknown"]


async def everything(store: SQLiteStore) -> None:
    """Something of each kind."""
    experiments = ExperimentService(store, by=ANNA)
    await experiments.add(
        [*DEMO, experiment("draft", "1", "1", draft=True), experiment("long-" + "x" * 50, "1", "1")]
    )
    await AppService(store, by=ANNA).add("staging")
    await GroupService(store, by=ANNA).add("screens", "one screen each")
    await GroupService(store, by=ANNA).join("screens", "draft", Decimal("0.3"))
    await HoldoutService(store, by=ANNA).add("everything", Decimal("0.05"), metrics=("conversion:purchase",))
    await TestDeviceService(store, by=ANNA).add("my-phone", {"price": "20"}, "on my desk")
    await AccessTokenService(store).add("deploy", Role.EDITOR, by=ANNA)
    await PeopleService(store, by=ANNA).add("ben", Role.VIEWER)
    await answers(store, tokens("device", 60))
    bought = [(token, [Event(f"e-{token}", "purchase", amount=99_900)]) for token in tokens("device", 20)]
    await store.track(bought, clock.now())
    await worker.tick(store)
    await experiments.finish("price", "20")


async def complaints(context: BrowserContext, path: str) -> list[str]:
    """What axe-core finds grave on a page, in every look."""
    page: Page = await context.new_page()
    await page.goto(path)
    await page.evaluate(AXE)
    found: list[str] = []
    for scheme, width in LOOKS:
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # a Literal there
        await page.set_viewport_size({"width": width, "height": 900})
        violations: list[Any] = await page.evaluate(RUN)
        found += [f"{path} {scheme} {width}: {name} {nodes}" for impact, name, nodes in violations if impact in GRAVE]
    await page.close()
    return found


async def opened(browser: Browser, client: Client, cookies: dict[str, str]) -> BrowserContext:
    """A browser with these cookies."""
    context = await browser.new_context(base_url=client.address)
    await context.add_cookies(
        [{"name": name, "value": text, "url": client.address} for name, text in cookies.items()]
    )
    return context


async def test_an_admin_finds_nothing_grave_on_any_page(browser: Browser, store: SQLiteStore) -> None:
    await everything(store)
    settings = Settings(database=f"sqlite:///{store.path}", demo="on")
    async with serving(store, settings) as client:
        visitor = await signed_in(client, store)
        context = await opened(browser, client, visitor.cookies)
        found = [each for paths in PAGES.values() for path in paths for each in await complaints(context, path)]
        assert found == []


async def test_nor_does_who_has_not_signed_in(browser: Browser, store: SQLiteStore) -> None:
    await everything(store)
    link = await PeopleService(store, by=ANNA).link("ben")
    async with serving(store, Settings(database=f"sqlite:///{store.path}")) as client:
        context = await opened(browser, client, {})
        found = [each for path in SIGNED_OUT for each in await complaints(context, path.replace("LINK", link.secret))]
        assert found == []


async def test_nor_does_the_first_one(browser: Browser, store: SQLiteStore) -> None:
    link = await SignInService(store).make_first_link()
    async with serving(store, Settings(database=f"sqlite:///{store.path}")) as client:
        context = await opened(browser, client, {})
        found = [each for path in ("/", f"/sign-in/first/{link}") for each in await complaints(context, path)]
        assert found == []


async def test_what_is_grave_is_found(browser: Browser, store: SQLiteStore) -> None:
    async with serving(store, Settings(database=f"sqlite:///{store.path}")) as client:
        context = await opened(browser, client, {})

        async def without_labels(route: Any) -> None:
            answer = await route.fetch()
            await route.fulfill(response=answer, body=re.sub("<label.*?</label>", "", await answer.text()))

        await context.route("**/sign-in", without_labels)
        assert "label" in " ".join(await complaints(context, "/sign-in"))


def test_every_page_is_looked_at(store: SQLiteStore) -> None:
    table = routes(wired(store, Settings()))
    patterns = {
        re.sub(r"/\?$", "", pattern.removeprefix(IN_APP))
        for pattern, handler, _, _ in table
        if issubclass(handler, PageHandler) and handler is not Static and "GET" in handler.allowed()
    }
    assert patterns == set(PAGES)
