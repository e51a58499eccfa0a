"""Sharing in a real browser, with JavaScript and without."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.web.pages.test_browser import Product, product

__all__ = ["product"]


async def editor(browser: Browser, product: Product, **options: object) -> Page:
    """A page of somebody who has signed in."""
    link = await product.command("people", "add", "anna", "--role", "editor")
    page = await product.open(browser, f"/sign-in/link/{link.strip().rpartition('/')[2]}", **options)
    await page.get_by_label("New password").fill("correct horse battery")
    await page.get_by_role("button", name="Set password").click()
    await page.goto("/experiments/price")
    return page


@pytest.mark.parametrize("scripts", [True, False])
async def test_an_editor_copies_a_link_and_revokes_it(browser: Browser, product: Product, scripts: bool) -> None:
    page = await editor(
        browser, product, java_script_enabled=scripts, permissions=["clipboard-read", "clipboard-write"]
    )
    await page.get_by_label("Note").fill("for the board")
    await page.get_by_role("button", name="Make a link").click()
    link = await page.get_by_label("The link").input_value()
    copy = page.get_by_role("button", name="Copy")
    if scripts:
        await copy.click()
        await expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert await page.evaluate("navigator.clipboard.readText()") == link
    else:
        await expect(copy).to_be_hidden()
    other = await product.open(browser, f"/shared/{link.rpartition('/')[2]}")
    await expect(other.get_by_role("heading", level=1)).to_have_text("price")
    await expect(other.get_by_role("link")).to_have_count(0)
    await page.locator("summary", has_text="Revoke").click()
    await page.get_by_role("button", name="Revoke it").click()
    await expect(page.get_by_role("status")).to_have_text("The link is revoked and no longer works.")
    answer = await page.request.get(link)
    assert answer.status == 404
