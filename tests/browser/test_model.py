"""The Model page when things go wrong: what ended and how, safe mode, and the way out of it."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, logged_in, start_server, stop_server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
#: Processes start in between, on machines that have other things to do.
expect.set_options(timeout=40_000)

CODE = """
import ctypes
import os

from model import Model

class Shop(Model):
    name = "shop"

    def load(self, device):
        if {deadly}:
            ctypes.string_at(0)

    def predict(self, batch):
        for one in batch:
            if one.get("die"):
                os.write(2, b"<img src=x onerror=document.title='hacked'> is what it said\\n")
                ctypes.string_at(0)
        return [dict(version={version}) for _ in batch]

    def golden(self):
        return [({{}}, lambda answer: answer["version"] == {version})]
"""


def put(folder: Path, version: int, *, deadly: bool) -> None:
    (folder / str(version)).mkdir(parents=True)
    (folder / str(version) / "model.py").write_text(CODE.format(version=version, deadly=deadly))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "shop"
    put(folder, 1, deadly=False)
    return folder


@pytest.fixture(scope="module")
def shop(chromium: str, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two replicas of version 1 of a model, which one input takes down."""
    started = start_server(
        tmp_path_factory.mktemp("shop"),
        WAKELESS_MODEL__PATH=str(models),
        WAKELESS_MODEL__DEVICES="cpu:0,cpu:1",
        WAKELESS_SUPERVISOR__CRASH_LOOP_COUNT="2",
        WAKELESS_SUPERVISOR__BACKOFF_SECONDS="0.1",
    )
    try:
        started.wait("/health/ready")
        yield started
    finally:
        stop_server(started)


@pytest.fixture
def page(browser: Browser, shop: Server) -> Iterator[Page]:
    """The Model page of somebody who is logged in; fails on errors in its scripts."""
    with logged_in(browser, shop.url, 1440, 950) as found:
        found.set_default_timeout(40_000)
        found.goto(f"{shop.url}/model")
        yield found


def test_a_calm_page_shows_what_stands_between_callers_and_the_model(page: Page) -> None:
    expect(page.locator("[data-fact=breaker]")).to_contain_text("closed: requests pass")
    expect(page.locator("[data-fact=brownout]")).to_contain_text("off: inputs are taken in full")
    expect(page.locator("[data-fact=drift]")).to_contain_text("not known yet")
    expect(page.locator("[data-fact=cache]")).to_be_hidden()
    expect(page.locator("#replicas li")).to_have_count(2)
    expect(page.locator("#replicas li").last).to_contain_text("cpu:1 Ready · version 1")
    expect(page.locator("#safe-mode")).to_be_hidden()
    expect(page.locator("#checks li", has_text="Ready for traffic")).to_contain_text("good · ")


def test_a_crash_is_told_with_its_batch_its_memory_and_its_last_words(page: Page, shop: Server) -> None:
    first = shop.child().pid
    request = urllib.request.Request(shop.url + "/predict", data=b'{"die": true}', headers={"X-Request-ID": "deadly-1"})
    with suppress(urllib.error.URLError, ConnectionError, http.client.HTTPException):
        urllib.request.urlopen(request, timeout=20)
    row = page.locator("#past li").first
    expect(row.locator(".helped")).to_have_text("it helped")
    expect(row.locator("b")).to_have_text("segfault")
    expect(row).to_contain_text("the program crashed with SIGSEGV")
    expect(row.locator(".done")).to_contain_text("a new process was started · back after")
    row.get_by_text("How it ended").click()
    ending = row.locator(".ending")
    expect(ending.locator(".pairs")).to_contain_text("SIGSEGV")
    expect(ending.locator(".pairs")).to_contain_text(str(first))
    expect(ending).to_contain_text("a batch · one input · running for")
    expect(ending.locator("td").nth(1)).to_have_text("dict of 1")
    expect(ending.locator("td").nth(2)).to_have_text("deadly-1")
    expect(ending.locator("svg[role=img]")).to_have_attribute("aria-label", re.compile(r"^Memory in the last .*MB$"))
    expect(ending.locator("pre").first).to_contain_text("<img src=x onerror=document.title='hacked'> is what it said")
    assert ending.locator("img").count() == 0
    assert page.title() != "hacked"
    page.goto(f"{shop.url}/language/zh?next=/model")
    expect(page.locator("#past")).to_contain_text("程序因 SIGSEGV 崩溃")
    assert _english(page) == []
    serious = [one["id"] for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == []


def test_safe_mode_says_why_and_a_rollback_leads_out_of_it(page: Page, shop: Server, models: Path) -> None:
    put(models, 2, deadly=True)
    page.get_by_role("button", name="Restart process").click()
    page.get_by_role("dialog").get_by_role("button", name="Restart process").click()
    card = page.locator("#safe-mode")
    expect(card).to_be_visible(timeout=90_000)
    expect(page.locator("#progress [data-field=what]")).to_have_text(
        "The model crashed the server again: this is safe mode."
    )
    expect(card).to_contain_text("times in a row")
    expect(card).to_contain_text("segfault – the program crashed with SIGSEGV")
    expect(card.get_by_role("button", name="Try again")).to_be_enabled()
    expect(page.locator("#past li").first).to_contain_text("without the model: safe mode")
    back = card.get_by_role("button", name="Roll back to version 1")
    expect(back).to_be_enabled()
    back.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("asleep")
    dialog.get_by_role("button", name="Roll back").click()
    expect(page.locator("#pill")).to_have_text("READY", timeout=90_000)
    expect(card).to_be_hidden()
    expect(page.locator("h1")).to_have_text("shop 1")
    newest = page.locator("#past li").first
    expect(newest.locator("b")).to_have_text("Rolled back")
    expect(newest).to_contain_text("rolled back by admin from version 2 to 1 · asleep")
    expect(newest).to_contain_text("a new process was started with version 1")
    expect(page.locator("#versions li", has_text="taken back")).to_contain_text("the server kept crashing with it")
    page.goto(f"{shop.url}/language/zh?next=/model")
    expect(page.locator("#past")).to_contain_text("由 admin 从版本 2 回退到 1")
    assert _english(page) == []


def _english(page: Page) -> list[str]:
    """What the Chinese page says in English: titles of cards, and of what was done."""
    said = page.locator("main h2, #past li b, #past li > p").all_inner_texts()
    return [text for text in said if text and text.isascii()]
