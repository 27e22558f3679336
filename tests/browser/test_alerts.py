"""The alerts page in a real browser, against the real server and real receivers."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.browser.conftest import PASSWORD, ROOT, Server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

TABS = ("active", "history", "silences", "rules", "notices", "channels")
SUMMARY = "Something to acknowledge"


@dataclass
class Receiver:
    """A service of one's own: answers with ``status`` and ``answer``, and keeps what it got."""

    url: str = ""
    status: int = 200
    answer: bytes = b"thank you"
    got: list[bytes] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(kept.status)
            self.send_header("Content-Length", str(len(kept.answer)))
            self.end_headers()
            self.wfile.write(kept.answer)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: pytest's output is for results."""

    service = HTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"json://127.0.0.1:{service.server_port}/a-secret-path"
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield kept
    service.shutdown()
    thread.join()
    service.server_close()


def _open(page: Page, server: Server, tab: str = "active") -> None:
    page.goto(f"{server.url}/alerts#{tab}")
    expect(page.locator(f"#part-{tab}")).to_be_visible()
    expect(page.locator(f"#part-{tab}")).to_have_attribute("aria-busy", "false")


def _card(page: Page) -> Locator:
    return page.locator("#part-active .alert-card", has_text=SUMMARY)


def test_a_tab_is_opened_by_its_address_and_by_the_keyboard(page: Page, server: Server) -> None:
    _open(page, server, "history")
    expect(page.get_by_role("tab", name="History")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#history tbody")).to_contain_text(SUMMARY)
    page.get_by_role("tab", name="History").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Silences & maintenance")).to_be_focused()
    expect(page.locator("#part-silences")).to_be_visible()
    expect(page.locator("#part-history")).to_be_hidden()
    assert page.url.endswith("/alerts#silences")
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name="Channels")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#part-active")).to_be_visible()


def test_a_card_shows_the_value_against_its_threshold_and_the_history_comes_as_csv(page: Page, server: Server) -> None:
    _open(page, server)
    expect(_card(page).locator("[data-field=level]")).to_have_text("level 2")
    expect(_card(page).locator("[data-field=since]")).to_contain_text(re.compile("ago|just now"))
    page.get_by_role("tab", name="History").click()
    expect(page.locator("#history-sum")).to_contain_text("fired")
    page.fill("#history-filter", "no such words")
    expect(page.locator("#history-empty")).to_have_text("Nothing that fired has these words.")
    with page.expect_download() as download:
        page.locator("#history-csv").click()
    assert SUMMARY in download.value.path().read_text(encoding="utf-8")


def test_a_silence_says_what_it_would_hide_before_it_is_made_and_can_be_ended(page: Page, server: Server) -> None:
    _open(page, server)
    _card(page).get_by_role("button", name="Silence").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".chips")).to_contain_text('alertname="AlwaysFires"')
    expect(dialog.locator(".hides")).to_contain_text("It hides one alert that is active now:")
    expect(dialog.locator(".hides")).to_contain_text(SUMMARY)
    expect(dialog.locator(".hides")).to_contain_text("AlwaysFires ×")
    dialog.get_by_label("Add a matcher").fill("host=nowhere")
    page.keyboard.press("Enter")
    expect(dialog.locator(".hides")).to_contain_text("It hides no alert that is active now.")
    dialog.get_by_role("button", name='Remove host="nowhere"').click()
    expect(dialog.locator(".hides")).to_contain_text("It hides one alert")
    dialog.get_by_role("button", name="4 hours").click()
    dialog.get_by_label("Why").fill("the driver is replaced")
    dialog.get_by_role("button", name="Silence", exact=True).click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#muted")).to_contain_text("the driver is replaced")
    expect(page.locator("#muted")).to_contain_text(re.compile("Silenced until .* by admin"))
    expect(page.locator("#active")).not_to_contain_text(SUMMARY)

    page.get_by_role("tab", name="Silences & maintenance").click()
    row = page.locator("#silences .entry", has_text="the driver is replaced")
    expect(row).to_contain_text(re.compile("until .* 3.h 59.min left"))
    row.get_by_role("button", name="End now").click()
    page.get_by_role("dialog").get_by_role("button", name="End now").click()
    expect(row).to_be_hidden()
    expect(page.locator("#silences-past summary")).to_contain_text("over")
    page.get_by_role("tab", name="Active").click()
    expect(page.locator("#active")).to_contain_text(SUMMARY)


