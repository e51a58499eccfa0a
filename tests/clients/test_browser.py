"""The TypeScript client in a real browser: with its localStorage, two tabs, and no network at times."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from tests.clients.conftest import Product
from tests.clients.network import Network

pytest.importorskip("playwright.async_api", reason="the browser tests need playwright")
from playwright.async_api import Browser, BrowserContext, Page

APP = """
<script type="module">
import { keyed, start } from "/app/abtest.js";
const options = { timeout: Number(localStorage.getItem("timeout") ?? 20), sendEvery: 0.1, pause: 0.1 };
const server = location.hash.slice(1) || location.origin;
window.abtest = await start(server, keyed(localStorage), { platform: "web" }, options);
document.title = window.abtest.value("color", "default");
</script>
"""


@pytest.fixture
def context(
    drivers: Callable[[str], list[str]], net: Network, browser: Browser, io_loop: IOLoop
) -> Iterator[tuple[BrowserContext, str]]:
    """A browser for which the network has an app besides the server, and the address of the app."""
    client = Path(drivers("typescript")[-1]).with_name("abtest.js").read_text(encoding="utf-8")
    files = {"index.html": ("text/html", APP), "abtest.js": ("text/javascript", client)}

    async def serve(route: Any) -> None:
        kind, text = files[route.request.url.rpartition("/")[2]]
        await route.fulfill(content_type=kind, body=text)

    async def open_browser() -> BrowserContext:
        context = await browser.new_context()
        await context.route("**/app/*", serve)
        return context

    context = io_loop.run_sync(open_browser)
    yield context, f"{net.url}/app/index.html"
    io_loop.run_sync(context.close)


async def app(context: BrowserContext, address: str) -> Page:
    """A tab in which the app has started."""
    page = await context.new_page()
    await page.goto(address)
    await page.wait_for_function("document.title")
    return page


async def test_values_and_events_survive_reloads_without_a_network(
    context: tuple[BrowserContext, str], net: Network, product: Product
) -> None:
    page = await app(*context)
    value, token = await page.title(), await page.evaluate("abtest.token")
    assert value in {"color-0", "color-1"}
    net.down()
    await page.evaluate("abtest.shown('color', document.title); abtest.track('purchase', '9.99')")
    await page.reload()
    await page.wait_for_function("document.title")
    assert (await page.title(), await page.evaluate("abtest.token")) == (value, token)
    await page.evaluate("abtest.track('later')")
    net.up()
    assert await page.evaluate("abtest.flush(30)")
    sent = [event[:4] for event in product.events(token)]
    assert sent == [
        ("exposure", None, "color", value),
        ("purchase", 99_900, None, None),
        ("later", None, None, None),
    ]


async def test_the_server_may_be_another_origin(
    context: tuple[BrowserContext, str], net: Network, port: int, product: Product
) -> None:
    browser, _ = context
    net.pages["/app.html"] = APP  # what a test makes up itself counts as the internet, which may not ask this machine
    statuses = []
    browser.on("response", lambda answer: statuses.append(answer.status) if "/api/" in answer.url else None)
    page = await app(browser, f"{net.url}/app.html#http://127.0.0.1:{port}")
    value, token = await page.title(), await page.evaluate("abtest.token")
    await page.evaluate("abtest.shown('color', document.title)")
    assert await page.evaluate("abtest.flush(30)")
    await page.reload()
    await page.wait_for_function("document.title")
    await page.evaluate("abtest.track('purchase')")
    assert await page.evaluate("abtest.flush(30)")
    assert [event[:4] for event in product.events(token)] == [
        ("exposure", None, "color", value),
        ("purchase", None, None, None),
    ]
    assert [status for status in statuses if status != 204] == [200, 202, 304, 202]


async def test_two_tabs_are_one_device_and_lose_nothing(
    context: tuple[BrowserContext, str], net: Network, product: Product
) -> None:
    first = await app(*context)
    token = await first.evaluate("abtest.token")
    net.down()
    await first.evaluate("abtest.track('first')")
    second = await app(*context)  # takes over what the first one has not sent
    assert (await second.title(), await second.evaluate("abtest.token")) == (await first.title(), token)
    await first.evaluate("abtest.track('more')")
    await second.evaluate("abtest.track('second')")
    await first.close()
    await second.close()
    net.up()
    last = await app(*context)
    assert await last.evaluate("abtest.flush(30)")
    assert sorted(event[0] for event in product.events(token)) == ["first", "more", "second"]


async def test_where_nothing_can_be_kept_the_defaults_are_shown_and_nobody_is_asked(
    context: tuple[BrowserContext, str], net: Network
) -> None:
    browser, address = context
    await browser.add_init_script("Storage.prototype.setItem = () => { throw new Error('no room') }")
    await browser.add_init_script("Storage.prototype.getItem = (key) => (key === 'timeout' ? '0.3' : null)")
    page = await app(browser, address)
    assert await page.title() == "default"
    await page.evaluate("abtest.track('purchase')")
    assert await page.evaluate("[abtest.token, abtest.queued]") == [None, 1]
    assert net.requests == []
