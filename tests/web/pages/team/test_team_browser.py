"""A team in real browsers, with JavaScript and without: invited, signed in, changed, signed out and let go."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.web.pages.test_browser import Product, product

__all__ = ["product"]

PASSWORD, ANOTHER = "correct horse battery", "another horse battery"


async def set_password(page: Page, link: str) -> None:
    await page.goto(f"/sign-in/link/{link.strip().rpartition('/')[2]}")
    await page.get_by_label("New password").fill(PASSWORD)
    await page.get_by_role("button", name="Set password").click()
    await page.wait_for_url("**/")


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_person_comes_and_goes(browser: Browser, product: Product, scripts: bool) -> None:
    admin, ben = [await product.open(browser, "/sign-in", java_script_enabled=scripts) for _ in range(2)]
    await set_password(admin, await product.command("people", "add", "anna", "--role", "admin"))
    await admin.locator("summary", has_text="anna").click()
    await admin.get_by_role("link", name="People").click()
    await admin.get_by_label("Name", exact=True).fill("<b>ben</b>")
    await admin.get_by_label("Role").select_option("editor")
    await admin.get_by_role("button", name="Invite").click()
    await set_password(ben, await admin.get_by_label("The link").input_value())
    await ben.locator("summary", has_text="<b>ben</b>").click()
    await expect(ben.get_by_role("link", name="People")).to_have_count(0)
    await ben.get_by_role("link", name="Your account").click()
    await expect(ben.locator("tbody tr")).to_have_count(1)
    await ben.get_by_label("Current password").fill(PASSWORD)
    await ben.get_by_label("New password").fill(ANOTHER)
    await ben.get_by_role("button", name="Change password").click()
    await expect(ben.get_by_role("status")).to_have_text("Your password is changed. All other sessions have ended.")
    await admin.goto("/people")
    await admin.get_by_role("link", name="<b>ben</b>").click()
    await expect(admin.get_by_role("heading", level=1)).to_have_text("<b>ben</b>")
    await admin.get_by_label("Role").select_option("viewer")
    await admin.get_by_role("button", name="Change role").click()
    await expect(admin.get_by_role("status")).to_have_text("The role is changed, with immediate effect.")
    await admin.locator("summary", has_text="Remove").click()
    await expect(admin.get_by_text("is signed out everywhere at once")).to_be_visible()
    await admin.get_by_role("button", name="Remove").click()
    await expect(admin.get_by_role("status")).to_have_text("The person is removed and signed out everywhere.")
    await ben.goto("/account")
    await expect(ben.get_by_role("heading", level=1)).to_have_text("Sign in")
    product.complaints.clear()  # the browser calls 401 an error
    await admin.goto("/audit")
    await expect(admin.locator("tbody tr").first).to_contain_text("removed <b>ben</b>: role viewer, app every app")
