"""The pages in a real browser, in front of real processes."""

import asyncio
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from abtest.web.api.handlers import specification
from tests.processes import Abtest, run, wait_until_answering

pytest.importorskip("playwright.async_api", reason="the browser tests need playwright")
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, expect

PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)


class Product:
    """`abtest up` with the demo experiments, and what pages in front of it complained about."""

    def __init__(self, database: Path, up: Abtest) -> None:
        self.complaints: list[str] = []
        self._database = database
        self._up = up
        self._url = f"http://127.0.0.1:{up.port_number}"

    async def open(self, browser: Browser, path: str = "/", **options: object) -> Page:
        """A page whose errors, and whose requests to other hosts, are complaints."""
        context = await browser.new_context(base_url=self._url, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        context.on("console", self._hear)
        context.on("weberror", lambda failed: self.complaints.append(str(failed.error)))
        context.on("request", self._look)
        page = await context.new_page()
        await page.goto(path)
        return page

    def _hear(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.complaints.append(said.text)

    def _look(self, asked: Request) -> None:
        if not asked.url.startswith(self._url):
            self.complaints.append(asked.url)

    async def command(self, *arguments: str) -> str:
        """What a command that succeeds prints."""
        ended = await asyncio.to_thread(run, self._database, *arguments)
        assert ended.returncode == 0, ended.stderr
        return str(ended.stdout)

    async def seed(self, devices: int, prefix: str, *options: str) -> None:
        await self.command("seed", str(devices), "--url", self._url, "--prefix", prefix, *options)

    async def stop(self) -> None:
        await asyncio.to_thread(self._up.stop)


@contextmanager
def running(database: Path) -> Iterator[Abtest]:
    with Abtest(database, "up", "--port", "0", "--processes", "1", "--interval", "0.2") as up:
        wait_until_answering(up.port())
        yield up


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """One for this test alone."""
    with running(tmp_path / "abtest.db") as up:
        product = Product(tmp_path / "abtest.db", up)
        yield product
    assert product.complaints == []


@pytest.fixture(scope="module")
def started_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Abtest]]:
    database = tmp_path_factory.mktemp("shared") / "abtest.db"
    with running(database) as up:
        yield database, up


@pytest.fixture
def shared(started_once: tuple[Path, Abtest]) -> Iterator[Product]:
    """The same for all tests that change nothing but devices of their own, and read no figures."""
    product = Product(*started_once)
    yield product
    assert product.complaints == []


async def figures(page: Page, key: str, arrived: Callable[[Any], bool]) -> Any:
    """The results of an experiment, once they are as they should be."""
    path = f"/api/v1/experiments/{key}/results"
    while not arrived(results := await (await page.request.get(path)).json()):  # noqa: ASYNC110  # of other processes
        await asyncio.sleep(0.1)
    return results


def converters(results: Any) -> int:
    return sum(variant["converters"] for variant in results["metrics"][0]["variants"])


def devices(page: Page, within: str) -> Locator:
    return page.locator(f"{within} td[data-devices]")


async def test_figures_arrive_on_an_open_page_without_reloading_it(browser: Browser, product: Product) -> None:
    page = await product.open(browser)
    await expect(page.get_by_text("No devices yet")).to_have_count(2)
    await page.evaluate("window.mark = document.querySelector('#price table')")
    await product.seed(600, "a-")
    await expect(devices(page, "#button_color")).to_have_text(["200", "200", "200"])
    await expect(devices(page, "#price")).to_have_text(["450", "60", "30", "60"])
    await expect(page.locator(".totals")).to_contain_text("600 devices")
    await expect(page.get_by_text("Exact shares")).to_have_count(2)
    assert await page.evaluate("window.mark === document.querySelector('#price table')")


async def test_what_a_person_does_on_a_page_survives_its_update(browser: Browser, product: Product) -> None:
    await product.seed(600, "a-")
    page = await product.open(browser, "/experiments/price")
    await expect(devices(page, "main")).to_have_text(["450", "60", "30", "60"])
    await page.get_by_text("As a table").click()
    await page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
    await product.seed(600, "b-")
    await expect(devices(page, "main")).to_have_text(["900", "120", "60", "120"])
    await expect(page.locator("#enrolment")).to_have_attribute("open", "")
    assert await page.evaluate("getSelection().toString()") == "price"
    assert await page.evaluate("document.activeElement.textContent") == "As a table"