def test_what_cannot_be_saved_says_why_and_keeps_what_was_typed(page: Page, server: Server) -> None:
    _open(page, server, "silences")
    page.locator("#silence-new").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("words worth keeping")
    dialog.get_by_role("button", name="Silence", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("Add a matcher")
    expect(dialog.get_by_label("Why")).to_have_value("words worth keeping")


def test_a_maintenance_window_over_midnight_is_said_in_words(page: Page, server: Server) -> None:
    _open(page, server, "silences")
    page.locator("#maintenance-new").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Window name").fill("weekly restart")
    dialog.get_by_label("From").fill("23:00")
    dialog.get_by_label("To", exact=True).fill("01:30")
    dialog.get_by_label("Time zone").fill("Asia/Shanghai")
    expect(dialog).to_contain_text("every Saturday 23:00–01:30 (Asia/Shanghai) · ends on the day after")
    dialog.get_by_label("Add a matcher").fill('severity="none-such"')
    dialog.get_by_role("button", name="Save").click()
    row = page.locator("#maintenance .entry", has_text="weekly restart")
    expect(row).to_contain_text(re.compile(r"every Saturday 23:00–01:30 \(Asia/Shanghai\) · (next|until) "))
    expect(row.locator(".matcher")).to_have_text('severity="none-such"')
    row.get_by_role("button", name="Switch off").click()
    expect(row.locator(".pill")).to_have_text("OFF")
    row.get_by_role("button", name="Edit").click()
    expect(page.get_by_role("dialog").get_by_label("From")).to_have_value("23:00")
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_be_hidden()


def test_a_channel_is_tried_before_it_is_kept_and_never_shows_where_it_leads(
    page: Page, server: Server, receiver: Receiver
) -> None:
    _open(page, server, "channels")
    page.locator("#channel-new").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Channel name").fill("our own service")
    url = dialog.get_by_label("Address (URL)")
    assert url.get_attribute("type") == "password"
    url.fill(receiver.url)
    receiver.status, receiver.answer = 503, b"gone for lunch"
    dialog.get_by_role("button", name="Send test").click()
    expect(dialog.locator(".outcome-line")).to_contain_text(re.compile("Not delivered after .*503"))
    receiver.status, receiver.answer = 200, b"thank you"
    dialog.get_by_role("button", name="Send test").click()
    expect(dialog.locator(".outcome-line")).to_contain_text(re.compile("Delivered in .*200"))
    dialog.get_by_role("button", name="Save").click()
    row = page.locator("#channels .entry", has_text="our own service")
    expect(row).to_contain_text("from level 2")
    assert "a-secret-path" not in page.content()
    row.get_by_role("button", name="Send test").click()
    expect(row.locator(".outcome-line")).to_contain_text("Delivered in")
    assert len(receiver.got) >= 3
    row.get_by_role("button", name="Edit").click()
    expect(page.get_by_role("dialog").get_by_label("Address (URL)")).to_have_value("")
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_be_hidden()


@pytest.fixture
def channel(page: Page, server: Server, receiver: Receiver) -> Iterator[str]:
    """A channel to one's own service, and two notices for it that were given up."""
    _open(page, server, "channels")
    _call(page, "POST", "/api/channels", {"name": "night shift", "url": receiver.url, "least_level": 3})
    now = round(time.time() * 1000)
    with closing(sqlite3.connect(_database(server), timeout=20)) as database, database:
        database.executemany(
            "INSERT INTO outbox (key, channel, title, body, kind, state, created_ms, next_ms, attempts, error)"
            " VALUES (?, 'night shift', ?, 'the whole text', 'failure', 'failed', ?, ?, 3, '401: the key is wrong')",
            [(f"{title}{now}", title, now, now) for title in ("worth another try", "not worth it")],
        )
    yield "night shift"
    _call(page, "DELETE", "/api/channels/night%20shift")
    with closing(sqlite3.connect(_database(server), timeout=20)) as database, database:
        database.execute("DELETE FROM outbox WHERE channel = 'night shift'")


def _database(server: Server) -> Path:
    return server.log.parent / "data" / "wakeless.db"


def _call(page: Page, method: str, path: str, json: object = None) -> None:
    page.evaluate(
        """async ([method, path, json]) => {
          const main = document.querySelector('script[src$="main.js"]').src;
          const { call } = await import(main.replace('main.js', 'api.js'));
          await call(path, { method, json: json ?? undefined });
        }""",
        [method, path, json],
    )


def test_a_notice_that_was_given_up_says_why_and_is_sent_again_or_discarded(
    page: Page, server: Server, receiver: Receiver, channel: str
) -> None:
    page.locator("#tab-notices").click()
    row = page.locator("#notices tbody tr", has_text="worth another try")
    expect(row).to_contain_text("401: the key is wrong")
    expect(row.locator(".pill")).to_have_text("FAILED")
    expect(page.locator("#notice-channels")).to_contain_text("2 given up")
    page.get_by_role("button", name="Failed", exact=True).click()
    page.select_option("#notice-channel", channel)
    row.get_by_role("button", name="Try again").click()
    expect(row).to_be_hidden()
    other = page.locator("#notices tbody tr", has_text="not worth it")
    other.get_by_role("button", name="Discard").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    expect(page.locator("#notices-empty")).to_have_text("There is no such notice.")
    page.get_by_role("button", name="Sent", exact=True).click()
    expect(row.locator(".pill")).to_have_text("SENT")
    assert any(b"worth another try" in body for body in receiver.got)


def test_the_routing_says_who_gets_an_alert(page: Page, server: Server, channel: str) -> None:
    expect(page.locator("#routing .tree")).to_contain_text(channel)  # it follows the channels within seconds
    expect(page.locator("#oncall")).to_contain_text("There is no rota.")
    page.fill("#explain [name=labels]", 'alertname="ServerDown", severity="critical"')
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#explained")).to_contain_text(re.compile(f"It goes to .*{channel}"))
    page.fill("#explain [name=labels]", "severity")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("#explained .error")).to_contain_text('Write labels as name="value"')


