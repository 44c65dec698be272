"""Further collections ticked in a real Chromium: the form is fetched anew and keeps them."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.webapp.server import Server

NAMES = ("Sketches", "Traffic cameras")
PATIENCE_MILLISECONDS = 60_000


def test_ticked_collections_stay_ticked_and_the_fold_stays_open(server: Server, chromium: Path) -> None:
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        window = browser.new_context(viewport={"width": 1440, "height": 900})
        window.set_default_timeout(PATIENCE_MILLISECONDS)
        window.add_cookies([{"name": "labelfree_session", "value": server.owner, "url": server.url}])
        page, faults = window.new_page(), []
        page.on("pageerror", lambda error: faults.append(str(error)))
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
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert faults == []
        browser.close()
