"""Clicks of somebody who sends photographs, and what the page says then."""

from __future__ import annotations

import time
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.test_main_job import PASSWORD, SECOND

PREFIX = "/photographs"


def sign_in(page: Page, address: str) -> None:
    page.goto(f"{address}{PREFIX}/")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="ada", exact=True)).to_be_visible()


def choose(page: Page, folder: Path) -> None:
    page.locator("input[data-input=folder]").first.set_input_files(folder)


def choose_file(page: Page, file: Path) -> None:
    page.locator("input[data-input=files]").first.set_input_files(file)
    page.wait_for_url("**/collections/*/images/**")


def has_images(page: Page, count: int) -> None:
    expect(page.locator("#image-count")).to_have_text(str(count), timeout=300 * SECOND)


def has_nothing_twice(page: Page, count: int) -> None:
    page.goto(page.url.split("?")[0].replace("/images/", "/files/"))
    expect(page.get_by_label("Which files")).to_contain_text(f"Images {count}")
    expect(page.get_by_label("Which files")).not_to_contain_text("Duplicates")


def try_again(page: Page) -> None:
    """Let the browser's waiting pass quickly until it offers to try again, and take the offer."""
    offer = page.get_by_role("button", name="Try these again")
    deadline = time.monotonic() + 60
    while not offer.is_visible() and time.monotonic() < deadline:
        page.clock.fast_forward("01:00")
        page.wait_for_timeout(50)
    offer.click()
