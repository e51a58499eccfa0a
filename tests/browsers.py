"""A real browser, for the tests that need one; without it they are skipped."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from tornado.ioloop import IOLoop

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def executable() -> str:
    named = os.environ.get("ABTEST_TEST_BROWSER")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip(f"no browser: set ABTEST_TEST_BROWSER, or install one of {', '.join(NAMES)}")
    return found


@pytest.fixture(scope="session")
def browser_loop() -> Iterator[IOLoop]:
    """The loop on which the browser was started; the tests that use the browser run on it too."""
    loop = IOLoop(asyncio_loop=asyncio.new_event_loop(), make_current=False)
    yield loop
    loop.close(all_fds=True)


@pytest.fixture(scope="session")
def started(browser_loop: IOLoop) -> Iterator[Any]:
    """Playwright's Browser, started once: that takes longer than most of the tests."""
    playwright_api = pytest.importorskip("playwright.async_api", reason="the browser tests need playwright")
    path = executable()
    arguments = [*ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else ARGUMENTS
    playwright = browser_loop.run_sync(lambda: playwright_api.async_playwright().start())
    browser = browser_loop.run_sync(lambda: playwright.chromium.launch(executable_path=path, args=arguments))
    yield browser
    browser_loop.run_sync(browser.close)
    browser_loop.run_sync(playwright.stop)


@pytest.fixture
def browser(io_loop: IOLoop, started: Any) -> Iterator[Any]:
    """Playwright's Browser. What a test keeps is in its contexts, which end with it."""
    yield started
    for context in started.contexts:
        io_loop.run_sync(context.close)
