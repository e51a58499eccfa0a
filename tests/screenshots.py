"""Takes the pictures of docs/team.md from real pages: python -m tests.screenshots"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from abtest import clock
from abtest.domain import Role, read_attributes
from abtest.domain.events import Event
from abtest.domain.experiments import NewExperiment, Variant
from abtest.results import worker
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from tests.browsers import ARGUMENTS, executable
from tests.conftest import serving
from tests.scenes import ANNA, opened, tokens
from tests.web.visitors import PASSWORD, person

IMAGES = Path(__file__).parents[1] / "docs" / "images"
KEY, OLD, NEW = "checkout_text", "Add to basket", "Buy now"
RATES = {OLD: 0.1, NEW: 0.13}
QUESTION = "Do more people buy when the button says “Buy now”?"
VARIANTS = tuple(Variant(value, Decimal(50)) for value in RATES)
STARTED = NewExperiment(KEY, VARIANTS, QUESTION, metrics=("conversion:purchase",), planned=8000)
DAYS, PER_DAY = 9, 900


async def days_of_devices(store: SQLiteStore) -> None:
    """So many devices on each of the last days. Those in the experiment show what they got, and some of them buy."""
    chance = random.Random(7)
    said = read_attributes([("platform", "ios"), ("app_version", "3.10.0"), ("country", "DE")])
    for day in range(DAYS):
        then, asked = clock.now() - (DAYS - day) * clock.DAY, tokens(f"phone-{day}", PER_DAY)
        enrolled = await store.enrol(asked, then, dict.fromkeys(asked, said))
        for token in asked:
            for variant in enrolled.variants[token]:
                bought = chance.random() < RATES[enrolled.values[variant].value]
                events = [Event("1", "exposure", experiment=KEY), Event("2", "purchase")]
                await store.track([(token, events if bought else events[:1])], then)
    await worker.tick(store)


@asynccontextmanager
async def signed_in(browser: Browser, *there: NewExperiment) -> AsyncIterator[Page]:
    """A page of an admin, in front of a server with these experiments and the devices of some days."""
    with TemporaryDirectory() as folder:
        async with opened(Path(folder) / "abtest.db") as store:
            await store.add(there, clock.now() - (DAYS + 1) * clock.DAY, by=ANNA)
            await person(store, "anna", Role.ADMIN)
            await days_of_devices(store)
            async with serving(store, Settings(database=f"sqlite:///{store.path}")) as client:
                page = await browser.new_page(base_url=client.address)
                await page.goto("/sign-in")
                await fill(page, name="anna", password=PASSWORD)
                await press(page, "Sign in")
                yield page
                await page.close()


async def fill(page: Page, **fields: str) -> None:
    for name, text in fields.items():
        await page.fill(f"#{name.replace('_', '-')}", text)


async def press(page: Page, name: str) -> None:
    async with page.expect_navigation():
        await page.get_by_role("button", name=name).last.click()


async def take(page: Page, name: str, height: int) -> None:
    """The upper part of the page."""
    await page.set_viewport_size({"width": 1100, "height": height})
    await page.screenshot(path=IMAGES / f"{name}.png")


async def from_the_idea(page: Page) -> None:
    await page.goto("/new-experiment")
    await fill(page, key=KEY, description=QUESTION, value_1=OLD, value_2=NEW, event_1="purchase")
    await page.get_by_text("Plan how many devices it needs").click()
    await fill(page, base="10", effect="20")
    await page.get_by_role("button", name="Plan with").click()
    await page.get_by_role("button", name="Plan with").wait_for(state="detached")
    await page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    await take(page, "new-experiment", 780)
    await press(page, "Create the experiment")
    await page.goto("/test-devices")
    await fill(page, token="anna-iphone", note="Anna's iPhone")
    await page.get_by_label(KEY).select_option(NEW)
    await press(page, "Save the test device")
    await page.goto("/test-devices")
    await take(page, "test-devices", 620)
    await page.goto(f"/experiments/{KEY}/start")
    await take(page, "start", 700)


async def to_the_decision(page: Page) -> None:
    await page.goto(f"/experiments/{KEY}")
    await take(page, "running", 600)
    await page.goto(f"/experiments/{KEY}/finish")
    await page.get_by_label(NEW).check()
    await fill(page, because="It sells more, and the words are shorter.")
    await take(page, "finish", 780)
    await press(page, "Finish")
    await page.goto(f"/experiments/{KEY}")
    await take(page, "decision", 500)
    await page.goto("/why")
    await fill(page, token="phone-3-7")
    await press(page, "Explain")
    await take(page, "why", 560)


async def main() -> None:
    async with async_playwright() as playwright:
        browser: Any = await playwright.chromium.launch(
            executable_path=executable(), args=[*ARGUMENTS, "--no-sandbox"]
        )
        async with signed_in(browser) as page:
            await from_the_idea(page)
        async with signed_in(browser, STARTED) as page:
            await to_the_decision(page)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
