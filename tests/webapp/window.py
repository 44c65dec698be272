"""A window of a real Chromium on the running application, signed in as the owner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.webapp.server import Server

PATIENCE_MILLISECONDS = 60_000
"""The machine may be busy with other tests."""


@pytest.fixture
def owner_page(server: Server, chromium: Path) -> Iterator[Page]:
    """Open a page that holds the test against every script error."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        window = browser.new_context(viewport={"width": 1440, "height": 900})
        window.set_default_timeout(PATIENCE_MILLISECONDS)
        window.add_cookies([{"name": "labelfree_session", "value": server.owner, "url": server.url}])
        page, faults = window.new_page(), []
        page.on("pageerror", lambda error: faults.append(str(error)))
        yield page
        browser.close()
    assert faults == []


def fits(page: Page) -> None:
    """Hold the page against sideways scrolling at both widths."""
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{page.url} scrolls sideways by {overflow} px at {width} px"
