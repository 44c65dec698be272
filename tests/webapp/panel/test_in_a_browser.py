"""The panel in a real Chromium: correct, reload, a second browser, undo, names, map, try; nothing from outside."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.webapp.server import Server

PATIENCE_MILLISECONDS = 60_000
"""The machine may be busy with other tests."""


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """Start the browser once."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """Return a browser's window, signed in as the owner, that goes down with the test."""
    one = _window(browser, server, server.owner)
    yield one
    one.close()


def _window(browser: Browser, server: Server, session: str) -> BrowserContext:
    window = browser.new_context(viewport={"width": 1440, "height": 900})
    window.set_default_timeout(PATIENCE_MILLISECONDS)
    window.add_cookies([{"name": "labelfree_session", "value": session, "url": server.url}])
    return window


def _open(context: BrowserContext, server: Server, run: int) -> Page:
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.faults = faults  # type: ignore[attr-defined]
    page.goto(f"{server.url}/panel/?run={run}")
    expect(page.locator(".lf-tile").first).to_be_visible()
    return page


def _tab(page: Page, name: str) -> None:
    page.locator("#lf-tabs [role=tab]", has_text=name).click()


def _by_person(page: Page, count: int) -> None:
    expect(page.locator("[data-reviewed] strong")).to_have_text(str(count))


def test_corrections_survive_a_reload_show_in_a_second_browser_and_are_undone(
        browser: Browser, context: BrowserContext, server: Server) -> None:
    page = _open(context, server, server.run)
    tiles = page.locator("#lf-answers .lf-tile")
    names = [tiles.nth(index).get_attribute("title") for index in range(3)]
    tiles.nth(0).click()
    tiles.nth(2).click(modifiers=["Shift"])
    expect(page.locator("[data-selected]")).to_have_text("3 selected")
    expect(page.locator(".lf-closely .lf-answer")).to_have_count(2)
    page.keyboard.press("8")  # the eighth class
    _by_person(page, 3)
    expect(page.locator("[data-selected]")).to_have_text("Nothing selected")

    page.reload()
    expect(tiles.first).to_be_visible()
    _by_person(page, 3)
    for name in names:
        expect(page.locator(f'#lf-answers .lf-tile[title="{name}"] .lf-label')).to_have_text(re.compile("✓ seven"))
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(page.request.get(
        f"{server.url}/runs/{server.run}/labels.csv").text(), newline=""))}
    assert {(rows[name]["label"], rows[name]["source"]) for name in names if name} == {("seven", "person")}
    assert [row["source"] for row in rows.values()].count("person") == 3

    second = _window(browser, server, server.owner)
    other = _open(second, server, server.run)
    _by_person(other, 3)
    page.locator("#lf-undo").click()
    _by_person(page, 0)
    _by_person(other, 0)
    page.locator("#lf-redo").click()
    _by_person(page, 3)
    _by_person(other, 3)
    page.keyboard.press("z")
    _by_person(page, 0)
    assert page.faults + other.faults == []  # type: ignore[attr-defined]
    second.close()


def test_all_that_match_are_labeled_by_the_menu_in_one_action(context: BrowserContext, server: Server) -> None:
    page = _open(context, server, server.run)
    _tab(page, "Classes")
    page.locator("[data-open-class='3']").click()
    expect(page.locator("#lf-answers .lf-line span").first).not_to_have_text(re.compile("^150 "))
    count = int(page.locator("#lf-answers [data-matching]").get_attribute("data-matching") or 0)
    page.locator("#lf-answers [data-select=everything]").click()
    expect(page.locator("[data-selected]")).to_have_text(f"{count} selected")
    page.locator("#lf-label-as input").click()
    page.get_by_role("option", name="6 · five").click()
    page.locator("#lf-correct").click()
    _by_person(page, count)
    expect(page.locator("#lf-undo")).to_have_text(f"Undo: labelled {count} images five")
    page.locator("#lf-undo").click()
    _by_person(page, 0)