def test_a_rule_file_that_cannot_be_used_is_named_while_the_old_rules_stay(page: Page, server: Server) -> None:
    rules = server.log.parent / "rules.yml"
    before = rules.read_text(encoding="utf-8")
    _open(page, server, "rules")
    try:
        rules.write_text(before.replace("vector(1)", "vector(1"), encoding="utf-8")
        expect(page.locator("#rules-refused")).to_contain_text("rules.yml cannot be used as it is")
        expect(page.locator('[data-rule="test/AlwaysFires"]')).to_be_attached()
        rules.write_text(before.replace("AlwaysFires", "ComesAndGoes"), encoding="utf-8")
        expect(page.locator('[data-rule="test/ComesAndGoes"]')).to_be_attached()
        expect(page.locator("#rules-refused .notice")).to_have_count(0)
    finally:
        rules.write_text(before, encoding="utf-8")
    expect(page.locator('[data-rule="test/AlwaysFires"]')).to_be_attached()


def test_rules_show_their_value_now_and_what_they_fire_at(page: Page, server: Server) -> None:
    _open(page, server, "rules")
    group = page.locator('[data-group="wakeless-gpu"]')
    group.locator("summary").click()
    rows = group.locator("[data-rule]").filter(has_text="celsius")
    expect(rows.first.locator("[data-field=value]")).to_contain_text("°C")
    expect(rows.first.locator("[data-field=value]")).to_contain_text("fires at")
    page.fill("#rules-filter", "AlwaysFires")
    expect(group).to_be_hidden()
    firing = page.locator('[data-rule="test/AlwaysFires"]')
    expect(firing.locator(".pill")).to_have_text("FIRING")
    expect(firing.get_by_role("link", name="Adjust AlwaysFires")).to_be_visible()


def test_a_viewer_sees_no_button_that_would_be_refused(browser: Browser, server: Server) -> None:
    environment = os.environ | {"WAKELESS_DATA_DIR": str(server.log.parent / "data")}
    command = [sys.executable, str(ROOT / "app.py"), "user"]
    subprocess.run(
        [*command, "add", "kim", "--role", "viewer", "--password", PASSWORD],
        env=environment,
        check=True,
        capture_output=True,
    )
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/login")
    page.fill("[name=name]", "kim")
    page.fill("[name=password]", PASSWORD)
    page.click("button.primary")
    page.wait_for_url(f"{server.url}/")
    page.goto(f"{server.url}/alerts")
    expect(_card(page)).to_be_visible()
    expect(page.locator("#part-active .alert-card button:visible")).to_have_count(0)
    for tab, gone in (("silences", "#silence-new, #maintenance-new"), ("channels", "#channel-new")):
        page.goto(f"{server.url}/alerts#{tab}")
        expect(page.locator(f"#part-{tab}")).to_be_visible()
        expect(page.locator(gone)).to_have_count(0)
    page.goto(f"{server.url}/rules")
    expect(page.locator("#text")).to_have_attribute("readonly", "")
    expect(page.locator("#save")).to_have_count(0)
    context.close()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious_in_any_tab(context: BrowserContext, server: Server, theme: str) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.goto(f"{server.url}/alerts")
    for tab in TABS:
        page.locator(f"#tab-{tab}").click()
        expect(page.locator(f"#part-{tab}")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert _serious(page) == [], tab
    page.locator("#tab-silences").click()
    for button in ("#silence-new", "#maintenance-new"):
        page.locator(button).click()
        assert _serious(page) == [], button
        page.keyboard.press("Escape")
    page.locator("#tab-channels").click()
    page.locator("#channel-new").click()
    assert _serious(page) == []


def _serious(page: Page) -> list[tuple[str, str]]:
    found = Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")]


def test_no_tab_of_a_narrow_screen_scrolls_sideways(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(f"{server.url}/alerts")
    for tab in TABS:
        page.locator(f"#tab-{tab}").click()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, tab
