"""A real browser that reaches nothing but this machine, and what it complained about."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_OTHER_HOST = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium without a window, or skip where it is not installed."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser is installed; one of {', '.join(NAMES)} runs this")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", NO_OTHER_HOST])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser: Browser, **options: Any) -> Iterator[Page]:  # noqa: ANN401 - Playwright's own
    """Open a tab of a profile of its own; it may have requested nothing elsewhere, nor broken the page's policy."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(15_000)
    errors: list[str] = []
    hosts: set[str | None] = set()
    page.on("console", lambda message: errors.append(message.text) if is_complaint(message) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    try:
        yield page
    finally:
        context.close()
    assert errors == []
    assert hosts - {None} == {"127.0.0.1"}


def is_complaint(message: ConsoleMessage) -> bool:
    """Return whether a message of the console is an error, beyond the status of a response."""
    return message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource")
