"""The form of an experiment in a real browser: by keyboard, and with the preview beside it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from abtest import clock
from abtest.domain import Role
from abtest.management import ExperimentService
from abtest.settings import Settings
from abtest.store.sqlite.store import SQLiteStore
from tests.conftest import serving
from tests.scenes import ANNA, experiment, tokens
from tests.web.visitors import PASSWORD, person

pytest.importorskip("playwright.async_api", reason="the browser tests need playwright")
from playwright.async_api import Browser, Page, expect

expect.set_options(timeout=60_000)


@asynccontextmanager
async def signed_in(browser: Browser, store: SQLiteStore, path: str, **options: object) -> AsyncIterator[Page]:
    """A page of an editor. No script of it fails, and nothing that its policy forbids is tried."""
    complaints: list[str] = []
    async with serving(store, Settings(database=f"sqlite:///{store.path}")) as client:
        await person(store, "anna", Role.EDITOR)
        context = await browser.new_context(base_url=client.address, **options)  # type: ignore[arg-type]
        context.set_default_timeout(60_000)
        page = await context.new_page()
        context.on("weberror", lambda failed: complaints.append(str(failed.error)))
        context.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        await page.goto(f"/sign-in?following={path}")
        await page.fill("#name", "anna")
        await page.fill("#password", PASSWORD)
        await page.press("#password", "Enter")
        await page.wait_for_url(f"**{path}")
        yield page
        await context.close()
    assert complaints == []


async def test_what_comes_of_it_is_shown_while_somebody_types(browser: Browser, store: SQLiteStore) -> None:
    await store.enrol(tokens("phone", 600), clock.now())
    async with signed_in(browser, store, "/new-experiment") as page:
        beside = page.locator("#preview")
        await expect(beside).to_contain_text("Enter a key and two values")
        await page.fill("#key", "button")
        await page.fill("#value-1", "#FF0000")
        await page.fill("#value-2", "green")
        await page.fill("#weight-2", "25")
        await expect(beside.locator(".shares td.number:not(.quiet)")).to_have_text(["400", "200"])
        await expect(beside.locator(".shares rect")).to_have_count(2)
        await expect(page.locator("#value-2 ~ *, .rows rect[fill=green]")).to_have_count(1)
        await page.fill("#event-1", "purchase")
        await page.get_by_text("Plan how many devices it needs").click()
        await page.fill("#base", "5")
        await page.fill("#effect", "20")
        await expect(beside).to_contain_text("if 600 new devices a day take part")
        await beside.get_by_role("button", name=re.compile("Plan with")).click()
        await expect(page.locator("#planned")).to_have_value(re.compile(r"\d{5}"))
        await expect(page.locator("#planned")).to_be_focused()
        await expect(beside.get_by_role("button")).to_have_count(0)
        await page.fill("#key", "No")
        await expect(beside.get_by_role("link", name="Key")).to_be_visible()
    assert await store.experiments() == []


async def test_a_preview_that_the_server_does_not_give_is_said_to_be_old(
    browser: Browser, store: SQLiteStore
) -> None:
    async with signed_in(browser, store, "/new-experiment") as page:
        beside = page.locator("#preview")
        await page.route("**/preview", lambda route: route.fulfill(status=503))
        await page.fill("#key", "button")
        await expect(beside).to_contain_text("not up to date: the server answered 503. What you typed is still here.")
        await page.unroute("**/preview")
        await page.route("**/preview", lambda route: route.abort())
        await page.fill("#key", "buttons")
        await expect(beside).to_contain_text("not up to date: the server does not answer. What you typed is")


async def test_an_experiment_is_made_with_the_keyboard_alone(browser: Browser, store: SQLiteStore) -> None:
    async with signed_in(browser, store, "/new-experiment") as page:
        await page.focus("#key")
        await page.keyboard.type("button")
        await page.keyboard.press("Enter")  # shows what comes of it, and makes nothing
        await page.focus("#value-1")
        await page.keyboard.type("red")
        add = page.get_by_role("button", name="Add a variant")
        while not await add.evaluate("button => button === document.activeElement"):
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("#value-3")).to_be_focused()
        await page.keyboard.type("blue")
        while not await page.evaluate("document.activeElement.title === 'Remove variant 3'"):
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("#value-3")).to_have_count(0)
        await expect(page.locator("#value-2")).to_be_focused()
        await page.keyboard.type("green")
        await page.focus("text=Create the experiment")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_have_text("The experiment is added, as a draft.")
    (made,) = await store.experiments()
    assert made.values == ("red", "green")


async def test_rows_keep_their_names_and_the_baseline_when_one_goes(browser: Browser, store: SQLiteStore) -> None:
    async with signed_in(browser, store, "/new-experiment") as page:
        for number, text in enumerate(("a", "b", "c", "d"), start=1):
            if number > 2:
                await page.get_by_role("button", name="Add a variant").click()
            await page.fill(f"#value-{number}", text)
        await page.check("#baseline-4")
        await page.get_by_role("button", name="Remove variant 1").click()
        await page.fill("#key", "letters")
        assert await page.locator("#baseline-3").is_checked()
        assert await page.get_by_label("Value 3").input_value() == "d"
        await page.get_by_text("Create the experiment").click()
        await expect(page.get_by_role("status")).to_be_visible()
    (made,) = await store.experiments()
    assert (made.values, made.baseline) == (("b", "c", "d"), "d")


async def test_a_summary_of_faults_has_the_focus_and_leads_to_the_fields(
    browser: Browser, store: SQLiteStore
) -> None:
    async with signed_in(browser, store, "/new-experiment", viewport={"width": 360, "height": 700}) as page:
        await page.fill("#value-1", "<img src=x onerror=alert(1)>")
        await page.fill("#value-2", "b")
        await page.get_by_text("Create the experiment").click()
        await expect(page.locator("#faults")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("#key")).to_be_focused()
        await expect(page.locator("#value-1")).to_have_value("<img src=x onerror=alert(1)>")
        assert await page.evaluate("document.documentElement.scrollWidth <= 360")
    assert await store.experiments() == []


async def test_without_a_script_the_buttons_do_the_same(browser: Browser, store: SQLiteStore) -> None:
    async with signed_in(browser, store, "/new-experiment", java_script_enabled=False) as page:
        await page.fill("#key", "letters")
        await page.get_by_role("button", name="Add a variant").click()
        for number, text in enumerate("abc", start=1):
            await page.fill(f"#value-{number}", text)
        await page.locator(".do").get_by_role("button", name="Preview").click()
        await expect(page.locator("#preview .shares td.number:not(.quiet)")).to_have_text(["200", "200", "200"])
        await page.get_by_text("Create the experiment").click()
        await expect(page.get_by_role("status")).to_be_visible()
    (made,) = await store.experiments()
    assert made.values == ("a", "b", "c")


async def test_weights_are_edited_with_the_phase_said_beside_them_and_not_over_somebody_elses(
    browser: Browser, store: SQLiteStore
) -> None:
    await store.add([experiment("price", "1", "1")], clock.now())
    await store.enrol(tokens("phone", 412), clock.now())
    async with signed_in(browser, store, "/experiments/price/edit") as page:
        await page.fill("#weight-1", "3")
        await expect(page.locator("#preview")).to_contain_text("Begins phase 2: 412 devices keep their value.")
        await ExperimentService(store, by=ANNA).edit("price", {"description": "somebody else asks"})
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator("#faults")).to_be_focused()
        await expect(page.locator("#faults")).to_contain_text("somebody else asks")
        await expect(page.locator("#weight-1")).to_have_value("3")
        await expect(page.locator("#description")).to_have_value("somebody else asks")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("status")).to_have_text("The changes are saved.")
    (changed,) = await store.experiments()
    assert (changed.description, changed.phase.number) == ("somebody else asks", 2)
    assert list(map(str, changed.phase.weights)) == ["3", "1"]


async def test_the_keyboard_skips_what_every_page_has(browser: Browser, store: SQLiteStore) -> None:
    async with signed_in(browser, store, "/new-experiment") as page:
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("Key", exact=True)).to_be_focused()
        await page.keyboard.press("Tab")
        around = page.locator("#description").locator("..")
        await expect(around).to_have_css("overflow-x", "visible")  # or it would cut the mark of the focus


async def test_no_script_fails_where_there_is_nothing_to_weigh(browser: Browser, store: SQLiteStore) -> None:
    await store.add([experiment("color", "1", "1")], 1)
    await ExperimentService(store, by=ANNA).finish("color")
    async with signed_in(browser, store, "/experiments/color/weights") as page:
        await expect(page.get_by_role("link", name="Back to color")).to_be_visible()
        await page.wait_for_load_state()