async def test_a_server_that_does_not_answer_is_said(browser: Browser, product: Product) -> None:
    page = await product.open(browser)
    await expect(page.locator("#freshness")).to_contain_text("ago")
    await product.stop()
    await expect(page.locator("#freshness")).to_have_text("the server does not answer")
    product.complaints.clear()  # the browser logs the refused connection
    await page.context.close()


async def test_the_simulator_shows_its_tables(browser: Browser, product: Product) -> None:
    page = await product.open(browser, "/simulate")
    await page.get_by_role("button", name="Simulate").click()
    await expect(page.get_by_role("heading", level=2)).to_have_text("Simulated with 600 devices; nothing was stored")
    await expect(devices(page, "#result")).to_have_text(["200", "200", "200", "450", "60", "30", "60"])
    await expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    await page.goto("/")
    await expect(page.locator(".totals")).to_contain_text(re.compile(r"\b0 devices"))


async def test_twenty_devices_played_on_the_demo_page_are_in_the_results(browser: Browser, product: Product) -> None:
    page = await product.open(browser, "/demo")
    log, purchases = page.locator("#log li"), 0
    for number in range(20):
        if number:
            await page.get_by_role("button", name="New device").click()
        await expect(page.locator("#values tr")).to_have_text([BUTTON, PRICE])
        if number % 2:
            await page.get_by_role("button", name="Buy for").click()
            purchases += 1
        await expect(log).to_have_count(2 * (number + 1) + purchases)
        await expect(log.filter(has_text="reports exposure").first).to_contain_text('{"accepted":2,"duplicates":0}')
    await page.goto("/")
    await expect(page.locator(".totals")).to_contain_text("20 devices")
    results = await figures(page, "button_color", lambda found: converters(found) == purchases)
    assert sum(variant["exposed"] for variant in results["metrics"][0]["variants"]) == 20


async def test_the_demo_shows_what_the_device_got_and_asks_again_as_an_app_does(
    browser: Browser, shared: Product
) -> None:
    page = await shared.open(browser, "/demo")
    values = page.locator("#values tr")
    await expect(values).to_have_text([BUTTON, PRICE])
    color, price = [await values.nth(place).locator("td").first.text_content() for place in range(2)]
    button = page.get_by_role("button", name=f"Buy for {price}")
    wanted = {"#FF0000": "rgb(255, 0, 0)", "#00FF00": "rgb(0, 255, 0)", "#0000FF": "rgb(0, 0, 255)"}[color or ""]
    await expect(button).to_have_css("background-color", wanted)
    await button.click()
    await expect(page.locator("#log")).to_contain_text(f'"name":"purchase","amount":"{price}"')
    token = await page.get_by_label("Device-Token").input_value()
    await page.get_by_label("Country").fill("")
    await page.reload()
    await expect(page.locator("#log li").last).to_contain_text("304 Not Modified")
    await expect(page.get_by_label("Device-Token")).to_have_value(token)
    await expect(page.get_by_label("Country")).to_have_value("")
    await expect(values.first).to_contain_text(color or "")


async def test_the_demo_shows_its_request_in_the_languages_of_apps(browser: Browser, shared: Product) -> None:
    page = await shared.open(browser, "/demo")
    code = page.locator("#code details")
    await expect(code.locator("summary")).to_have_text(["curl", "TypeScript", "Kotlin", "Swift"])
    await expect(page.locator("#values tr")).to_have_text([BUTTON, PRICE])
    await page.get_by_label("Country").fill("TOKEN 'ADDRESS'")
    token = await page.get_by_label("Device-Token").input_value()
    query = "?platform=ios&app_version=3.10.0&country=TOKEN+%27ADDRESS%27"
    address = page.url.replace("/demo", "/api/v1/experiments") + query
    curl, *others = await code.locator("pre").all_text_contents()
    assert shlex.split(curl) == ["curl", "-H", f"Device-Token: {token}", address]
    assert [(text.count(f'"{token}"'), text.count(f'"{address}"')) for text in others] == 3 * [(1, 1)]