@pytest.mark.parametrize("width", [390, 1440])
def test_the_next_page_is_reached_by_mouse(browser: Browser, server: Server, width: int) -> None:
    window = _window(browser, server, server.owner)
    page = _open(window, server, server.run)
    page.set_viewport_size({"width": width, "height": 844})
    page.locator("#lf-answers .lf-tile").first.click()
    expect(page.locator(".lf-closely")).to_be_visible()
    _click_at_the_end(page, page.locator("#lf-answers .lf-pager button", has_text="Next"))
    expect(page.locator("#lf-answers .lf-pager")).to_contain_text("page 2 of 3")
    window.close()


def _click_at_the_end(page: Page, button: Locator) -> None:
    """Click where the button is once nothing scrolls any further, as a hand does: whatever lies above it is hit."""
    page.mouse.move(150, 300)
    page.mouse.wheel(0, 100_000)
    page.wait_for_function("scrollY + innerHeight >= document.documentElement.scrollHeight - 1")
    box = button.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_what_is_selected_out_of_sight_is_said_and_a_filter_clears_it(
        context: BrowserContext, server: Server) -> None:
    page = _open(context, server, server.run)
    tiles, selected = page.locator("#lf-answers .lf-tile"), page.locator("[data-selected]")
    tiles.nth(0).click()
    tiles.nth(2).click(modifiers=["Shift"])
    expect(selected).to_have_text("3 selected")
    page.locator("#lf-answers .lf-pager button", has_text="Next").click()
    expect(selected).to_have_text("3 selected, 3 not on this page")
    page.locator("#lf-answers [data-select=page]").click()
    expect(selected).to_have_text("63 selected, 3 not on this page")
    page.locator("#lf-class input").click()
    page.get_by_role("option", name="five").click()
    expect(page.locator("#lf-answers .lf-line span").first).not_to_have_text(re.compile("^150 "))
    expect(selected).to_have_text("Nothing selected")
    page.locator("#lf-answers [data-select=page]").click()
    expect(selected).to_have_text(f"{tiles.count()} selected")


def test_a_refusal_is_said_until_something_goes_well(context: BrowserContext, server: Server) -> None:
    page = _open(context, server, server.run)
    alert = page.get_by_role("alert")
    page.locator("#lf-answers .lf-tile").first.click()
    expect(page.locator("[data-selected]")).to_have_text("1 selected")
    page.locator("#lf-correct").click()
    expect(alert).to_contain_text("none is chosen")
    page.locator("#lf-label-as input").fill("okapi")
    page.locator("#lf-label-as input").press("Tab")
    page.locator("#lf-correct").click()
    expect(alert).to_contain_text("'okapi' is none of this run's classes")
    page.locator("#lf-answers .lf-tile").nth(1).click()
    expect(alert).to_be_hidden()
    page.keyboard.press("0")
    expect(page.locator("#lf-undo")).to_have_text("Undo: labelled 2 images nine")
    page.keyboard.press("z")
    _by_person(page, 0)


def test_a_group_without_a_name_is_refused_in_words(context: BrowserContext, server: Server) -> None:
    page = _open(context, server, server.clusters)
    _tab(page, "Classes")
    page.locator("[data-class='2'] input[name=name]").fill("")
    page.locator("[data-class='2'] .lf-name button").click()
    expect(page.get_by_role("alert")).to_contain_text("it is empty: write a name")


def test_who_is_signed_out_is_led_to_the_sign_in_and_back(context: BrowserContext, server: Server) -> None:
    cookies = context.cookies()
    page = context.new_page()
    review = f"{server.url}/runs/{server.run}/review/"
    page.goto(review)
    panel = page.frame_locator("iframe.panel-frame")
    panel.locator("#lf-answers .lf-tile").first.click()
    expect(panel.locator("[data-selected]")).to_have_text("1 selected")
    context.clear_cookies()
    page.keyboard.press("2")
    expect(panel.get_by_role("alert")).to_contain_text("You are signed out.")
    panel.get_by_role("link", name="Sign in again").click()
    page.wait_for_url(f"{server.url}/sign-in/?next=/runs/{server.run}/review/")
    context.add_cookies(cookies)
    page.reload()
    page.wait_for_url(review)


