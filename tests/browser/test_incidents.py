"""The incidents page and the page of one incident in a real browser, against the real server."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

MINUTE_MS = 60_000


@contextmanager
def noted(server: Server, kind: str, cause: str, summary: str, minutes: int, detail: str = "{}") -> Iterator[int]:
    """An outage that began two hours ago; gone again afterwards."""
    [path] = [found for found in Path(server.log.parent / "data").glob("*.db") if found.stat().st_size]
    began = round(time.time() * 1000) - 120 * MINUTE_MS
    ended = began + minutes * MINUTE_MS
    with closing(sqlite3.connect(path, timeout=20)) as database, database:
        id = database.execute(
            "INSERT INTO incidents (kind, cause, summary, started_ms, ended_ms, detail, level, detected_ms, over_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, 3, ?, ?)",
            (kind, cause, summary, began, ended, detail, began + 30_000, ended),
        ).lastrowid
        database.execute("UPDATE incidents SET outage = id WHERE id = ?", (id,))
    assert id is not None
    yield id
    with closing(sqlite3.connect(path, timeout=20)) as database, database:
        database.execute("DELETE FROM incident_entries WHERE incident = ?", (id,))
        database.execute("DELETE FROM incidents WHERE id = ?", (id,))


@pytest.fixture
def outage(server: Server) -> Iterator[int]:
    """One of ten minutes that an alert noticed and nobody took on."""
    with noted(server, "process", "oom_kill", "killed for its memory", 10) as id:
        yield id


@pytest.mark.parametrize(("language", "title"), [("zh", "磁盘将满"), ("en", "The disk is filling up")])
def test_an_incident_of_alerts_is_called_what_its_alert_says_in_the_readers_language(
    page: Page, server: Server, language: str, title: str
) -> None:
    said = {"summary": "The disk is filling up", "summary_zh": "磁盘将满"}
    detail = json.dumps({"alert": 999_999, "annotations": said})
    with noted(server, "alert", "DiskAlmostFull", said["summary"], 20, detail) as id:
        page.goto(f"{server.url}/language/{language}?next=/incidents")
        expect(page.locator(f'#incidents a[href="/incidents/{id}"]')).to_have_text(title)
        page.goto(f"{server.url}/incidents/{id}")
        expect(page.locator("h1")).to_have_text(title)


def test_an_incident_is_listed_and_leads_to_its_timeline(page: Page, server: Server, outage: int) -> None:
    page.goto(f"{server.url}/incidents")
    row = page.locator("#incidents tbody tr", has=page.locator(f'a[href="/incidents/{outage}"]'))
    expect(row).to_contain_text("OVER")
    expect(row).to_contain_text(re.compile("10.min"))
    expect(page.locator("#incident-sum")).to_contain_text("noticed after")
    expect(page.locator("#failures tbody")).to_contain_text("cause of outages")
    with page.expect_download() as download:
        page.locator("#incident-csv").click()
    assert "oom_kill" in download.value.path().read_text(encoding="utf-8")
    row.get_by_role("link").click()
    page.wait_for_url(f"**/incidents/{outage}")
    expect(page.locator('[data-time="lasted"]')).to_contain_text(re.compile("10.min"))
    expect(page.locator('[data-time="detect"]')).to_contain_text(re.compile("30.s"))
    expect(page.locator('[data-time="acknowledge"]')).to_contain_text("by nobody")
    expect(page.locator("#timeline")).to_contain_text("Over:")


def test_a_note_joins_the_timeline(page: Page, server: Server, outage: int) -> None:
    page.goto(f"{server.url}/incidents/{outage}")
    expect(page.locator("#part-incident")).to_have_attribute("aria-busy", "false")
    page.fill("#note textarea", "more memory was ordered")
    page.get_by_role("button", name="Add note").click()
    line = page.locator("#timeline li[data-kind=note]")
    expect(line).to_contain_text("more memory was ordered")
    expect(line).to_contain_text("admin")
    expect(page.locator("#note textarea")).to_have_value("")


def test_a_day_is_read_by_keyboard(page: Page, server: Server, outage: int) -> None:
    page.goto(f"{server.url}/incidents")
    days = page.locator("#bars [role=option]")
    expect(days).to_have_count(90)
    expect(page.locator('[data-window="24h"] dd').first).to_contain_text("%")
    days.last.focus()
    expect(page.locator("#day-said")).to_contain_text("%")
    today = page.locator("#day-said").inner_text()
    page.keyboard.press("ArrowLeft")
    expect(days.nth(88)).to_be_focused()
    expect(days.nth(88)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#day-said")).not_to_have_text(today)
    page.keyboard.press("Home")
    expect(days.first).to_be_focused()


def test_an_incident_that_is_not_there_says_so(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/incidents/987654")
    expect(page.locator(".part-problem")).to_contain_text("There is no incident 987654.")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious_and_a_phone_scrolls_only_down(
    page: Page, server: Server, outage: int, theme: str
) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    for path in ("/incidents", f"/incidents/{outage}"):
        page.set_viewport_size({"width": 1400, "height": 900})
        page.goto(server.url + path)
        page.wait_for_load_state("networkidle")
        found = Axe().run(page).response["violations"]
        serious = [
            (one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert serious == []
        page.set_viewport_size({"width": 320, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
