"""Sending photographs below a path prefix, over a line that breaks and over plain http: nothing is sent twice."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from benchmarks.gate import Gate
from tests.browser.clicking import PREFIX, choose, choose_file, has_images, has_nothing_twice, sign_in, try_again
from tests.browser.conftest import Product, started
from tests.browser.test_main_job import SECOND, look, sign_up
from tests.browser.trips import COUNT, WHOLE_BYTES, archived, noise, size_bytes

LAB = "photographs.lab"
"""A name that this machine has for nobody but the browser: to it, plain http from there is not secure."""
SLICE_BYTES = 4 * 1024 * 1024
CLAIM = "**/uploads/claim/"
TRIES = 9
"""A question is asked so often before the browser gives it up."""
SAID = """() => { window.said = [];
    new MutationObserver(() => said.push(document.querySelector(".dock")?.textContent ?? ""))
        .observe(document.body, {childList: true, subtree: true}); }"""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def started_below() -> Iterator[tuple[Product, Gate]]:
    """Start everything below a path prefix, and a line to it: before the browser, as both have an event loop."""
    with started(LABELFREE_URL_PREFIX=PREFIX, LABELFREE_HOSTS=LAB) as product:
        product.first_link(timeout_seconds=240)
        gate = Gate(int(product.address.rsplit(":", 1)[1]))
        product.printed[:] = [re.sub(r"http://[^/\s]+", gate.address, line) for line in product.printed]
        yield product, gate
        gate.close()


@pytest.fixture(scope="module")
def browser(started_below: tuple[Product, Gate], chromium: Path) -> Iterator[Browser]:
    """Start a Chromium that finds the laboratory's server here."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(chromium), args=[
            "--no-sandbox", f"--host-resolver-rules=MAP {LAB} 127.0.0.1"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def below(started_below: tuple[Product, Gate], browser: Browser) -> tuple[Product, Gate]:
    """Make the administrator."""
    expect.set_options(timeout=60 * SECOND)
    page = browser.new_page()
    sign_up(page, started_below[0])
    page.close()
    return started_below


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page; no script of it may fail."""
    opened = browser.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    opened.context.close()
    assert faults == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two folders of images, a broken file and a system's file."""
    top = noise(tmp_path_factory.mktemp("chosen") / "trip", seed=0)
    (top / "broken.jpg").write_bytes(b"\xff\xd8\xff and no more")
    (top / ".DS_Store").write_bytes(b"Bud1")
    return top