def test_a_page_at_twice_its_size_leaves_room_to_select(context: BrowserContext, server: Server) -> None:
    page = _open(context, server, server.run)
    page.set_viewport_size({"width": 640, "height": 340})
    tiles = page.locator("#lf-answers .lf-tile")
    tiles.nth(0).click()
    expect(page.locator(".lf-closely")).to_be_visible()
    closely, bar, dock = (page.locator(one).bounding_box() for one in (".lf-closely", "#lf-bar", "#lf-dock"))
    assert closely and bar and dock
    assert closely["y"] + closely["height"] <= bar["y"]
    assert dock["height"] < 170
    tiles.nth(1).click()
    expect(page.locator("[data-selected]")).to_have_text("2 selected")


def test_a_cluster_takes_a_suggested_name(context: BrowserContext, server: Server) -> None:
    page = _open(context, server, server.clusters)
    _tab(page, "Classes")
    row = page.locator("[data-class='2']")
    row.locator("[data-suggest]").nth(1).click()
    name = row.locator("[data-suggest]").nth(1).inner_text()
    expect(page.locator("#lf-undo")).to_have_text(f"Undo: named cluster 3 {name}")
    expect(row.locator("input[name=name]")).to_have_value(name)
    page.locator("#lf-undo").click()
    expect(row.locator("input[name=name]")).to_have_value("cluster 3")


def test_a_lasso_on_the_map_selects_for_the_same_actions(context: BrowserContext, server: Server) -> None:
    page = _open(context, server, server.run)
    _tab(page, "Map")
    expect(page.locator(".lf-legend .lf-chip").first).to_be_visible()
    box = page.locator(".lf-plane canvas").bounding_box()
    assert box is not None
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99), (0.01, 0.02)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()
    expect(page.locator("[data-selected]")).to_have_text("150 selected")
    page.locator("#lf-confirm").click()
    _by_person(page, 150)
    page.locator("#lf-undo").click()
    _by_person(page, 0)


def test_a_picture_is_tried_without_passing_through_gradio(
        context: BrowserContext, server: Server, tmp_path: Path) -> None:
    page = _open(context, server, server.run)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    Image.new("RGB", (32, 32), "teal").save(tmp_path / "teal.png")
    _tab(page, "Try")
    page.locator(".lf-try input[type=file]").set_input_files(tmp_path / "teal.png")
    expect(page.locator("[data-waits]")).to_be_visible()
    assert [url for url in sent if "/review/" in url] == [f"{server.url}/review/runs/{server.run}/trials/"]
    assert not any("upload" in url for url in sent)
    (tmp_path / "large.png").write_bytes(bytes(16 * 1024 * 1024 + 1))
    page.locator(".lf-try input[type=file]").set_input_files(tmp_path / "large.png")
    expect(page.locator(".lf-refusal")).to_contain_text("large.png")


def test_nothing_is_fetched_from_outside(context: BrowserContext, server: Server) -> None:
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = _open(context, server, server.run)
    for name in ("Classes", "Differences", "Map", "Try"):
        _tab(page, name)
        page.wait_for_timeout(500)
    assert len(asked) > 50
    assert [url for url in asked if not url.startswith((f"{server.url}/", "data:", "blob:"))] == []
    assert page.faults == []  # type: ignore[attr-defined]


def test_another_persons_run_shows_nothing(browser: Browser, server: Server) -> None:
    window = _window(browser, server, server.stranger)
    page = window.new_page()
    page.goto(f"{server.url}/panel/?run={server.run}")
    expect(page.locator("[data-missing]")).to_contain_text("Nothing here")
    expect(page.locator("#lf-dock")).to_be_hidden()
    assert page.locator(".lf-tile").count() == 0
    window.close()


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_fits_its_window(browser: Browser, server: Server, width: int) -> None:
    window = _window(browser, server, server.owner)
    page = _open(window, server, server.run)
    page.set_viewport_size({"width": width, "height": 844})
    for name in ("Answers", "Classes", "Differences", "Map", "Try"):
        _tab(page, name)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    window.close()