async def test_the_demo_sends_what_its_device_says_about_itself(browser: Browser, product: Product) -> None:
    page = await product.open(browser, "/demo")
    first = page.locator("#log li").filter(has_text="asks for its values").first
    await expect(first).to_contain_text("GET /api/v1/experiments?platform=ios&app_version=3.10.0&country=DE\nDevice")
    await page.get_by_label("Platform").select_option("not sent")
    await page.get_by_label("App version").fill("3.9 beta")
    await page.get_by_label("Country").fill("")
    await page.get_by_role("button", name="New device").click()
    await expect(first).to_contain_text("GET /api/v1/experiments?app_version=3.9+beta\nDevice")
    (token,) = re.findall("Device-Token: ([0-9a-f]{32})", await first.text_content() or "")
    await expect(page.get_by_label("Device-Token")).to_have_value(token)
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    await page.get_by_role("link", name="Why").last.click()
    await page.get_by_label("Device token").press("Control+V")
    await expect(page.get_by_label("Device token")).to_have_value(token)
    await page.get_by_role("button", name="Explain").click()
    await expect(page.locator(".facts")).to_have_text(re.compile(r"^\s*app_version\s*3.9 beta\s*$"))


async def test_the_demo_shows_an_audience_in_action(browser: Browser, product: Product) -> None:
    page = await product.open(browser, "/demo")
    program, *command = shlex.split(await page.locator("#audiences pre").text_content() or "")
    assert program == "abtest"
    await product.command(*command)
    greeting = page.locator("#values tr").filter(has_text="greeting")
    for platform, value in (("android", "not enrolled"), ("ios", "(Hello|Hi)")):
        await page.get_by_label("Platform").select_option(platform)
        await page.get_by_role("button", name="New device").click()
        told = f"^greetingaudience: platform is ios{value}not used by this app$"
        await expect(greeting).to_have_text(re.compile(told))
    await expect(page.locator("#audiences")).to_be_hidden()


async def test_the_demo_falls_back_and_runs_nothing_that_a_value_says(browser: Browser, product: Product) -> None:
    for key in ("button_color", "price"):
        await product.command("experiments", "archive", key)
    hostile = "<img src=x onerror=alert(1)>"
    await product.command(
        "experiments",
        "add",
        "greeting",
        "--variant",
        f"{hostile}=1",
        "--variant",
        f"{hostile}!=0",
        "--audience",
        f"country!=a{hostile}",
    )
    page = await product.open(browser, "/demo")
    await page.get_by_role("button", name="New device").click()
    rows = page.locator("#values tr")
    await expect(rows).to_have_text(
        [
            "button_colornot enrolledshows its default, #5A6270",
            f"greetingaudience: country is not a{hostile}{hostile}not used by this app",
            "pricenot enrolledshows its default, 9.99",
        ]
    )
    await page.get_by_role("button", name="Buy for 9.99").click()
    await expect(page.locator("#log")).to_contain_text("202 Accepted")
    await expect(page.locator("#log")).not_to_contain_text("exposure")
    assert await page.locator("#demo img").count() == 0


async def test_the_demo_keeps_what_it_could_not_send(browser: Browser, shared: Product) -> None:
    page = await shared.open(browser, "/demo")
    await expect(page.locator("#log li")).to_have_count(2)
    refused = {"status": 503, "headers": {"Retry-After": "3"}}
    await page.route("**/api/v1/events", lambda route: route.fulfill(**refused), times=1)
    await page.get_by_role("button", name="Buy for").click()
    await expect(page.locator("#message")).to_contain_text("try again in 3 s with the same ids")
    await expect(page.locator("#log li").first).to_contain_text('{"accepted":1,"duplicates":0}')
    await expect(page.locator("#message")).to_be_hidden()
    first, again = [await page.locator("#log li pre:first-of-type").nth(place).text_content() for place in (1, 0)]
    assert first == again
    shared.complaints.clear()  # the browser logs the 503


async def test_the_simulator_says_how_often_an_effect_would_be_found(browser: Browser, shared: Product) -> None:
    page = await shared.open(browser, "/simulate")
    await page.get_by_label("Current rate").fill("5")
    await page.get_by_label("Effect to find").fill("2000")
    await page.get_by_role("button", name="Simulate").click()
    await expect(page.get_by_role("alert")).to_have_text(
        re.compile("^Effect to find: .2,?000% turns a rate of 5% into 105%")
    )
    shared.complaints.clear()  # the browser logs the 422
    await page.get_by_label("Effect to find").fill("20")
    await page.get_by_role("button", name="Simulate").click()
    await expect(page.locator(".outlook").first).to_contain_text("would be found in 7.2% of such tests")
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_a_simulation_can_be_cancelled(browser: Browser, shared: Product) -> None:
    page = await shared.open(browser, "/simulate")
    await page.get_by_label("Devices").first.fill("1000000")
    await page.get_by_role("button", name="Simulate").click()
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was stored")
    await expect(page.get_by_role("button", name="Simulate")).to_be_enabled()
    await expect(page.locator("#result")).to_be_empty()