def web_of(product: Product) -> int:
    """Return the process id of the web that this product has started."""
    for one in Path("/proc").glob("[0-9]*"):
        try:
            words, parent = (one / "cmdline").read_bytes(), int((one / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it has ended meanwhile
        if parent == product.process.pid and b"uvicorn" in words:
            return int(one.name)
    raise AssertionError("the web is not running")


def answers(page: Page, address: str, *said: Callable[[Route], None]) -> None:
    """Answer the questions to an address so, one after the other; the server answers all that follow."""
    left = iter(said)
    page.route(address, lambda route: next(left, Route.continue_)(route))


def away(route: Route) -> None:
    route.fulfill(status=503, headers={"Retry-After": "1"})


def too_many(route: Route) -> None:
    route.fulfill(status=429, headers={"Retry-After": "1"})


def heard(route: Route) -> None:
    """Let the server hear a question and lose its answer."""
    route.fetch()
    route.abort()


def test_a_line_that_breaks_and_a_second_time(below: tuple[Product, Gate], browser: Browser, folder: Path,
                                              tmp_path: Path) -> None:
    product, gate = below
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    faults: list[str] = []
    outside: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda one: None if one.url.startswith((f"{gate.address}{PREFIX}/", "data:", "blob:"))
            else outside.append(one.url))
    sign_in(page, gate.address)

    gate.cut_at = gate.sent_bytes + size_bytes(folder) // 3
    choose(page, folder)
    page.wait_for_url("**/collections/*/images/**")
    has_images(page, COUNT)
    expect(page.get_by_text("Everything is sent")).to_be_visible()
    assert gate.cuts == 1
    collection = page.url.split("?")[0]

    page.goto(collection.replace("/images/", "/files/"))
    expect(page.locator(".files")).to_contain_text("broken.jpg")
    expect(page.get_by_role("link", name="Left out 1")).to_be_visible()
    look(page, "20-files")

    before = gate.sent_bytes
    page.goto(collection)
    choose(page, folder)  # the same once more
    expect(page.get_by_text("30 were here already")).to_be_visible()
    has_images(page, COUNT)
    assert gate.sent_bytes - before < size_bytes(folder) / 20

    renamed = shutil.copytree(folder, tmp_path / "the same under another name")
    (renamed / "broken.jpg").unlink()
    before = gate.sent_bytes
    page.goto(f"{gate.address}{PREFIX}/")
    choose(page, renamed)
    page.wait_for_url("**/collections/*/images/**")
    has_images(page, COUNT)
    expect(page.get_by_text("30 were here already")).to_be_visible()
    assert page.url.split("?")[0] != collection
    assert gate.sent_bytes - before < size_bytes(renamed) / 20
    page.reload()
    page.locator(".wall img").first.evaluate("image => image.decode()")  # raises where it cannot be shown

    # The web is killed while it receives; its supervisor starts it again, and the browser goes on by itself.
    others = noise(tmp_path / "another trip", seed=1)
    before = gate.sent_bytes
    page.goto(f"{gate.address}{PREFIX}/")
    choose(page, others)
    page.wait_for_url("**/collections/*/images/**")
    deadline = time.monotonic() + 60
    while gate.sent_bytes - before < size_bytes(others) / 3 and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    os.kill(web_of(product), signal.SIGKILL)
    has_images(page, COUNT)
    expect(page.get_by_text("Everything is sent")).to_be_visible(timeout=300 * SECOND)
    assert gate.sent_bytes - before < 2 * size_bytes(others)
    has_nothing_twice(page, COUNT)

    assert faults == []
    assert outside == []
    page.context.close()


def test_over_plain_http_an_archive_that_is_here_is_not_sent_again(below: tuple[Product, Gate], page: Page,
                                                                  tmp_path: Path) -> None:
    _, gate = below
    page.set_default_timeout(60 * SECOND)
    forbidden: list[str] = []
    page.on("console", lambda one: forbidden.append(one.text) if "Content Security Policy" in one.text else None)
    lab = gate.address.replace("127.0.0.1", LAB)
    sign_in(page, lab)
    page.wait_for_load_state()  # the scripts too
    assert page.evaluate("[isSecureContext, crypto.subtle === undefined]") == [False, True]

    for size in (0, 1, 55, 56, 63, 64, 65, SLICE_BYTES - 1, SLICE_BYTES, SLICE_BYTES + 1, 2 * SLICE_BYTES + 65):
        found = page.evaluate("""size => digests.of(
            new Blob(Array(Math.ceil(size / 251)).fill(Uint8Array.from({length: 251}, (_, i) => i))).slice(0, size),
            new AbortController().signal, () => {})""", size)
        assert found == hashlib.sha256((bytes(range(251)) * (size // 251 + 1))[:size]).hexdigest(), size

    archive = archived(tmp_path / "trip.zip")
    page.evaluate(SAID)
    choose_file(page, archive)  # nothing of its size is here: it is sent without being looked at
    has_images(page, 3)
    expect(page.get_by_text("Everything is sent")).to_be_visible()
    assert not [one for one in page.evaluate("said") if "Checking" in one]

    before = gate.sent_bytes
    page.goto(f"{lab}{PREFIX}/")
    page.evaluate(SAID)
    choose_file(page, archive.rename(tmp_path / "the same under another name.zip"))
    has_images(page, 3)
    expect(page.get_by_text("1 was here already · 3 images of archives among them")).to_be_visible()
    assert [one for one in page.evaluate("said") if re.match(r"Checking what is already here … \d+ %", one)]
    assert gate.sent_bytes - before < WHOLE_BYTES / 100
    page.reload()
    page.locator(".wall img").first.evaluate("image => image.decode()")
    page.goto(page.url.split("?")[0].replace("/images/", "/files/"))
    expect(page.get_by_label("Which files")).to_contain_text("Images 3")
    expect(page.locator(".files")).to_contain_text("recorder.bin")

    # Whoever does not want to wait for the answer need not: here it would never come.
    page.route("**/digest_worker.js", lambda route: None)
    page.goto(f"{lab}{PREFIX}/")
    choose_file(page, tmp_path / "0.png")
    page.get_by_role("button", name="Send without checking").click()
    has_images(page, 1)
    expect(page.get_by_text("Everything is sent")).to_be_visible()
    assert forbidden == []


def test_a_question_that_gets_no_answer_is_asked_again(below: tuple[Product, Gate], page: Page,
                                                       tmp_path: Path) -> None:
    _, gate = below
    created: list[str] = []
    page.on("request", lambda one: created.append(one.url) if one.method == "POST" and one.url.endswith("/uploads/")
            else None)
    sign_in(page, gate.address)
    page.evaluate(SAID)
    trip = noise(tmp_path / "trip", seed=3, count=200, side_px=32)
    answers(page, CLAIM, Route.continue_, Route.abort, away)
    choose(page, trip)
    page.wait_for_url("**/collections/*/images/**")
    has_images(page, 200)
    expect(page.get_by_text("Everything is sent")).to_be_visible()
    assert len(created) == 200
    said = "".join(page.evaluate("said"))
    assert "the line is broken, trying again" in said
    assert "the server cannot answer now, trying again" in said
    has_nothing_twice(page, 200)

    # A claim that was heard has made its images: asked again, it would make duplicates of them.
    page.unroute(CLAIM)
    page.goto(f"{gate.address}{PREFIX}/")
    answers(page, CLAIM, Route.continue_, heard)
    choose(page, trip.rename(tmp_path / "the same under another name"))
    page.wait_for_url("**/collections/*/images/**")
    has_images(page, 200)
    expect(page.get_by_text("200 were here already")).to_be_visible()
    assert len(created) == 200
    has_nothing_twice(page, 200)


def test_what_got_no_answer_at_all_is_offered_again(below: tuple[Product, Gate], page: Page,
                                                    tmp_path: Path) -> None:
    _, gate = below
    page.clock.install()
    sign_in(page, gate.address)
    answers(page, "**/collections/create/", Route.abort)
    answers(page, "**/uploads/known/", too_many)
    answers(page, "**/uploads/room/", *[away] * TRIES)
    answers(page, CLAIM, Route.continue_, *[Route.abort] * TRIES)
    choose(page, noise(tmp_path / "trip", seed=4, count=100, side_px=32))
    dock = page.get_by_label("Uploads")
    expect(dock).to_contain_text("100 of 100 not sent")  # there is no collection yet
    try_again(page)
    page.wait_for_url("**/collections/*/images/**")
    expect(dock).to_contain_text("trying again")
    try_again(page)  # there was no word about room
    expect(dock).to_contain_text("trying again")
    has_images(page, 64)
    try_again(page)  # the first claim was heard, the second was not
    has_images(page, 100)
    expect(dock).to_contain_text("Everything is sent")
    expect(dock).to_contain_text("100 of 100")
    has_nothing_twice(page, 100)
