"""The pages of targets, of what their logs say, and the checkup, in a real browser against the real server."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, free_port, log_in, start_server, stop_server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

#: A probe's state changes with its next look, which the page shows at its own next look.
SOON_MS = 60_000


class Shop(BaseHTTPRequestHandler):
    """Answers 200 to whoever asks."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"shop open")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """The address of a service that answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}/"
        serving.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def watching(chromium: str, shop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without a model that watches one that answers, one that does not, a job and a log."""
    folder = tmp_path_factory.mktemp("watching")
    log = folder / "printer.log"
    log.write_text("")
    targets = [
        {"name": "shop", "note": "Sells cards", "http": {"url": shop, "interval": "5s"}},
        {"name": "gone", "tcp": {"host": "127.0.0.1", "port": free_port(), "interval": "5s", "fails": 1}},
        {"name": "nightly", "push": {"every": "1d"}},
        {
            "name": "printer",
            "log": {"path": str(log), "begin": "start", "patterns": [{"match": "on fire", "level": 3}]},
        },
    ]
    settings = folder / "wakeless.yaml"
    settings.write_text(json.dumps({"targets": targets, "model": {"enabled": False}}))
    started = start_server(folder, WAKELESS_CONFIG=str(settings))
    try:
        started.wait("/health/live")
        yield started
    finally:
        stop_server(started)


@pytest.fixture(scope="module")
def visit(browser: Browser, watching: Server) -> Iterator[Page]:
    """A page of an administrator, the same one for all tests here; no script of it may fail."""
    opened = browser.new_context(viewport={"width": 1400, "height": 900}, locale="en-GB", color_scheme="dark")
    opened.set_default_timeout(SOON_MS)
    errors: list[str] = []
    opened.on("weberror", lambda error: errors.append(str(error.error)))
    page = opened.new_page()
    log_in(page, watching.url)
    yield page
    opened.close()
    assert errors == []


def row(page: Page, name: str) -> str:
    return f'#target-list .target-row[data-key="{name}"]'


def test_what_is_down_comes_first_and_is_said_in_a_sentence(visit: Page, watching: Server) -> None:
    visit.goto(f"{watching.url}/targets")
    expect(visit.locator(row(visit, "shop"))).to_contain_text("UP", timeout=SOON_MS)
    expect(visit.locator(row(visit, "gone"))).to_contain_text("DOWN", timeout=SOON_MS)
    expect(visit.locator("#standing")).to_contain_text("gone is down")
    expect(visit.locator("#standing")).to_contain_text("refuses the connection")
    expect(visit.locator(".target-row .target-name a").first).to_have_text("gone")
    expect(visit.locator(f"{row(visit, 'shop')} .kinds li")).to_have_attribute("title", "HTTP")


def test_a_target_tells_what_its_probe_found_and_looks_again_when_asked(visit: Page, watching: Server) -> None:
    visit.goto(f"{watching.url}/targets/shop")
    expect(visit.locator("#probes")).to_contain_text("HTTP status 200", timeout=SOON_MS)
    expect(visit.locator("#probes .phase-names")).to_contain_text("connecting", timeout=SOON_MS)
    expect(visit.locator("#bars [role=option]")).to_have_count(90)
    visit.get_by_role("button", name="Check now").click()
    expect(visit.locator("#outcomes")).to_contain_text("all is well")
    expect(visit.locator("[data-do=edit]")).to_be_hidden()
    expect(visit.locator("#from-settings")).to_be_visible()


def test_an_outage_is_listed_with_its_reason(visit: Page, watching: Server) -> None:
    visit.goto(f"{watching.url}/targets/gone")
    expect(visit.locator("#outages li")).to_contain_text("refuses the connection", timeout=SOON_MS)
    expect(visit.locator("#outages li")).to_contain_text("so far")


def test_a_job_says_that_it_lives_at_the_address_that_its_page_shows(visit: Page, watching: Server) -> None:
    visit.goto(f"{watching.url}/targets/nightly")
    lines = visit.locator("#push pre")
    expect(lines).to_have_count(2)
    address = lines.first.inner_text()
    assert f"{address}/fail" in lines.last.inner_text()
    with urllib.request.urlopen(address, timeout=20) as answer:
        assert answer.status == 200
    expect(visit.locator("h1 + .pill")).to_have_text("UP", timeout=SOON_MS)
    expect(visit.locator("#probes")).to_contain_text("last sign of life")


def test_a_target_is_tried_then_added_changed_without_its_secret_and_deleted(
    visit: Page, watching: Server, shop: str
) -> None:
    visit.goto(f"{watching.url}/targets")
    visit.locator("[data-do=add]").first.click()
    dialog = visit.locator("dialog")
    dialog.get_by_label("Name", exact=True).fill("added")
    http = dialog.locator('[data-kind="http"]')
    http.get_by_label("Address (URL)").fill(shop)
    http.get_by_text("More settings").click()
    http.get_by_label("Bearer token").fill("a-secret-token")
    http.get_by_label("Text that must be in it").fill("closed")
    dialog.get_by_role("button", name="Test").click()
    expect(dialog.locator(".outcomes")).to_contain_text("is not in the body")
    http.get_by_label("Text that must be in it").fill("open")
    dialog.get_by_role("button", name="Test").click()
    expect(dialog.locator(".outcomes")).to_contain_text("all is well")
    dialog.get_by_role("button", name="Save").click()
    visit.wait_for_url("**/targets/added")
    visit.locator("[data-do=edit]").click()
    http.get_by_text("More settings").click()
    expect(http.get_by_label("Text that must be in it")).to_have_value("open")
    token = http.get_by_label("Bearer token")
    expect(token).to_have_value("")
    expect(token).to_have_attribute("placeholder", "unchanged")
    assert "a-secret-token" not in visit.content()
    dialog.get_by_label("Note", exact=True).fill("Added by hand")
    dialog.get_by_role("button", name="Save").click()
    expect(visit.locator(".target-note")).to_have_text("Added by hand")
    visit.locator("[data-do=delete]").click()
    dialog.get_by_role("button", name="Delete").click()
    visit.wait_for_url("**/targets")
    expect(visit.locator(row(visit, "shop"))).to_be_visible()
    expect(visit.locator(row(visit, "added"))).to_have_count(0)


def test_what_the_server_refuses_is_said_and_nothing_typed_is_lost(visit: Page, watching: Server) -> None:
    visit.goto(f"{watching.url}/targets")
    visit.locator("[data-do=add]").first.click()
    dialog = visit.locator("dialog")
    dialog.get_by_label("Name", exact=True).fill("shop")
    dialog.locator('[data-kind="http"]').get_by_label("Address (URL)").fill("http://127.0.0.1:1/")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator(".problem")).to_contain_text(re.compile("the settings have a target shop", re.I))
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("shop")
    visit.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_paused_target_is_left_alone_until_it_is_resumed(visit: Page, watching: Server) -> None:
    visit.goto(f"{watching.url}/targets/shop")
    visit.locator("[data-do=pause]").click()
    visit.locator("dialog").get_by_role("button", name="Pause").click()
    expect(visit.locator("h1 + .pill")).to_have_text("PAUSED")
    visit.get_by_role("button", name="Resume").click()
    expect(visit.locator("h1 + .pill")).to_have_text("UP", timeout=SOON_MS)


def test_what_a_log_says_is_found_and_opens_to_the_whole_entry(visit: Page, watching: Server) -> None:
    with (watching.log.parent / "printer.log").open("a") as file:
        file.write("ERROR lp0 on fire\n")
    visit.goto(f"{watching.url}/logs?target=printer#found")
    event = visit.locator("#events .event")
    expect(event).to_contain_text("lp0 on fire", timeout=SOON_MS)
    expect(event).to_contain_text("level 3")
    event.locator("summary").focus()
    visit.keyboard.press("Enter")
    expect(event.locator("pre")).to_contain_text("ERROR lp0 on fire")
    visit.locator("#found-filters [name=q]").fill("no such words")
    expect(visit.locator("#found-empty")).to_be_visible()
    assert re.search(r"[?&]q=no", visit.url)


def test_a_checkup_answers_five_questions_and_runs_again(visit: Page, watching: Server) -> None:
    visit.goto(f"{watching.url}/targets/gone")
    expect(visit.locator("h1 + .pill")).to_have_text("DOWN", timeout=SOON_MS)
    visit.get_by_role("link", name="Checkup").click()
    visit.wait_for_url("**/checkup?target=gone")
    steps = visit.locator("#steps .step")
    expect(steps).to_have_count(5)
    expect(steps.first).to_contain_text("refuses the connection")
    expect(visit.locator("#sum")).to_contain_text("Begin with:")
    with visit.expect_response("**/api/checkup?target=gone") as again:
        visit.get_by_role("button", name="Run again").click()
    assert again.value.ok


def test_every_alert_has_its_checkup_one_click_away(visit: Page, watching: Server) -> None:
    visit.goto(f"{watching.url}/alerts")
    visit.locator("#active .alert-card").first.get_by_role("link", name="Checkup").click()
    visit.wait_for_url("**/checkup?alert=*")
    expect(visit.locator("#steps .step")).to_have_count(5)


def test_a_phone_reaches_every_page(visit: Page, watching: Server) -> None:
    visit.set_viewport_size({"width": 320, "height": 640})
    visit.goto(f"{watching.url}/targets")
    expect(visit.locator(".rail > a.link:visible")).to_have_count(4)
    visit.locator(".more-pages summary").click()
    visit.locator(".more-pages").get_by_role("link", name="Logs").click()
    visit.wait_for_url("**/logs*")
    expect(visit.locator(".more-pages summary")).to_have_attribute("data-holds-current", "")
    visit.set_viewport_size({"width": 1400, "height": 900})


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious_and_a_phone_scrolls_only_down(visit: Page, watching: Server, theme: str) -> None:
    visit.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    for path in ("/targets", "/targets/gone", "/logs", "/checkup?target=gone"):
        visit.set_viewport_size({"width": 1400, "height": 900})
        visit.goto(watching.url + path)
        visit.wait_for_load_state("networkidle")
        found = Axe().run(visit).response["violations"]
        serious = [
            (path, one["id"], one["nodes"][0]["html"][:200])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == []
        visit.set_viewport_size({"width": 320, "height": 640})
        assert visit.evaluate("document.documentElement.scrollWidth") <= 320, path