async def test_the_reference_lists_the_operations(browser: Browser, shared: Product) -> None:
    page = await shared.open(browser, "/docs", color_scheme="dark")
    operation = page.locator(".opblock").filter(has_text="/api/v1/experiments").first
    await operation.locator(".opblock-summary").click()
    await expect(operation).to_contain_text("Device-Token")
    await expect(page.locator(".opblock").filter(has_text="/api/v1/stats").first).to_be_visible()
    await expect(page.locator("html")).to_have_class("dark-mode")


async def test_the_reference_lists_each_path_once_but_for_the_head_that_differs(
    browser: Browser, shared: Product
) -> None:
    page = await shared.open(browser, "/docs")
    await expect(page.locator(".opblock-get").first).to_be_visible()
    assert await page.locator(".opblock-get").count() == specification().count("\n    get:\n")
    await expect(page.locator(".opblock-head")).to_have_count(1)
    await expect(page.locator(".opblock-head")).to_contain_text("/api/v1/experiments")


async def test_the_pages_work_without_scripts(browser: Browser, product: Product) -> None:
    await product.seed(600, "a-")
    page = await product.open(browser, java_script_enabled=False)
    while await page.locator(".totals").filter(has_text="600 devices").count() == 0:
        await page.reload()
    await expect(devices(page, "#price")).to_have_text(["450", "60", "30", "60"])
    await page.get_by_role("link", name="price").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("price")
    await page.get_by_role("link", name="Simulate").click()
    await page.get_by_role("button", name="Simulate").click()
    await expect(devices(page, "#result")).to_have_text(["200", "200", "200", "450", "60", "30", "60"])


async def test_nothing_is_wider_than_the_window(browser: Browser, product: Product) -> None:
    key, value = "k" * 64, "v" * 254
    variants = [word for number in range(10, 30) for word in ("--variant", f"{value}{number}={number}")]
    asks_about_less = ("--metric", "conversion:refund")
    await product.command("experiments", "add", key, *variants, "--description", "d" * 1000, *asks_about_less)
    await product.seed(600, "a-")
    page = await product.open(browser)
    await expect(page.locator(".totals")).to_contain_text("600 devices")
    for path in (
        "/",
        f"/experiments/{key}",
        "/experiments/price",
        SIMULATE,
        PLAN,
        "/demo",
        "/docs",
    ):
        await page.goto(path)
        await expect(page.locator(".opblock" if path == "/docs" else "main").first).to_be_visible()
        await page.locator("details").evaluate_all("all => all.forEach(each => (each.open = true))")
        for width in (360, 768, 1920):
            await page.set_viewport_size({"width": width, "height": 800})
            assert await page.evaluate(WITHIN), (path, width)
            for selector in ("td.number", "th.number"):
                assert await page.locator(selector).evaluate_all(OVERFLOWING) == [], (path, width)


@pytest.mark.parametrize("width", [360, 1280])
async def test_long_values_are_cut_with_the_whole_in_a_title_and_in_a_fold(
    browser: Browser, product: Product, width: int
) -> None:
    values = ["v" * 254 + number for number in ("10", "11", "12")]
    variants = [word for value in values for word in ("--variant", f"{value}={value[-2:]}")]
    description = "which of them? " * 60
    await product.command("experiments", "add", "long", *variants, "--description", description,
                          "--metric", f"conversion:{'e' * 64}")  # fmt: skip
    await product.seed(600, "a-")
    size = {"width": width, "height": 800}
    page = await product.open(browser, "/simulate?devices=600&base=5&effect=20", viewport=size)
    await expect(page.locator("#result .narrow")).to_have_count(2)
    assert await page.evaluate(WITHIN)
    await product.command("experiments", "finish", "long", "--winner", values[1])
    await page.goto("/")
    await expect(page.locator("#long .decided")).to_be_visible()
    cut = page.locator("#long .description, #long .value summary bdi")
    assert await cut.evaluate_all("all => all.map(each => each.title)") == [description, values[1], *values]
    assert await cut.evaluate_all("all => all.filter(each => each.offsetHeight > 80)") == []
    await page.goto("/experiments/long")
    await page.locator("details").evaluate_all("all => all.forEach(each => (each.open = true))")
    assert await page.evaluate(WITHIN)
    whole = page.locator("main #distribution .value .whole")
    await expect(whole).to_have_text(values)
    assert await whole.evaluate_all(OVERFLOWING) == []
    cut = page.locator("main .value summary bdi")
    assert await cut.evaluate_all("all => all.filter(each => each.offsetHeight > 160).length") == 0


