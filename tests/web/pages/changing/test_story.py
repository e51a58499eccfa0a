"""An experiment from its idea to its decision, in a real browser."""

from decimal import Decimal

import pytest

from abtest import clock
from abtest.domain import Role
from abtest.domain.experiments import NewExperiment, Status, Variant
from abtest.management import ExperimentService, PeopleService
from abtest.results import worker
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from tests.conftest import serving
from tests.scenes import ANNA, experiment, tokens
from tests.web.pages.changing.test_in_browser import signed_in
from tests.web.visitors import PASSWORD, person

pytest.importorskip("playwright.async_api", reason="the browser tests need playwright")
from playwright.async_api import Browser, Page, expect

COLOURS = ("#FF0000", "#00FF00", "#0000FF")


async def colours(store: SQLiteStore, draft: bool = False) -> None:
    variants = tuple(Variant(value, Decimal("33.3")) for value in COLOURS)
    await ExperimentService(store, by=ANNA).add([NewExperiment("color", variants, draft=draft)])


async def status(store: SQLiteStore) -> Status:
    return (await ExperimentService(store, by=ANNA).one("color")).status


async def done(page: Page, words: str) -> None:
    await expect(page.get_by_role("status")).to_contain_text(words)


async def tab_to(page: Page, selector: str) -> None:
    """Go on with the Tab key until this has the focus."""
    while not await page.locator(selector).evaluate("wanted => wanted === document.activeElement"):
        await page.keyboard.press("Tab")


async def test_a_person_is_invited_and_takes_an_experiment_from_its_idea_to_its_decision(
    browser: Browser, store: SQLiteStore
) -> None:
    _, link = await PeopleService(store, by=ANNA).add("eve", Role.EDITOR)
    async with serving(store, Settings(database=f"sqlite:///{store.path}")) as client:
        context = await browser.new_context(base_url=client.address)
        page = await context.new_page()
        await page.goto(f"/sign-in/link/{link.secret}")
        await page.fill("#password", PASSWORD)
        await page.get_by_role("button", name="Set password").click()
        await page.get_by_role("link", name="New experiment").first.click()
        await page.fill("#key", "color")
        await page.get_by_role("button", name="Add a variant").click()
        for place, value in enumerate(COLOURS, start=1):
            await page.fill(f"#value-{place}", value)
        await page.fill("#event-1", "purchase")
        await page.get_by_role("button", name="Create the experiment").click()
        await page.get_by_role("link", name="Start", exact=True).click()
        await expect(page.locator(".checks .ready").first).to_contain_text("Judged by: Conversion of purchase")
        await page.get_by_role("button", name="Start anyway").click()
        await done(page, "Started")
        await store.enrol(tokens("phone", 600), clock.now())
        await worker.tick(store)
        await expect(page.locator(".distribution td[data-devices='200']")).to_have_count(3)
        await page.get_by_role("link", name="New weights").click()
        await expect(page.get_by_text("600 devices keep their values.")).to_be_visible()
        await page.get_by_label("Weight of #00FF00").fill("4")
        await page.get_by_label("Weight of #FF0000").fill("1")
        await page.get_by_label("Weight of #0000FF").fill("1")
        await expect(page.locator("output")).to_have_text(["100", "400", "100", "0"])
        await page.get_by_role("button", name="Begin phase 2").click()
        await done(page, "A new phase has begun.")
        await page.get_by_role("link", name="Finish").click()
        await page.get_by_label("#00FF00").check()
        await page.get_by_label("Why?").fill("it sells")
        await page.get_by_role("button", name="Finish").click()
        await done(page, "Finished")
        await expect(page.locator(".decision")).to_contain_text("it sells")
        await page.get_by_text("Signed in as eve").click()
        await page.get_by_role("button", name="Sign out").click()
        await done(page, "You are signed out.")
        assert (await status(store)) is Status.FINISHED


async def test_a_viewer_sees_no_button_and_is_refused_by_hand(browser: Browser, store: SQLiteStore) -> None:
    await colours(store)
    await person(store, "ben", Role.VIEWER)
    async with serving(store, Settings(database=f"sqlite:///{store.path}")) as client:
        page = await (await browser.new_context(base_url=client.address)).new_page()
        await page.goto("/sign-in?following=/experiments/color")
        await page.fill("#name", "ben")
        await page.fill("#password", PASSWORD)
        await page.press("#password", "Enter")
        await expect(page.locator("h1")).to_have_text("color")
        await expect(page.locator(".actions, main form")).to_have_count(0)
        answer = await page.goto("/experiments/color/pause")
        assert answer
        assert answer.status == 403
        assert await status(store) is Status.RUNNING


async def test_the_keyboard_alone_pauses_an_experiment(browser: Browser, store: SQLiteStore) -> None:
    await colours(store)
    async with signed_in(browser, store, "/experiments/color") as page:
        await tab_to(page, "#act-pause")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/pause")
        await tab_to(page, "form.act button")
        await page.keyboard.press("Enter")
        await done(page, "Paused")
    assert await status(store) is Status.PAUSED


async def test_the_buttons_of_an_open_page_follow_the_status(browser: Browser, store: SQLiteStore) -> None:
    await colours(store, draft=True)
    async with signed_in(browser, store, "/experiments/color") as page:
        await page.focus("#act-start")
        await ExperimentService(store, by=ANNA).start("color")
        await expect(page.locator("#act-pause")).to_be_visible()
        await expect(page.locator("#act-start")).to_have_count(0)
        assert await page.evaluate("document.activeElement === document.body")  # Enter does nothing else by mistake


async def test_what_somebody_changed_is_said_beside_what_was_typed(browser: Browser, store: SQLiteStore) -> None:
    await colours(store)
    async with signed_in(browser, store, "/experiments/color/finish") as page:
        await page.get_by_label("#0000FF").check()
        await page.get_by_label("Why?").fill("<script>alert(1)</script>")
        await ExperimentService(store, by=ANNA).pause("color")
        await page.get_by_role("button", name="Finish").click()
        await expect(page.get_by_role("alert")).to_contain_text("anna changed color: status paused (was running)")
        await expect(page.get_by_label("#0000FF")).to_be_checked()
        await expect(page.get_by_label("Why?")).to_have_value("<script>alert(1)</script>")
        await page.get_by_role("button", name="Finish").click()
        await expect(page.locator(".because")).to_have_text("<script>alert(1)</script>")


async def test_without_a_script_shares_are_shown_by_a_button_and_by_enter(
    browser: Browser, store: SQLiteStore
) -> None:
    await store.add([experiment("color", "1", "1")], clock.now())
    path = "/experiments/color/weights"
    async with signed_in(
        browser, store, path, java_script_enabled=False, viewport={"width": 360, "height": 700}
    ) as page:
        await page.get_by_label("Weight of color-0").fill("2")
        await page.get_by_role("button", name="Show the shares").click()
        await expect(page.locator("output")).to_have_text(["400", "200", "0"])
        await page.get_by_label("Coverage").fill("50%")
        await page.get_by_label("Coverage").press("Enter")
        await expect(page.locator("output")).to_have_text(["200", "100", "300"])
        await page.get_by_role("button", name="Begin phase 2").click()
        await done(page, "A new phase has begun.")
