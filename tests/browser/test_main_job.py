"""The main job by clicking: from the first link over upload, names, run, review and download to signing out."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Download, FrameLocator, Page, expect

from tests.browser.conftest import IMAGE_COUNT, SCREENSHOTS, Product

WIDTHS = {"desktop": (1440, 900), "phone": (390, 844)}
NAMES = "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine"
PASSWORD = "a quiet meadow at noon"
SECOND = 1000.0
INSIDE = ("http://127.0.0.1:", "http://localhost:", "data:", "blob:")

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def page(browser: Browser) -> Page:
    """Open a window that complains of every script error."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(60 * SECOND)
    expect.set_options(timeout=60 * SECOND)
    yield opened
    context.close()


def look(page: Page, name: str) -> None:
    """Save the page at desktop and at phone width, and hold it against sideways scrolling."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for width_name, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(500)
        page.screenshot(path=SCREENSHOTS / f"{name}-{width_name}.png", full_page=True)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{name} scrolls sideways by {overflow} px at {width} px"
    page.set_viewport_size({"width": 1440, "height": 900})


def downloaded(page: Page, click: Callable[[], None]) -> bytes:
    """Click on something and return the file that it gives."""
    with page.expect_download() as waiting:
        click()
    found: Download = waiting.value
    return Path(found.path()).read_bytes()


def labels_of(page: Page) -> dict[str, dict[str, str]]:
    """Return labels.csv by path."""
    data = downloaded(page, lambda: page.get_by_role("button", name="Labels as CSV").click())
    return {row["path"]: row for row in csv.DictReader(io.StringIO(data.decode("utf-8-sig")))}


def sign_up(page: Page, product: Product) -> None:
    """Follow the first link and become the administrator."""
    page.goto(product.first_link())
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, once more").fill(PASSWORD)
    look(page, "01-welcome")
    page.get_by_role("button", name="Make the administrator").click()
    expect(page.get_by_role("heading", name="Photographs in, answers out")).to_be_visible()
    look(page, "02-home-empty")


def upload(page: Page, photographs: Path) -> None:
    """Choose the folder and wait until every image is read."""
    page.locator("input[data-input=folder]").first.set_input_files(photographs)
    page.wait_for_url("**/collections/*/images/**", timeout=120 * SECOND)
    expect(page.locator("#image-count")).to_have_text(f"{IMAGE_COUNT:,}", timeout=300 * SECOND)
    page.reload()
    expect(page.get_by_text("1 file could not be used")).to_be_visible()
    page.get_by_text("could not be used").click()
    expect(page.get_by_text("damaged.jpg")).to_be_visible()
    look(page, "03-images")


def ask(page: Page) -> None:
    """Give the names, with one mistake first."""
    page.get_by_role("link", name="Question").click()
    page.locator("input[name=kind][value=names]").check()
    page.locator("#id_names").fill("zero\none\nZero ")
    expect(page.locator("#names-check")).to_contain_text("Zero")
    look(page, "04-question-fault")
    page.locator("#id_names").fill(NAMES)
    expect(page.locator("#names-check")).to_contain_text("10")
    page.get_by_role("switch", name="Mirror images mean the same").uncheck()
    page.get_by_role("button", name="Save the question").click()


def start(page: Page) -> None:
    """Start the recommended method, made short for the test."""
    page.get_by_role("button", name="Start a run").first.click()
    expect(page.get_by_text("MUST is recommended")).to_be_visible()
    look(page, "05-new-run")
    page.get_by_text("All settings").click()
    expect(page.locator("#duration")).to_contain_text("the preset’s settings")
    page.locator("#id_setting-epochs").fill("2")
    expect(page.locator("#duration")).not_to_contain_text("the preset’s settings")
    page.locator("#id_setting-least_kept").fill("0")  # so few steps may drift, and there must be something to compare
    page.get_by_role("button", name="Start the run").click()
    expect(page.get_by_role("heading", name="MUST")).to_be_visible()


def watch(page: Page, context: BrowserContext) -> None:
    """See it move, in a second window too, and wait for its end."""
    expect(page.locator("#live")).to_be_visible()
    second = context.new_page()
    second.goto(page.url)
    expect(second.locator(".stats, .lead, .live-line").first).to_be_visible()
    second.close()
    expect(page.locator("#live .stats, .lead").first).to_be_visible(timeout=180 * SECOND)
    look(page, "06-run-live")
    expect(page.get_by_role("heading", name="Take it away")).to_be_visible(timeout=600 * SECOND)
    look(page, "07-result")


def open_review(page: Page) -> FrameLocator:
    """Open the panel and wait for its grid."""
    page.get_by_role("button", name="Review", exact=True).click()
    panel = page.frame_locator("iframe.panel-frame")
    expect(panel.locator(".lf-tile").first).to_be_visible(timeout=120 * SECOND)
    return panel


def correct(page: Page, panel: FrameLocator) -> list[str]:
    """Call the first two images *nine*; return their paths."""
    tiles = panel.locator("#lf-answers .lf-tile")
    paths = [str(tiles.nth(index).get_attribute("title")) for index in (0, 1)]
    tiles.nth(0).click()
    tiles.nth(1).click(modifiers=["Shift"])
    panel.locator("#lf-label-as input").click()
    panel.get_by_role("option", name="nine").click()
    panel.locator("#lf-correct").click()
    expect(panel.locator("[data-reviewed]")).to_contain_text("2", timeout=60 * SECOND)
    return paths


def compare(page: Page) -> None:
    """Put the run beside its baseline and settle the first image on which they differ."""
    page.locator(".crumb").get_by_role("link", name="Runs").click()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="How far they agree")).to_be_visible()
    first = page.locator(".dispute").first
    first.get_by_role("button").first.click()
    expect(page.locator(".dispute.settled")).to_have_count(1)
    look(page, "17-compare")
    page.locator(".dispute.settled a").click()
    expect(page.locator(".answers > div")).to_have_count(2)
    expect(page.locator(".answers").get_by_text("by ada")).to_be_visible()
    look(page, "18-image")


def test_a_newcomer_does_it_all_by_clicking(product: Product, page: Page, photographs: Path) -> None:
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    outside: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(INSIDE) else outside.append(request.url))

    sign_up(page, product)
    upload(page, photographs)
    ask(page)
    start(page)
    watch(page, page.context)
    run_page = page.url

    panel = open_review(page)
    look(page, "08-review-answers")
    changed = correct(page, panel)
    labels = labels_of(page)
    assert len(labels) == IMAGE_COUNT
    assert [labels[path]["label"] for path in changed] == ["nine", "nine"]
    assert {labels[path]["source"] for path in changed} == {"person"}
    page.reload()
    panel = page.frame_locator("iframe.panel-frame")
    expect(panel.locator("[data-reviewed]")).to_contain_text("2", timeout=60 * SECOND)
    for tab, name in (("Classes", "09-review-classes"), ("Differences", "10-review-differences"),
                      ("Map", "11-review-map"), ("Try", "12-review-try")):
        panel.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(1500)
        look(page, name)
    panel.get_by_role("tab", name="Answers").click()
    panel.locator("#lf-undo").click()
    expect(panel.locator("[data-reviewed]")).to_contain_text("0", timeout=60 * SECOND)
    assert {row["source"] for row in labels_of(page).values()} == {"model"}

    page.goto(run_page)
    package = downloaded(page, lambda: page.get_by_role("button", name="Model package").click())
    names = {Path(name).name for name in zipfile.ZipFile(io.BytesIO(package)).namelist()}
    assert {"model.safetensors", "settings.json", "predict.py", "CARD.md", "class_names.txt"} <= names

    compare(page)
    for path, name in (("/", "13-home"), ("/class-lists/", "14-class-lists"), ("/account/", "15-account")):
        page.goto(run_page[: run_page.index("/runs/")] + path)
        look(page, name)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    look(page, "16-sign-in")
    page.goto(run_page)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert faults == []
    assert outside == []
