"""The panel in a real Chromium, by quick hands, keys alone, a telephone and a line that breaks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.webapp.server import Server

SLOW = """() => {
  const ask = window.fetch;
  window.fetch = async (...asked) => { await new Promise((done) => setTimeout(done, 400)); return ask(...asked); };
}"""


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    """Return the commands that the panel sends, filled by `page`."""
    return []


@pytest.fixture
def page(owner_page: Page, server: Server, asked: list[dict[str, Any]]) -> Iterator[Page]:
    """Open the panel; take back afterwards what the test labelled."""
    owner_page.on("request", lambda one: asked.append(_command(one.post_data)) if "/run/" in one.url else None)
    owner_page.goto(f"{server.url}/panel/?run={server.run}")
    expect(owner_page.locator(".lf-tile").first).to_be_visible()
    yield owner_page
    owner_page.goto(f"{server.url}/panel/?run={server.run}")
    expect(owner_page.locator(".lf-tile").first).to_be_visible()
    while owner_page.locator("#lf-undo").is_enabled():
        said = owner_page.locator(".lf-head").get_attribute("data-version") or ""
        owner_page.locator("#lf-undo").click()
        expect(owner_page.locator(".lf-head")).not_to_have_attribute("data-version", said)
        owner_page.wait_for_timeout(100)


def _command(body: str | None) -> dict[str, Any]:
    command: dict[str, Any] = json.loads(json.loads(body or "{}")["data"][0])
    return command


def _ids(page: Page, count: int) -> list[int]:
    tiles = page.locator("#lf-answers .lf-tile")
    return [int(tiles.nth(index).get_attribute("data-image") or 0) for index in range(count)]


def _tile(page: Page, image: int) -> Any:
    return page.locator(f'#lf-answers [data-image="{image}"]')


def _selected(page: Page, said: str) -> None:
    expect(page.locator("[data-selected]")).to_have_text(said)


def test_it_is_drawn_once_as_it_opens(page: Page, server: Server, asked: list[dict[str, Any]]) -> None:
    page.wait_for_timeout(2000)
    assert [one["handler"] for one in asked] == ["show"]
    page.goto(f"{server.url}/panel/?run={server.run}&tab=try")
    expect(page.locator("form.lf-try")).to_be_visible()


def test_a_filter_that_keys_move_draws_the_grid(page: Page) -> None:
    matching = page.locator("#lf-answers [data-matching]")
    page.locator("#lf-low input[type=range]").focus()
    page.keyboard.press("End")
    expect(matching).not_to_have_attribute("data-matching", "150")
    page.keyboard.press("Home")
    expect(matching).to_have_attribute("data-matching", "150")
    page.locator("#lf-answers [data-select=everything]").click()
    _selected(page, "150 selected")
    page.locator("#lf-answers .lf-tile").nth(1).click()
    _selected(page, "Only this one is selected")
    page.locator("#lf-answers .lf-tile").nth(2).click()
    _selected(page, "2 selected")


def test_each_of_several_quick_labels_has_its_own_images(page: Page, asked: list[dict[str, Any]]) -> None:
    ids = _ids(page, 6)
    page.evaluate(SLOW)
    for image in ids[:4]:
        _tile(page, image).click()
        page.keyboard.press("2")
    _tile(page, ids[4]).click()
    page.keyboard.press("Enter")
    _tile(page, ids[5]).click()
    page.keyboard.press("3")
    page.keyboard.press("4")  # nothing is selected any more
    expect(page.locator("[data-reviewed] strong")).to_have_text("6")
    assert [(one["handler"], one["ids"], one.get("class_index")) for one in asked
            if one["handler"] in ("confirm", "correct")] == [
        *(("correct", [image], 1) for image in ids[:4]), ("confirm", [ids[4]], None), ("correct", [ids[5]], 2)]
    assert page.evaluate("window.lf.state.once.correct") is None


def test_a_class_is_named_by_its_name_and_by_no_number(page: Page) -> None:
    first, second = _ids(page, 2)
    menu, alert = page.locator("#lf-label-as input"), page.get_by_role("alert")
    _tile(page, first).click()
    menu.fill("3")
    menu.press("Tab")
    page.locator("#lf-correct").click()
    expect(alert).to_contain_text("'3' is none of this run's classes")
    _selected(page, "1 selected")
    menu.fill(" Three")
    menu.press("Tab")
    page.locator("#lf-correct").click()
    expect(page.locator("#lf-undo")).to_have_text("Undo: labelled 1 image three")

    _tile(page, second).click()
    page.keyboard.press("l")
    expect(menu).to_be_focused()
    menu.fill("seven")
    page.keyboard.press("Enter")
    expect(page.locator("#lf-undo")).to_have_text("Undo: labelled 1 image seven")
    expect(_tile(page, second)).to_be_focused()

    page.keyboard.press("Enter")  # selects it again
    page.keyboard.press("l")
    menu.fill("nine")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#lf-undo")).to_have_text("Undo: labelled 1 image nine")
    expect(_tile(page, second)).to_be_focused()


def test_what_is_done_meanwhile_is_said_and_shown(page: Page, server: Server) -> None:
    first = _ids(page, 1)[0]
    other = page.context.new_page()
    for one in (page, other):
        one.clock.install()  # neither asks by itself what the other did
        one.goto(f"{server.url}/panel/?run={server.run}")
        expect(_tile(one, first)).to_be_visible()
    _tile(other, first).click()
    other.keyboard.press("8")
    expect(other.locator("#lf-undo")).to_have_text("Undo: labelled 1 image seven")
    _tile(page, first).click()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("somebody labelled 1 of these meanwhile")
    expect(page.locator("#lf-undo")).to_have_text("Undo: labelled 1 image seven")
    expect(page.get_by_role("alert")).to_contain_text("somebody labelled 1 of these meanwhile")
    _selected(page, "1 selected")
    page.keyboard.press("Enter")
    expect(page.locator("#lf-undo")).to_have_text("Undo: confirmed 1 image")
    expect(page.get_by_role("alert")).to_be_hidden()
    other.locator("#lf-undo").click()
    expect(other.get_by_role("alert")).to_contain_text("look again at what Undo names now")
    expect(other.locator("#lf-undo")).to_have_text("Undo: confirmed 1 image")
    other.close()


def test_a_line_that_breaks_takes_nothing_away(page: Page) -> None:
    alert = page.get_by_role("alert")
    page.evaluate("window.same = true")
    page.locator("#lf-answers .lf-tile").first.click()
    expect(page.locator(".lf-closely")).to_be_visible()
    page.context.set_offline(True)
    page.keyboard.press("8")
    expect(alert).to_contain_text("The server does not answer")
    _selected(page, "1 selected")
    page.wait_for_timeout(3000)
    page.context.set_offline(False)
    page.wait_for_timeout(3000)
    page.keyboard.press("8")
    expect(page.locator("#lf-undo")).to_have_text("Undo: labelled 1 image seven")
    expect(alert).to_be_hidden()
    assert page.evaluate("window.same") is True


def test_a_picture_is_not_lost_in_silence(page: Page, server: Server) -> None:
    alert = page.get_by_role("alert")
    page.locator("#lf-tabs [role=tab]", has_text="Try").click()
    field = page.locator("form.lf-try input[type=file]")
    expect(field).to_be_attached()
    picture = {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.context.set_offline(True)
    field.set_input_files(picture)
    expect(alert).to_contain_text("The server does not answer")
    page.context.set_offline(False)
    cookies = page.context.cookies()
    page.evaluate("document.querySelector('[data-island=try]').insertAdjacentHTML('beforeend', "
                  f"'<p data-waits=\"{server.url}/review/trials/1/\">waits</p>')")
    page.context.clear_cookies()
    expect(alert).to_contain_text("You are signed out.")
    expect(page.locator("[data-waits]")).to_have_text("waits")
    page.context.add_cookies(cookies)  # type: ignore[arg-type]


def test_a_telephone_keeps_room_for_pictures_and_can_close_the_chosen_one(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    tiles, closely = page.locator("#lf-answers .lf-tile"), page.locator(".lf-closely")
    tiles.first.click()
    expect(closely).to_be_visible()
    dock = page.locator("#lf-dock").bounding_box()
    assert dock is not None
    assert dock["height"] < 220
    page.get_by_role("button", name="Close the selected image").click()
    expect(closely).to_be_hidden()
    _selected(page, "1 selected")
    tiles.nth(1).click()
    expect(closely).to_be_visible()
    tiles.nth(1).click()
    expect(closely).to_be_hidden()
    tiles.nth(1).click()
    expect(closely).to_be_visible()
    page.keyboard.press("Escape")
    expect(closely).to_be_hidden()
    _selected(page, "Nothing selected")


def test_a_tile_says_whose_other_answer_it_shows(page: Page) -> None:
    expect(page.locator("#lf-answers .lf-baseline").first).to_have_text(re.compile("^Zero-shot: "))
    page.locator("#lf-answers .lf-tile").first.click()
    expect(page.locator(".lf-closely h4").first).to_have_text(
        re.compile(r"^MUST, \d+ points? ahead of the second likeliest$"))
