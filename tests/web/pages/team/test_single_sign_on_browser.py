"""Single sign-on in a real browser: the provider's own pages, behind a certificate that the browser does not know."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.processes import Abtest, certify, free_port, run, wait_until_answering
from tests.web.single_sign_on.providing import SECRET, Providing, needs_provider

LOCAL = ("http://localhost", "https://127.0.0.1")


async def open_page(browser: Browser, url: str) -> Page:
    """One that takes the provider's certificate, and fetches nothing from elsewhere."""
    context = await browser.new_context(base_url=url, ignore_https_errors=True)
    await context.route(lambda asked: not asked.startswith(LOCAL), lambda route: route.abort())
    return await context.new_page()


async def sign_in_there(page: Page) -> None:
    await page.get_by_role("link", name="Sign in with Example").click()
    await page.get_by_placeholder("Enter any login").fill("1")
    await page.get_by_placeholder("and password").fill("any")
    await page.get_by_role("button", name="Sign-in").click()
    await page.get_by_role("button", name="Continue").click()


@needs_provider
async def test_somebody_with_a_role_there_comes_in_goes_out_and_needs_the_password_again(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certify(tmp_path)
    (tmp_path / "both.pem").write_text((tmp_path / "key.pem").read_text() + (tmp_path / "cert.pem").read_text())
    port, database = free_port(), tmp_path / "abtest.db"
    url = f"http://localhost:{port}"
    provider = await Providing.start(url, str(tmp_path / "both.pem"))
    await provider.account("1", preferred_username="Ben", groups=["staff"])
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    monkeypatch.setenv("ABTEST_OIDC_CLIENT_SECRET", SECRET)
    options = ("--oidc-issuer", provider.issuer, "--oidc-client-id", "abtest", "--oidc-label", "Example")
    roles = ("--oidc-role-claim", "groups", "--oidc-roles", "staff=editor")
    with Abtest(database, "up", "--port", str(port), "--public-url", url, *options, *roles):
        wait_until_answering(port)
        run(database, "people", "add", "anna", "--role", "admin")
        page = await open_page(browser, url)
        await page.goto("/why?a=b%26c")
        await sign_in_there(page)
        await page.wait_for_url(f"{url}/why?a=b%26c")
        await page.locator("summary", has_text="Ben").click()
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("link", name="sign out of Example too").click()
        await page.get_by_role("button", name="Yes, sign me out").click()
        await page.wait_for_url(f"{url}/sign-in")
        await sign_in_there(page)
        await expect(page.get_by_role("link", name="New experiment")).to_be_visible()
    await provider.end()
    assert "Ben, single sign-on" in run(database, "audit", "--about", "Ben").stdout
