"""A spot check in a real Chromium: answered by keys, one taken back, left and found again."""

from __future__ import annotations

import base64
import io

from PIL import Image
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
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.get_by_role("button", name="Start", exact=True).dblclick(delay=60)
    expect(page.get_by_text(f"1 of {SIZE}", exact=True)).to_be_visible()
    assert len(sent) == 1, "a second click sends nothing"
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
    expect(page.get_by_role("heading", name="What is this?")).to_be_focused()
    _what_is_refused_is_said(page)
    page.goto(f"{server.url}/runs/{server.run}/")
    expect(page.get_by_role("button", name=f"Go on: {ANSWERED} of {SIZE} named")).to_be_visible()
    fits(page)
    page.get_by_role("button", name=f"Go on: {ANSWERED} of {SIZE} named").click()
    _a_portrait_stands_in_the_middle(page)


def _what_is_refused_is_said(page: Page) -> None:
    page.route("**/spot-check/answer/", lambda route: route.fulfill(status=403, body="no"))
    page.get_by_role("button", name="Cannot tell").click()
    expect(page.get_by_text("That was not done: you may not, or no longer.")).to_be_visible()
    page.unroute("**/spot-check/answer/")


def _a_portrait_stands_in_the_middle(page: Page) -> None:
    """Put a picture of 600 by 1,200 pixels in the place of the one that is asked."""
    portrait = io.BytesIO()
    Image.new("RGB", (600, 1200), "teal").save(portrait, "PNG")
    place = page.locator(".asked .picture")
    place.locator("img").evaluate(
        "(image, src) => { Object.assign(image, { width: 600, height: 1200, className: '', src });"
        " return image.decode(); }",
        f"data:image/png;base64,{base64.b64encode(portrait.getvalue()).decode()}")
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        around, image = place.bounding_box(), place.locator("img").bounding_box()
        assert around is not None
        assert image is not None
        assert abs(around["x"] + around["width"] / 2 - image["x"] - image["width"] / 2) < 1, width
        assert image["height"] <= around["height"], width
