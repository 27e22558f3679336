"""Another version is tried on a share of the requests from the page, compared, promoted and ended."""

from __future__ import annotations

import json
import re
import urllib.request

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, logged_in
from tests.browser.test_versions import versioned as versioned


def predict(server: Server, number: int) -> str:
    """Ask the model, and say which version has answered."""
    asked = urllib.request.Request(
        f"{server.url}/predict", json.dumps(number).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return str(answer.headers["X-Model-Version"])


def test_a_version_is_tried_compared_promoted_and_another_one_ended(browser: Browser, versioned: Server) -> None:
    with logged_in(browser, versioned.url, 390, 850) as page:
        page.goto(f"{versioned.url}/model")
        card = page.locator("section.canary")
        expect(card).to_contain_text("Try another version on a share of the requests")
        card.get_by_label("Version").select_option("2")
        card.locator("[data-field=begin] input").fill("40")
        _do(page, "Begin")
        expect(card).to_contain_text("Version 2 takes 40 % of the requests, version 1 the others.")
        expect(page.locator("#versions li").nth(1)).to_contain_text("canary")
        expect(page.locator("#versions").get_by_role("button")).to_have_count(0)

        share = card.locator("[data-field=running] input")
        share.focus()
        page.keyboard.press("End")
        expect(card.locator("[data-field=running] output")).to_have_text("100 %")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(card).to_contain_text("Version 2 takes 100 % of the requests")
        assert {predict(versioned, number) for number in range(5)} == {"2"}
        row = card.get_by_role("row", name=re.compile("^Requests "))
        expect(row.locator("td")).to_have_text(["0", "5"])
        expect(card).to_contain_text("Failures: too few requests for a word yet.")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390

        _do(page, "Promote")
        expect(card).to_contain_text("Version 2 was promoted: it serves.")
        expect(page.locator("#versions li").nth(1)).to_contain_text("serves · on probation")

        card.get_by_label("Version").select_option("1")
        _do(page, "Begin")
        expect(card).to_contain_text("Version 1 takes")
        _do(page, "End")
        expect(card).to_contain_text("The canary of version 1 has ended.")
        assert predict(versioned, 7) == "2"


def _do(page: Page, words: str) -> None:
    page.locator("section.canary").get_by_role("button", name=words, exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=words, exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
