"""Long words beside short numbers in a real browser: the unit of a difference of rates, and what a test found."""

import pytest
from msgspec import structs

from abtest import clock
from abtest.bootstrap import wired
from abtest.domain import Event
from abtest.results import worker
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from abtest.web.app import make_app
from abtest.web.hot import HotServer
from tests.conftest import Client
from tests.results.test_judging import live
from tests.scenes import answers, experiment, tokens

pytest.importorskip("playwright.async_api", reason="the browser tests need playwright")
from playwright.async_api import Browser, expect

OVERFLOWING = "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.outerHTML)"


@pytest.fixture
def app(store: SQLiteStore) -> HotServer:
    return make_app(wired(store, Settings(database=f"sqlite:///{store.path}")))


async def test_a_difference_of_rates_has_its_unit_and_room(
    browser: Browser, client: Client, store: SQLiteStore
) -> None:
    await store.add([experiment("color", "1", "1", metrics=("conversion:purchase",))], clock.now())
    devices = tokens("phone", 720)
    values = [each["color"] for each in await answers(store, devices)]
    sold = {value: [at for at, it in enumerate(values) if it == value] for value in sorted(set(values))}
    buyers = [*sold["color-0"][:34], *sold["color-1"][:69]]
    await store.track([(devices[at], [Event("1", "purchase")]) for at in buyers], clock.now())
    await worker.tick(store)
    for width in (360, 1280):
        context = await browser.new_context(base_url=client.address, viewport={"width": width, "height": 800})
        page = await context.new_page()
        await page.goto("/experiments/color")
        await expect(page.locator(".forest tbody .unit")).to_have_text("percentage points")
        await expect(page.get_by_text("The axis is in percentage points.")).to_be_visible()
        assert await page.locator(".forest td.number").evaluate_all(OVERFLOWING) == [], width
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await context.close()


async def test_what_the_test_found_has_room_beside_the_plot(
    browser: Browser, client: Client, store: SQLiteStore
) -> None:
    new = structs.replace(experiment("color", "1", "1", metrics=("conversion:purchase",)), planned=4_000)
    await store.add([new], 1)
    await live(store, "a", 4_000, {"color-0": 10, "color-1": 13})
    await worker.tick(store)
    for width in (360, 768, 1100):
        context = await browser.new_context(base_url=client.address, viewport={"width": width, "height": 800})
        page = await context.new_page()
        await page.goto("/experiments/color")
        await expect(page.locator(".forest tbody .tested")).to_have_text("+30% in the test")
        assert await page.locator(".forest td.number").evaluate_all(OVERFLOWING) == [], width
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await context.close()
