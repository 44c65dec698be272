"""What a page says of a drop that a closed tab broke off, in a real Chromium."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from tests.webapp.server import Server


def folder_of(place: Path, count: int) -> Path:
    """Make a folder of so many different pictures."""
    place.mkdir()
    for number in range(count):
        Image.new("RGB", (16, 16), (number, 40, 80)).save(place / f"{number}.png")
    return place


def empty_collection(server: Server) -> int:
    """Make a collection of the owner's."""
    with server.client(server.owner) as client:
        client.get("/")
        made = client.post("/collections/create/", data={"name": "broken off"}, headers={
            "X-CSRFToken": client.cookies["labelfree_csrf"], "Accept": "application/json"})
        assert made.is_success, made.text
        return int(made.json()["id"])


def test_a_page_says_how_much_of_a_broken_off_drop_is_missing_until_it_was_sent(
        server: Server, owner_page: Page, tmp_path: Path) -> None:
    folder, page = folder_of(tmp_path / "photos", 7), owner_page
    address = f"{server.url}/collections/{empty_collection(server)}/images/"
    page.goto(address)
    said = page.get_by_text("files of your last drop were not sent. Drop the same folder again.")
    expect(said).to_have_count(0)
    page.route("**/uploads/**", lambda route: route.abort())  # the line breaks
    page.locator("[data-input=folder]").set_input_files(folder)
    expect(page.get_by_text("the line is broken, trying again")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.goto(address)
    expect(said).to_be_visible()
    expect(said).to_contain_text("7 of 7 files")
    page.unroute_all()
    page.locator("[data-input=folder]").set_input_files(folder)
    expect(said).to_have_count(0)
    expect(page.get_by_text("Everything is sent")).to_be_visible()
    page.reload()
    expect(page.locator("[data-uploads]")).to_be_visible()
    expect(said).to_have_count(0)
