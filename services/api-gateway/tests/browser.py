"""A real Chromium for tests, where there is one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def chromium_path() -> str:
    """Return where Chromium is. Skips the test where there is none, or fails it if one is required."""
    path = os.environ.get("NOTIFY_CHROMIUM") or shutil.which("chromium")
    if path:
        return path
    message = "no browser found: install Debian's chromium, or name one in NOTIFY_CHROMIUM"
    if os.environ.get("NOTIFY_REQUIRE_BROWSER") == "1":
        pytest.fail(message)
    pytest.skip(message)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a Chromium while the `with` block runs."""
    path = chromium_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()
