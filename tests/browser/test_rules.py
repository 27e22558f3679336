"""The rule editor in a real browser, against the real server."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

MINE = """groups:
  - name: mine
    rules:
      - alert: AlwaysThere
        expr: vector(7) > 5
        labels: {severity: info}
"""


def _open(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/rules{query}")
    expect(page.locator("#part-rules")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#text")).not_to_have_value("")


def _version(page: Page) -> int:
    version: int = page.evaluate("fetch('/api/rules').then((answer) => answer.json()).then(({ version }) => version)")
    return version


def _save_elsewhere(page: Page, text: str, comment: str) -> None:
    """As another person with the same rights does, in a window of their own."""
    page.evaluate(
        """async ([text, comment]) => {
          const main = document.querySelector('script[src$="main.js"]').src;
          const { call } = await import(main.replace('main.js', 'api.js'));
          const { version } = await call('/api/rules');
          await call('/api/rules', { method: 'PUT', json: { text, comment, version } });
        }""",
        [text, comment],
    )


def test_a_mistake_is_said_with_its_line_while_one_types(page: Page, server: Server) -> None:
    _open(page, server)
    page.fill("#text", MINE.replace("vector(7)", "vector(7"))
    problem = page.locator("#problems li").first
    expect(problem).to_contain_text("line")
    expect(page.locator("#checked")).to_contain_text("cannot be saved")
    expect(page.locator("#save-button")).to_be_disabled()
    expect(page.locator("#checked")).to_have_attribute("data-state", "critical")
    problem.get_by_role("button").click()
    expect(page.locator("#text")).to_be_focused()
    page.fill("#text", MINE)
    expect(page.locator("#checked")).to_contain_text("Nothing wrong")
    expect(page.locator("#checked")).not_to_have_attribute("data-state", "critical")


def test_tab_indents_and_escape_lets_it_leave(page: Page, server: Server) -> None:
    _open(page, server)
    page.fill("#text", "groups:")
    page.locator("#text").press("End")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("- name: x")
    page.keyboard.press("Enter")
    page.keyboard.type("x")
    expect(page.locator("#text")).to_have_value("groups:\n  - name: x\n  x")
    page.keyboard.press("Shift+Tab")
    expect(page.locator("#text")).to_have_value("groups:\n  - name: x\nx")
    expect(page.locator(".gutter span")).to_have_count(3)
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(page.locator("#text")).not_to_be_focused()


def test_the_rule_at_the_cursor_is_previewed(page: Page, server: Server) -> None:
    _open(page, server)
    page.fill("#text", MINE.replace("vector(7) > 5", "vector(time()) > 5"))
    page.locator("#text").press("Control+Home")
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    expect(page.locator("#preview-name")).to_have_text("AlwaysThere")
    expect(page.locator("#verdict")).to_contain_text("It would have fired once in the last")
    expect(page.locator("#verdict")).to_contain_text("There is no older history.")
    expect(page.locator("#spans li")).to_have_count(1)
    page.wait_for_function("() => document.querySelector('#preview-chart .plot').dataset.drawnMs")
    page.select_option("#preview-hours", "1")
    page.fill("#text", MINE.replace("> 5", "> 50"))
    expect(page.locator("#verdict")).to_contain_text("It would not have fired")


def test_rules_are_saved_compared_and_put_back(page: Page, server: Server) -> None:
    saved = MINE.replace("AlwaysThere", "SavedHere")
    _open(page, server)
    page.fill("#text", saved)
    page.fill("#save [name=comment]", "a first rule")
    page.click("#save-button")
    expect(page.locator("#toasts")).to_contain_text("the rules are in force")
    expect(page.locator("#versions li").first).to_contain_text("a first rule")
    expect(page.locator("#version")).to_contain_text("admin")
    first = _version(page)
    page.fill("#text", saved.replace("> 5", "> 6"))
    page.fill("#save [name=comment]", "a bit later")
    page.keyboard.press("Control+s")
    expect(page.locator("#versions li").first).to_contain_text("a bit later")
    page.get_by_role("button", name=f"Compare with version {first}", exact=True).click()
    expect(page.locator('.diff [data-sign="-"]')).to_contain_text("vector(7) > 5")
    expect(page.locator('.diff [data-sign="+"]')).to_contain_text("vector(7) > 6")
    page.click("#restore")
    expect(page.locator("#text")).to_have_value(saved)
    page.fill("#save [name=comment]", "back again")
    page.click("#save-button")
    expect(page.locator("#versions li").first).to_contain_text("back again")
    page.goto(f"{server.url}/alerts#rules")
    expect(page.locator('[data-rule="mine/SavedHere"] .pill')).to_have_text("FIRING")


def test_what_two_people_write_at_once_is_not_lost(page: Page, server: Server) -> None:
    _open(page, server)
    page.fill("#text", MINE.replace("AlwaysThere", "Ours"))
    _save_elsewhere(page, MINE.replace("AlwaysThere", "Theirs"), "meanwhile")
    page.fill("#save [name=comment]", "ours")
    page.click("#save-button")
    conflict = page.locator("#conflict")
    expect(conflict).to_contain_text("while you were writing")
    expect(page.locator("#text")).to_have_value(MINE.replace("AlwaysThere", "Ours"))
    conflict.get_by_role("button", name="Show the difference").click()
    expect(page.locator('.diff [data-sign="-"]')).to_contain_text("Theirs")
    expect(page.locator('.diff [data-sign="+"]')).to_contain_text("Ours")
    conflict.get_by_role("button", name="Save mine over it").click()
    expect(conflict).to_be_hidden()
    expect(page.locator("#versions li").first).to_contain_text("ours")


def test_a_stock_rule_is_adjusted_by_a_copy_of_it(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/alerts#rules")
    page.get_by_role("link", name="Adjust CrashLoop").click()
    expect(page.locator("#text")).to_have_value(re.compile("- alert: CrashLoop"))
    expect(page.locator("#save [name=comment]")).to_have_value("Adjust CrashLoop")
    expect(page.locator("#checked")).not_to_have_attribute("data-state", "critical")
    expect(page.locator("#save-button")).to_be_enabled()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_serious(page: Page, server: Server, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    _open(page, server)
    _save_elsewhere(page, MINE, "something to compare with")
    _open(page, server)
    page.fill("#text", MINE.replace("vector(7)", "vector(7"))
    expect(page.locator("#problems li").first).to_be_visible()
    page.locator("#versions button").first.click()
    expect(page.locator("#difference")).to_be_visible()
    found = Axe().run(page).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")]
    assert serious == []
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
