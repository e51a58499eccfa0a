"""A real browser, for the tests that need one; without it they are skipped."""

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


@pytest.fixture
def browser(io_loop: IOLoop) -> Iterator[Any]:
    """Playwright's Browser."""
    playwright_api = pytest.importorskip("playwright.async_api", reason="the browser tests need playwright")
    path = executable()
    arguments = [*ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else ARGUMENTS
    playwright = io_loop.run_sync(lambda: playwright_api.async_playwright().start())
    browser = io_loop.run_sync(lambda: playwright.chromium.launch(executable_path=path, args=arguments))
    yield browser
    io_loop.run_sync(browser.close)
    io_loop.run_sync(playwright.stop)
