"""A spot check in a real Chromium: answered by keys, one taken back, left and found again."""

from __future__ import annotations

import base64
import io
from urllib.parse import parse_qs

import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image
from playwright.sync_api import Page, Route, expect
from sklearn.datasets import load_digits

from tests.webapp.review.gallery import Gallery
from tests.webapp.server import Server
from tests.webapp.window import fits
from webapp.collections.models import ClassListVersion
from webapp.spot_checks import samples

KEYS = "1234567890"
SIZE, ANSWERED = 50, 6
HERONS = ("night heron", "grey heron", "heron", *(f"tern {letter}" for letter in "abcdefgh"))
CLICK_AT_ONCE = """times => document.addEventListener("htmx:afterSwap", () => setTimeout(() => {
    for (const detail of times) {
        document.querySelector(".neither button").dispatchEvent(
            new MouseEvent("click", { detail, bubbles: true, cancelable: true }));
    }
}), { once: true })"""


@pytest.fixture
def asked(gallery: Gallery, alice: Client) -> str:
    """Return the page that asks about an image of one of eleven classes, too many for keys."""
    ClassListVersion.objects.update(names=list(HERONS))
    samples.start(gallery.run, gallery.owner, 20, "uniform")
    return alice.get(reverse("spot_checks:detail", args=[gallery.run.pk])).content.decode()


def test_enter_answers_the_class_that_is_marked_and_a_second_click_nothing(
        asked: str, server: Server, owner_page: Page) -> None:
    page, sent = owner_page, []

    def take(route: Route) -> None:
        sent.append(parse_qs(route.request.post_data or "")["answer"][0])
        route.fulfill(body=asked[asked.index('<div id="spot-check">'):asked.index("</main>")])

    page.route("**/spot-check/answer/", take)
    page.route(f"{server.url}/asked", lambda route: route.fulfill(body=asked, content_type="text/html"))
    page.goto(f"{server.url}/asked")
    field = page.get_by_label("Find a class")
    assert page.locator("#spot-check button").first.inner_text() == "None of these", "not behind all classes"
    for typed, said, answer in (("heron", "Enter answers: heron", 2), ("Night", "Enter answers: night heron", 0),
                                ("tern c", "Enter answers: tern c", 5)):
        field.fill(typed)
        expect(page.get_by_text(said, exact=True)).to_be_visible()
        field.press("Enter")
        expect(field).to_have_value("")
        assert sent.pop() == str(answer)
    field.fill("tern")
    expect(page.get_by_text("8 classes fit: type on, or choose")).to_be_visible()
    field.press("Enter")
    field.fill("crow")
    expect(page.get_by_text("No class fits")).to_be_visible()
    field.press("Enter")
    fits(page)
    assert sent == []
    page.evaluate(CLICK_AT_ONCE, [1, 2])
    page.wait_for_timeout(500)
    page.get_by_role("button", name="None of these").click()
    expect(field).to_have_value("")
    page.wait_for_timeout(500)
    assert sent == ["none"]


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
    page.wait_for_timeout(500)  # a click that comes sooner is the second of two
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
    page.wait_for_timeout(500)
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