async def test_no_word_of_a_table_is_broken(browser: Browser, shared: Product) -> None:
    page = await shared.open(browser)
    for path in ("/experiments/price", "/docs"):
        await page.goto(path)
        await expect(page.locator(".opblock" if path == "/docs" else "main").first).to_be_visible()
        for width in (360, 1440):
            await page.set_viewport_size({"width": width, "height": 800})
            assert await page.locator("th, td, td code").evaluate_all(BROKEN) == [], (path, width)


BROKEN = """cells => cells.filter(cell => !cell.children.length && /^\\w+$/.test(cell.textContent)).filter(cell => {
    const word = document.createRange();
    word.selectNodeContents(cell);
    return word.getClientRects().length > 1;
}).map(cell => cell.outerHTML)"""
BUTTON, PRICE = re.compile("^button_color#.{6}shown$"), re.compile("^price[0-9]+shown$")
SIMULATE = "/simulate?devices=1000000&base=5&effect=20"
PLAN = "/plan?base=0.0001&effect=5&weights=9+1+1&per_day=1"
METRIC = "conversion:purchase"
WITHIN = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
OVERFLOWING = "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.outerHTML)"


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_the_app_is_switched_from_the_keyboard(browser: Browser, product: Product, scripts: bool) -> None:
    await product.command("apps", "add", "staging")
    await product.command("apps", "add", "x" * 64)
    page = await product.open(browser, "/plan", java_script_enabled=scripts, viewport={"width": 360, "height": 700})
    switcher = page.locator(".apps summary")
    await expect(switcher).to_have_text("App: default")
    await switcher.focus()
    for key in ("Enter", "Tab", "Tab", "Enter"):
        await page.keyboard.press(key)
    await page.wait_for_url("**/apps/staging/plan")
    await expect(switcher).to_have_text("App: staging")
    await page.get_by_role("link", name="Experiments").click()
    await page.wait_for_url("**/apps/staging/")
    await expect(page.get_by_text("No experiments yet")).to_be_visible()
    await switcher.click()
    box = await page.locator(".apps ul").bounding_box()
    assert box is not None
    assert 0 <= box["x"] <= box["x"] + box["width"] <= 360


async def test_the_demo_of_an_app_is_a_device_of_the_app(browser: Browser, product: Product) -> None:
    await product.command("apps", "add", "staging")
    await product.command("experiments", "add", "price", "--variant", "7=1", "--variant", "8=0", "--app", "staging")
    page = await product.open(browser, "/demo")
    await expect(page.get_by_role("row", name="button_color")).to_contain_text("#")
    token = await page.locator("#token").input_value()
    await page.goto("/apps/staging/demo")
    await expect(page.get_by_role("row", name="price")).to_contain_text("7")
    await expect(page.get_by_role("row", name="button_color")).to_contain_text("not enrolled")
    await expect(page.locator("#log")).to_contain_text("/apps/staging/api/v1/experiments")
    await expect(page.locator("#token")).not_to_have_value(token)


async def test_a_shared_page_is_printed_on_one_sheet_in_light_colours(browser: Browser, product: Product) -> None:
    metrics = [
        word
        for metric in ("conversion:purchase", "amount:purchase", "conversion:purchase/14d")
        for word in ("--metric", metric)
    ]
    asked = "does a checkout on one page sell more than one on two pages?"
    await product.command("experiments", "add", "checkout", "--variant", "one=1", "--variant", "two=1", *metrics,
                          "--description", asked)  # fmt: skip
    await product.seed(3000, "a-", "--events")
    await product.command("experiments", "finish", "checkout", "--winner", "two", "--because", "it sells more; " * 20)
    link = await product.command("shared-links", "add", "checkout")
    page = await product.open(browser, f"/shared/{link.strip().rpartition('/')[2]}", color_scheme="dark")
    await figures(
        page, "checkout", lambda results: results["devices"] == 3000 and results["metrics"][0]["comparisons"]
    )
    await page.reload()
    await expect(page.locator(".marks circle")).to_have_count(2)
    await page.emulate_media(media="print", color_scheme="dark")
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for sheet in ("A4", "Letter"):
        printed = await page.pdf(format=sheet, prefer_css_page_size=True, print_background=True)
        assert printed.count(b"/Type /Page\n") == 1, sheet
