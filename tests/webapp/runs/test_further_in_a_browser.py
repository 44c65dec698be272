"""Further collections ticked in a real Chromium: the form is fetched anew and keeps them."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.webapp.server import Server
from tests.webapp.window import fits

NAMES = ("Sketches", "Traffic cameras")


def test_ticked_collections_stay_ticked_and_the_fold_stays_open(server: Server, owner_page: Page) -> None:
    page = owner_page
    page.goto(f"{server.url}/account/")
    for name in NAMES:
        made = page.evaluate("""async name => (await fetch("/api/v1/collections", {method: "POST",
            headers: {"Content-Type": "application/json",
                      "X-CSRFToken": document.cookie.match(/labelfree_csrf=([^;]+)/)?.[1]
                                     ?? document.querySelector("[name=csrfmiddlewaretoken]").value},
            body: JSON.stringify({name})})).status""", name)
        assert made == 201
    page.goto(f"{server.url}/runs/{server.run}/")
    page.goto(f"{server.url}{page.locator('.crumb a').first.get_attribute('href')}runs/new/?method=must")
    page.get_by_text("All settings").click()
    page.get_by_label("Seed").fill("7")
    old = "document.querySelector('#more-settings').dataset.old = 'yes'"
    page.evaluate(f"{old}; document.querySelectorAll('[name=also]').forEach(box => box.click())")  # fast fingers
    expect(page.locator("#more-settings:not([data-old])")).to_have_attribute("open", "")
    for name in NAMES:
        expect(page.get_by_label(name)).to_be_checked()
    expect(page.get_by_label("Seed")).to_have_value("7")
    page.evaluate(old)
    page.get_by_label("Foundation model").select_option("clip-vit-b16")
    expect(page.locator("#more-settings:not([data-old])")).to_have_attribute("open", "")
    expect(page.get_by_label(NAMES[0])).to_be_checked()
    expect(page.get_by_label("Foundation model")).to_have_value("clip-vit-b16")
    page.get_by_role("button", name="Start the run").click()
    expect(page.get_by_text("adds no images")).to_be_visible()  # they are empty
    fits(page)
