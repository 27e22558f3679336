"""Notifications of the browser: asked for, each alert once, and none of what is silenced or taken on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

#: A browser without a screen shows no notifications: what the page asks it to show is kept in a list.
RECORDER = """
  window.shown = [];
  window.Notification = class extends EventTarget {
    static permission = sessionStorage.getItem('asked') ?? 'default';
    static async requestPermission() {
      sessionStorage.setItem('asked', 'granted');
      return (this.permission = 'granted');
    }
    constructor(title, { body, tag }) { super(); window.shown.push({ title, body, tag }); }
    close() {}
  };
"""


@pytest.fixture
def watcher(browser: Browser, login: StorageState) -> Iterator[BrowserContext]:
    context = browser.new_context(storage_state=login, locale="en-GB")
    context.set_default_timeout(20_000)
    context.add_init_script(RECORDER)
    yield context
    context.close()


def _titles(page: Page) -> list[str]:
    found: list[str] = page.evaluate("window.shown.map(({ title }) => title)")
    return found


def _hears(page: Page) -> None:
    """Until the page has heard of the state of this second."""
    page.evaluate(
        "new Promise((heard) => { const node = document.querySelector('#part-active .alert-card time');"
        " new MutationObserver(heard).observe(node, { childList: true, characterData: true, subtree: true }); })"
    )


def test_an_alert_is_told_of_once_in_all_tabs_and_over_reloads(watcher: BrowserContext, server: Server) -> None:
    page = watcher.new_page()
    page.goto(f"{server.url}/alerts")
    page.locator("#notify summary").click()
    expect(page.get_by_role("button", name="Try it")).to_be_hidden()
    page.get_by_label("Notifications").check()
    expect(page.get_by_role("button", name="Try it")).to_be_visible()
    page.wait_for_function("() => window.shown.some(({ title }) => title === 'Something to acknowledge')")
    page.get_by_role("button", name="Try it").click()
    assert _titles(page).count("Wakeless: a test") == 1
    other = watcher.new_page()
    other.goto(f"{server.url}/alerts")
    page.reload()
    for tab in (other, page):
        expect(tab.locator("#notify summary")).to_have_attribute("aria-label", "This browser tells you of alerts")
        _hears(tab)
        assert _titles(tab) == []


def test_nothing_is_told_to_who_has_not_asked(watcher: BrowserContext, server: Server) -> None:
    page = watcher.new_page()
    page.goto(f"{server.url}/alerts")
    expect(page.locator("#notify summary")).to_have_attribute("aria-label", "This browser does not tell you of alerts")
    _hears(page)
    assert _titles(page) == []


def test_the_page_says_why_a_browser_refuses(browser: Browser, login: StorageState, server: Server) -> None:
    context = browser.new_context(storage_state=login, locale="en-GB")
    context.add_init_script("window.Notification = class { static permission = 'denied'; }")
    page = context.new_page()
    page.goto(f"{server.url}/alerts")
    page.locator("#notify summary").click()
    expect(page.locator("#notify [data-field=why]")).to_contain_text("has been told to show no notifications")
    expect(page.get_by_label("Notifications")).to_be_disabled()
    context.close()


def test_the_sound_plays_after_a_click(watcher: BrowserContext, server: Server) -> None:
    page = watcher.new_page()
    page.goto(f"{server.url}/alerts")
    page.evaluate(
        "() => { window.tones = 0; const start = OscillatorNode.prototype.start;"
        " OscillatorNode.prototype.start ="
        " function (...given) { window.tones += 1; return start.apply(this, given); }; }"
    )
    page.locator("#notify summary").click()
    page.get_by_label("A short sound").check()
    page.wait_for_function("() => window.tones >= 2")
    expect(page.locator("#notify summary")).to_have_attribute("aria-label", "This browser tells you of alerts")
