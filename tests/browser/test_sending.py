"""Sending photographs below a path prefix over a line that breaks: nothing is lost, and nothing is sent twice."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from benchmarks.gate import Gate
from tests.browser.conftest import Product, started
from tests.browser.test_main_job import SECOND, look, sign_up

PREFIX = "/photographs"
COUNT = 30

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def below() -> Iterator[tuple[Product, Gate]]:
    """Start everything below a path prefix, and a line to it."""
    with started(LABELFREE_URL_PREFIX=PREFIX) as product:
        product.first_link(timeout_seconds=240)
        gate = Gate(int(product.address.rsplit(":", 1)[1]))
        yield product, gate
        gate.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two folders of images, a broken file and a system's file."""
    top = noise(tmp_path_factory.mktemp("chosen") / "trip", seed=0)
    (top / "broken.jpg").write_bytes(b"\xff\xd8\xff and no more")
    (top / ".DS_Store").write_bytes(b"Bud1")
    return top


def noise(top: Path, seed: int) -> Path:
    """Write two folders of images with the same names in each."""
    drawn = np.random.default_rng(seed)
    for number in range(COUNT):
        place = top / ("monday" if number % 2 else "tuesday") / f"{number // 2}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn.integers(0, 255, (400, 400, 3), dtype=np.uint8)).save(place, quality=90)
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


def size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def choose(page: Page, folder: Path) -> None:
    page.locator("input[data-input=folder]").first.set_input_files(folder)


def has_images(page: Page, count: int) -> None:
    expect(page.locator("#image-count")).to_have_text(str(count), timeout=300 * SECOND)


def test_a_line_that_breaks_and_a_second_time(below: tuple[Product, Gate], browser: Browser, folder: Path,
                                              tmp_path: Path) -> None:
    product, gate = below
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    expect.set_options(timeout=60 * SECOND)
    faults: list[str] = []
    outside: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda one: None if one.url.startswith((f"{gate.address}{PREFIX}/", "data:", "blob:"))
            else outside.append(one.url))
    product.printed[:] = [re.sub(r"http://[^/\s]+", gate.address, line) for line in product.printed]
    sign_up(page, product)

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
    page.goto(page.url.split("?")[0].replace("/images/", "/files/"))
    expect(page.get_by_label("Which files")).to_contain_text(f"Images {COUNT}")
    expect(page.get_by_label("Which files")).not_to_contain_text("Duplicates")

    assert faults == []
    assert outside == []
    page.context.close()
