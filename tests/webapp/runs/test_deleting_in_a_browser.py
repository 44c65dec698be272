"""A run deleted on its page and taken back with the button that comes up, in a real Chromium."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.webapp.server import Server
from tests.webapp.window import fits


def test_a_run_is_deleted_and_taken_back(server: Server, owner_page: Page) -> None:
    page = owner_page
    page.goto(f"{server.url}/runs/{server.clusters}/")
    button = page.get_by_role("button", name="Move to the trash")
    expect(button).to_be_hidden()  # one click deletes nothing
    page.get_by_text("Delete this run").click()
    fits(page)
    button.click()
    said = page.get_by_role("status").filter(has_text=f"run {server.clusters} is in the trash")
    expect(said).to_be_visible()
    expect(page.get_by_role("link", name=f"TURTLE {server.clusters}")).to_have_count(0)
    fits(page)
    said.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(f"Run {server.clusters} is back")).to_be_visible()
    page.get_by_text("Delete this run").click()
    button.click()
    page.get_by_role("link", name="Trash").click()  # later, where the button is gone
    expect(page.get_by_text(f"run {server.clusters} of")).to_be_visible()
    fits(page)
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("button", name="Review", exact=True)).to_be_visible()
