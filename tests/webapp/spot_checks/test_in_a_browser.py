"""A spot check in a real Chromium: answered by keys, one taken back, left and found again."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright
from sklearn.datasets import load_digits

from tests.webapp.server import Server

KEYS = "1234567890"
SIZE, ANSWERED = 50, 6
PATIENCE_MILLISECONDS = 60_000


def fits(page: Page) -> None:
    """Hold the page against sideways scrolling at both widths."""
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{page.url} scrolls sideways by {overflow} px at {width} px"


def test_keys_answer_and_the_run_page_leads_back(server: Server, chromium: Path) -> None:
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        window = browser.new_context(viewport={"width": 1440, "height": 900})
        window.set_default_timeout(PATIENCE_MILLISECONDS)
        window.add_cookies([{"name": "labelfree_session", "value": server.owner, "url": server.url}])
        page, faults = window.new_page(), []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{server.url}/runs/{server.run}/")
        page.get_by_role("button", name="Start a spot check").click()
        fits(page)
        page.get_by_role("button", name="Start", exact=True).click()
        fits(page)
        truth = load_digits().target
        for number in range(ANSWERED):
            expect(page.get_by_text(f"{number + 1} of {SIZE}", exact=True)).to_be_visible()
            source = page.locator(".asked img").get_attribute("src") or ""
            page.keyboard.press(KEYS[truth[int(source.rsplit("/", 1)[1]) - 1]])
        expect(page.get_by_text(f"{ANSWERED + 1} of {SIZE}", exact=True)).to_be_visible()
        page.keyboard.press("z")
        expect(page.get_by_text(f"{ANSWERED} of {SIZE}", exact=True)).to_be_visible()
        page.get_by_role("button", name="Cannot tell").click()
        expect(page.get_by_text(f"{ANSWERED + 1} of {SIZE}", exact=True)).to_be_visible()
        page.goto(f"{server.url}/runs/{server.run}/")
        expect(page.get_by_role("button", name=f"Go on: {ANSWERED} of {SIZE} named")).to_be_visible()
        fits(page)
        assert faults == []
        browser.close()
