"""A spot check in a real Chromium: answered by keys, one taken back, left and found again."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from sklearn.datasets import load_digits

from tests.webapp.server import Server
from tests.webapp.window import fits

KEYS = "1234567890"
SIZE, ANSWERED = 50, 6


def test_keys_answer_and_the_run_page_leads_back(server: Server, owner_page: Page) -> None:
    page = owner_page
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
