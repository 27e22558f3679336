"""The page of requests in a real browser, against the real server: real requests, some of which fail."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SAMPLES = ROOT / "model" / "builtin" / "samples"


def ask(server: Server, request_id: str, body: bytes) -> int:
    """Ask the model; returns the status of its answer."""
    headers = {"Content-Type": "image/jpeg", "X-Request-ID": request_id}
    try:
        asked = urllib.request.Request(f"{server.url}/predict", body, headers)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            found: int = answer.status
            return found
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.fixture(scope="module")
def asked(server: Server) -> Server:
    """Two requests that went well and one with what is no image."""
    assert ask(server, "page-well-1", (SAMPLES / "passport.jpg").read_bytes()) == 200
    assert ask(server, "page-well-2", (SAMPLES / "id_card.jpg").read_bytes()) == 200
    assert ask(server, "page-bad-1", b"no image at all") in (400, 415, 422)
    return server


def row(page: Page, request_id: str) -> str:
    return f'#requests tr[data-request="{request_id}"]'


def test_a_request_opens_to_all_that_is_known_of_it(page: Page, asked: Server) -> None:
    page.goto(f"{asked.url}/requests")
    expect(page.locator("#standing")).to_contain_text("took")
    expect(page.locator("#standing")).to_contain_text("One did not go well: bad_input 1.")
    line = page.locator(row(page, "page-bad-1"))
    expect(line.locator(".pill")).to_contain_text("bad_input")
    opener = line.locator(".opener")
    opener.focus()
    page.keyboard.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    detail = page.locator("#requests tr.detail")
    expect(detail).to_contain_text("HTTP status")
    link = detail.get_by_role("link", name="All log lines of this request")
    expect(link).to_have_attribute("href", "/logs?request_id=page-bad-1#own")


def test_filters_are_part_of_the_address(page: Page, asked: Server) -> None:
    page.goto(f"{asked.url}/requests")
    expect(page.locator(row(page, "page-well-1"))).to_be_visible()
    page.locator("[name=outcome]").select_option("bad_input")
    expect(page.locator(row(page, "page-well-1"))).to_have_count(0)
    expect(page.locator(row(page, "page-bad-1"))).to_be_visible()
    assert "outcome=bad_input" in page.url
    page.reload()
    expect(page.locator("[name=outcome]")).to_have_value("bad_input")
    expect(page.locator(row(page, "page-bad-1"))).to_be_visible()
    expect(page.locator(row(page, "page-well-1"))).to_have_count(0)
    page.fill("[name=request_id]", "nobody-1")
    expect(page.locator("#requests-empty")).to_contain_text("No request in this time is like that.")
    page.locator("#clear-filters").click()
    expect(page.locator(row(page, "page-well-2"))).to_be_visible()


def test_a_kind_of_error_shows_its_requests(page: Page, asked: Server) -> None:
    page.goto(f"{asked.url}/requests")
    kind = page.locator("#error-groups button").first
    expect(kind).to_contain_text("bad_input")
    kind.click()
    expect(kind).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#only")).to_be_visible()
    expect(page.locator(row(page, "page-well-1"))).to_have_count(0)
    expect(page.locator(row(page, "page-bad-1"))).to_be_visible()


def test_what_is_shown_is_what_the_csv_holds(page: Page, asked: Server) -> None:
    page.goto(f"{asked.url}/requests?outcome=bad_input")
    expect(page.locator(row(page, "page-bad-1"))).to_be_visible()
    with page.expect_download() as download:
        page.locator("#requests-csv").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "page-bad-1" in text
    assert "page-well-1" not in text


def test_one_click_leads_from_a_request_to_its_log_lines(page: Page, asked: Server) -> None:
    page.goto(f"{asked.url}/logs?request_id=page-bad-1")
    expect(page.get_by_role("tab", name="Wakeless' own log")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#lines .line").first).to_contain_text("page-bad-1")
    expect(page.locator("#own-request a")).to_have_attribute("href", "/requests?request_id=page-bad-1")
    expect(page.locator("#lines .line", has_text="page-well-1")).to_have_count(0)
    page.locator("#own-request button").click()
    expect(page.locator("#lines .line", has_text="page-well-1").first).to_be_visible()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious_and_a_phone_scrolls_only_down(page: Page, asked: Server, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    for path in ("/requests", "/logs#own"):
        page.set_viewport_size({"width": 1400, "height": 900})
        page.goto("about:blank")
        page.goto(asked.url + path)
        page.wait_for_load_state("networkidle")
        found = Axe().run(page).response["violations"]
        serious = [
            (one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert serious == []
        page.set_viewport_size({"width": 320, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
