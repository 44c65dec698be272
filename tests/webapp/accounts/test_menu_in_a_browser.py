"""The main menu on telephones and by the keyboard, in a real Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.webapp.server import Server

NAME = "a-rather-long-name@photographs.example"
CUT = """links => links.filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent)"""


@pytest.mark.parametrize("width", [320, 390])
@pytest.mark.parametrize("name", ["ada", NAME])
def test_only_the_user_s_name_is_cut_and_nothing_scrolls_sideways(server: Server, owner_page: Page, width: int,
                                                                  name: str) -> None:
    page = owner_page
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{server.url}/")
    account = page.locator(".topbar nav a[href$='/account/']")
    account.evaluate("(link, name) => { link.textContent = name; }", name)
    assert page.locator(".topbar nav a").evaluate_all(CUT) in ([], [NAME])
    assert account.evaluate("link => link.clientWidth") >= 12
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_what_has_the_focus_is_seen_on_the_way_to_sign_out(server: Server, owner_page: Page) -> None:
    page = owner_page
    page.goto(f"{server.url}/")
    page.locator(".topbar nav a[href$='/account/']").focus()
    page.keyboard.press("Tab")
    button = page.get_by_role("button", name="Sign out")
    assert button.evaluate("one => one === document.activeElement")
    assert button.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"


def test_a_button_in_the_dark_is_easy_to_read(server: Server, owner_page: Page) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    page = owner_page
    page.emulate_media(color_scheme="dark")
    page.goto(f"{server.url}/account/")
    colours = page.locator("main button:not(.secondary):not(.link)").first.evaluate(
        "one => { const style = getComputedStyle(one); return [style.color, style.backgroundColor]; }")
    lighter, darker = sorted((luminance(one) for one in colours), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5, colours


def luminance(colour: str) -> float:
    """Return the relative luminance of "rgb(r, g, b)"."""
    parts = [int(one) / 255 for one in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
