"""How long a run takes, told anew in a real Chromium as its settings are edited."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.webapp.server import Server


def test_the_duration_follows_what_is_typed_and_the_form_keeps_it(server: Server, owner_page: Page) -> None:
    page = owner_page
    page.goto(f"{server.url}/runs/{server.run}/")
    page.goto(f"{server.url}{page.locator('.crumb a').first.get_attribute('href')}runs/new/?method=must")
    told = page.locator("#duration")
    expect(told).to_contain_text("with the preset’s settings")
    page.get_by_text("All settings").click()
    epochs = page.locator("#id_setting-epochs")
    epochs.fill("100000")
    expect(told).to_contain_text("minutes")
    expect(told).not_to_contain_text("the preset’s")
    epochs.fill("1")
    expect(told).not_to_contain_text("minutes")
    expect(epochs).to_have_value("1")
    assert epochs.evaluate("one => one === document.activeElement"), "typing goes on"
    page.locator("#id_preset").select_option(index=1)
    expect(told).to_contain_text("with the preset’s settings")
