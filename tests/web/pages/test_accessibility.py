"""Every page in a real browser, light and dark, narrow and wide, by the rules of axe-core."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

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
    SharedLinkService,
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
from playwright.async_api import Browser, Page

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
GRAVE = {"serious", "critical"}
RUN = """async () => (await axe.run({resultTypes: ["violations"]})).violations.map(
  (each) => [each.impact, each.id, each.nodes.map((node) => node.html).slice(0, 3)])"""
NO_COOKIES: Mapping[str, str] = {}
SCHEMES: Sequence[Literal["light", "dark"]] = ("light", "dark")
WIDTHS = (1280, 360)
PAGES = {
    "/": ["/", "/?q=nothing", "/apps/staging/", "/apps/crowded/"],
    "/experiments/([^/]+)": ["/experiments/button_color", "/experiments/price", "/experiments/draft"],
    "/experiments/([^/]+)/start": ["/experiments/draft/start"],
    "/experiments/([^/]+)/pause": ["/experiments/button_color/pause"],
    "/experiments/([^/]+)/resume": ["/experiments/paused/resume"],
    "/experiments/([^/]+)/weights": ["/experiments/button_color/weights"],
    "/experiments/([^/]+)/finish": ["/experiments/button_color/finish"],
    "/experiments/([^/]+)/archive": ["/experiments/button_color/archive", "/experiments/draft/resume"],
    "/experiments/([^/]+)/edit": ["/experiments/button_color/edit"],
    "/experiments/([^/]+)/shared-links": ["/experiments/button_color/shared-links"],
    "/new-experiment": ["/new-experiment", "/new-experiment?like=price"],
    "/groups": ["/groups"],
    "/groups/([^/]+)": ["/groups/screens"],
    "/groups/([^/]+)/join": ["/groups/screens/join"],
    "/groups/([^/]+)/leave": ["/groups/screens/leave"],
    "/holdouts": ["/holdouts"],
    "/holdouts/([^/]+)": ["/holdouts/everything"],
    "/holdouts/([^/]+)/end": ["/holdouts/everything/end"],
    "/holdouts/([^/]+)/metrics": ["/holdouts/everything/metrics"],
    "/test-devices": ["/test-devices"],
    "/test-devices/remove": ["/test-devices/remove"],
    "/shared/([^/]+)": ["/shared/unknown"],
    "/simulate": ["/simulate", "/simulate?devices=60&base=5&effect=20", "/simulate?devices=x"],
    "/plan": ["/plan", "/plan?base=5", "/plan?base=x"],
    "/why": ["/why"],
    "/demo": ["/demo"],
    "/system": ["/system"],
    "/account": ["/account"],
    "/people": ["/people"],
    "/people/edit": ["/people/edit?name=ben", "/people/edit?name=anna"],
    "/access-tokens": ["/access-tokens"],
    "/apps": ["/apps"],
    "/audit": ["/audit", "/audit?by=nobody"],
    "/docs": [],
    "/sign-in": [],
    "/sign-in/link/([^/]+)": [],
    "/sign-in/first/([^/]+)": [],
    "/sign-in/provider": [],
    "/sign-in/provider/return": [],
    "/sign-in/provider/end": [],
}
"""Paths by route. /docs is Swagger UI, which is not ours; who has signed in sees no form to do so."""
SIGNED_OUT = ["/", "/sign-in", "/sign-in/link/LINK", "/sign-in/link/unknown"]


async def everything(store: SQLiteStore) -> None:
    """Something of each kind."""
    experiments = ExperimentService(store, by=ANNA)
    await experiments.add([*DEMO, experiment("draft", "1", "1", draft=True), experiment("paused", "1", "1")])
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
    await experiments.pause("paused")
    await AppService(store, by=ANNA).add("crowded")
    many = [experiment(f"{'long-' * number}{number}", "1", "1") for number in range(6)]
    await ExperimentService(store, "crowded", by=ANNA).add(many)
    await experiments.finish("price", "20", "people pay it")


async def complaints(page: Page, path: str) -> list[str]:
    """What axe-core finds grave on a page, in light and in dark."""
    answer = await page.goto(path)
    assert answer, path
    assert (answer.status == 404) is ("unknown" in path), path
    await page.evaluate(AXE)
    found = []
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        violations: list[Any] = await page.evaluate(RUN)
        found += [f"{path}, {scheme}: {name} {nodes}" for impact, name, nodes in violations if impact in GRAVE]
    return found


async def opened(browser: Browser, client: Client, width: int, cookies: Mapping[str, str] = NO_COOKIES) -> Page:
    """A window of this width with these cookies."""
    context = await browser.new_context(base_url=client.address, viewport={"width": width, "height": 900})
    await context.add_cookies(
        [{"name": name, "value": text, "url": client.address} for name, text in cookies.items()]
    )
    return await context.new_page()


@pytest.mark.parametrize("width", WIDTHS)
async def test_an_admin_finds_nothing_grave_on_any_page(browser: Browser, store: SQLiteStore, width: int) -> None:
    await everything(store)
    settings = Settings(database=f"sqlite:///{store.path}", demo="on")
    async with serving(store, settings) as client:
        visitor, (_, shared) = await signed_in(client, store), await SharedLinkService(store).add("price", by=ANNA)
        page = await opened(browser, client, width, visitor.cookies)
        found = [each for paths in PAGES.values() for path in paths for each in await complaints(page, path)]
        assert found + await complaints(page, f"/shared/{shared}") == []


@pytest.mark.parametrize("width", WIDTHS)
async def test_nor_does_who_has_not_signed_in(browser: Browser, store: SQLiteStore, width: int) -> None:
    await everything(store)
    link = await PeopleService(store, by=ANNA).link("ben")
    async with serving(store, Settings(database=f"sqlite:///{store.path}")) as client:
        page = await opened(browser, client, width)
        found = [each for path in SIGNED_OUT for each in await complaints(page, path.replace("LINK", link.secret))]
        assert found == []


@pytest.mark.parametrize("width", WIDTHS)
async def test_nor_does_the_first_one(browser: Browser, store: SQLiteStore, width: int) -> None:
    link = await SignInService(store).make_first_link()
    async with serving(store, Settings(database=f"sqlite:///{store.path}")) as client:
        page = await opened(browser, client, width)
        found = [each for path in ("/", f"/sign-in/first/{link}") for each in await complaints(page, path)]
        assert found == []


async def test_what_is_grave_is_found(browser: Browser, store: SQLiteStore) -> None:
    async with serving(store, Settings(database=f"sqlite:///{store.path}")) as client:
        page = await opened(browser, client, 1280)

        async def without_labels(route: Any) -> None:
            answer = await route.fetch()
            await route.fulfill(response=answer, body=re.sub("<label.*?</label>", "", await answer.text()))

        await page.route("**/sign-in", without_labels)
        assert "label" in " ".join(await complaints(page, "/sign-in"))


async def test_what_is_grave_in_the_dark_is_found(browser: Browser, store: SQLiteStore) -> None:
    async with serving(store, Settings(database=f"sqlite:///{store.path}")) as client:
        page = await opened(browser, client, 1280)

        async def too_dark(route: Any) -> None:
            answer = await route.fetch()
            style = "<style>@media (prefers-color-scheme: dark) { label { color: #222 !important } }</style>"
            body = (await answer.text()).replace("</head>", f"{style}</head>")
            await route.fulfill(status=200, content_type="text/html", body=body)

        await page.route("**/sign-in", too_dark)
        (found,) = await complaints(page, "/sign-in")
        assert "dark: color-contrast" in found


def test_every_page_is_looked_at(store: SQLiteStore) -> None:
    table = routes(wired(store, Settings()))
    patterns = {
        re.sub(r"/\?$", "", pattern.removeprefix(IN_APP))
        for pattern, handler, _, _ in table
        if issubclass(handler, PageHandler) and handler is not Static and "GET" in handler.allowed()
    }
    assert patterns == set(PAGES)
