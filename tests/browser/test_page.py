"""The pages in a real browser, against a real server process."""

from __future__ import annotations

import re
import time
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from dashboard.i18n import LANGUAGES, say_reason
from dashboard.unit import say
from tests.browser.conftest import Server
from tests.dashboard.words import spoken

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def _drawn(page: Page, chart: str = "gpu_memory") -> int:
    """When a chart was drawn last, ms since 1970; scrolls to it and waits for the first time."""
    plot = page.locator(f'[data-chart="{chart}"] .plot')
    plot.scroll_into_view_if_needed()
    page.wait_for_function("(one) => one.dataset.drawnMs", arg=plot.element_handle())
    return int(plot.get_attribute("data-drawn-ms") or 0)


def _axis(page: Page, chart: str) -> list[float]:
    """The shown time range of a chart."""
    script = "(name) => document.querySelector(`[data-chart=${name}] .js-plotly-plot`).layout.xaxis.range"
    found: list[float] = page.evaluate(script, chart)
    return found


def test_the_page_shows_live_data_and_asks_no_other_host(context: BrowserContext, server: Server) -> None:
    hosts: set[str] = set()
    page = context.new_page()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("websocket", lambda socket: hosts.add(urlsplit(socket.url).netloc))
    page.goto(server.url)
    first = _drawn(page)
    page.wait_for_function(
        "(first) => Number(document.querySelector('[data-chart=gpu_memory] .plot').dataset.drawnMs) > first + 1500",
        arg=first,
    )
    expect(page.locator('[data-tile="tile_gpu_memory"] [data-field=number]')).not_to_have_text("–")
    expect(page.locator("#pill")).to_have_text("READY")
    expect(page.locator("#simulated")).to_be_visible()
    assert hosts - {""} == {urlsplit(server.url).netloc}


def test_an_alert_is_acknowledged_with_a_reason(page: Page, server: Server) -> None:
    page.goto(server.url)
    card = page.locator(".alert-card", has_text="Something to acknowledge").first
    card.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("on my way")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(card.locator("[data-field=acknowledged]")).to_contain_text("on my way")
    expect(card.locator("[data-field=acknowledged]")).to_contain_text("admin")
    page.goto(f"{server.url}/alerts")
    page.locator("#acknowledged").get_by_role("button", name="Undo").first.click()
    expect(page.locator("#active")).to_contain_text("Something to acknowledge")
    page.get_by_role("tab", name="History").click()
    expect(page.locator("#history tbody")).to_contain_text("Something to acknowledge")


def test_the_model_is_reloaded_with_progress(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/model")
    expect(page.locator('[data-node="ready"]')).to_have_attribute("aria-current", "true")
    page.get_by_role("button", name="Reload model").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Last time it took")
    dialog.get_by_role("textbox").fill("a test")
    dialog.get_by_role("button", name="Reload model").click()
    expect(page.locator("#progress")).to_be_visible()
    expect(page.locator("#progress [data-field=what]")).to_contain_text("ready again", timeout=40_000)
    expect(page.locator("#past")).to_contain_text("a test")


def test_a_sample_gets_its_answer_drawn_over_it(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/model")
    page.locator('[data-sample$="id_card"]').click()
    expect(page.locator("#answer [data-field=class]")).to_have_text("id_card")
    expect(page.locator("#answer [data-field=request]")).not_to_be_empty()
    expect(page.locator("#canvas")).to_be_visible()


def test_a_zoom_moves_all_charts_and_a_double_click_returns(page: Page, server: Server) -> None:
    page.goto(server.url)
    page.keyboard.press("1")
    for chart in ("gpu_memory", "gpu_load"):
        _drawn(page, chart)
    box = page.locator('[data-chart="gpu_memory"] .plot').bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.6, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 13, y, steps=5)  # up to now: a young server has no more
    page.mouse.up()
    expect(page.locator("#live")).to_have_attribute("aria-pressed", "false")
    page.wait_for_function(
        "() => { const r = (n) => document.querySelector(`[data-chart=${n}] .js-plotly-plot`).layout.xaxis.range;"
        " return r('gpu_memory')[1] - r('gpu_memory')[0] < 200000 && r('gpu_load')[0] === r('gpu_memory')[0]; }"
    )
    assert _axis(page, "gpu_memory") == _axis(page, "gpu_load")
    page.mouse.dblclick(box["x"] + box["width"] * 0.5, y)
    expect(page.locator("#live")).to_have_attribute("aria-pressed", "true")


def test_the_cross_hair_is_shown_in_all_charts(page: Page, server: Server) -> None:
    page.goto(server.url)
    for chart in ("gpu_load", "gpu_memory"):
        _drawn(page, chart)
    page.locator('[data-chart="gpu_memory"] .plot').hover()
    expect(page.locator('[data-chart="gpu_memory"] .cross')).to_be_visible()
    expect(page.locator('[data-chart="gpu_load"] .cross')).to_be_visible()
    expect(page.locator('[data-chart="gpu_memory"] .cross-time')).to_be_visible()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("path", ["/", "/alerts", "/model"])
def test_axe_finds_nothing_serious(context: BrowserContext, server: Server, path: str, theme: str) -> None:
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.goto(server.url + path)
    expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
    page.wait_for_load_state("networkidle")
    found = Axe().run(page).response["violations"]
    serious = [
        (one["id"], [node["html"][:160] for node in one["nodes"][:3]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("path", ["/", "/alerts", "/model", "/login", "/nowhere"])
def test_a_narrow_screen_scrolls_only_down(context: BrowserContext, server: Server, path: str) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(server.url + path)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_browser_says_numbers_as_the_server_does(page: Page, server: Server) -> None:
    values = [
        0,
        1e-7,
        4e-6,
        0.00051,
        0.0845,
        0.9996,
        1,
        1.005,
        9.996,
        12.44,
        75,
        99.95,
        3599,
        9871,
        31204,
        5e6,
        2.42e10,
    ]
    units = ["count", "per_second", "seconds", "ratio", "bytes", "celsius", "watts", "hertz"]
    page.goto(f"{server.url}/model")
    said = page.evaluate(
        """async ([values, units]) => {
          const main = document.querySelector('script[src$="main.js"]').src;
          const { sayText } = await import(main.replace('main.js', 'format.js'));
          return units.map((unit) => values.map((value) => sayText(value, unit)));
        }""",
        [values, units],
    )
    assert said == [[str(say(value, unit)) for value in values] for unit in units]


def test_the_browser_says_what_rooms_say_as_the_server_does(page: Page, server: Server) -> None:
    texts = sorted(re.sub(r"\{\d\}", "7 x_y", text) for text in spoken())
    texts += ["reload_failed: golden_failed: pair 1 of 2", "hang: a batch of 3 running for 12s", "Nothing known: 1", ""]
    for language in LANGUAGES:
        page.goto(f"{server.url}/language/{language}?next=/model")
        said = page.evaluate(
            """async (texts) => {
              const main = document.querySelector('script[src$="main.js"]').src;
              const { loadMessages, sayReason } = await import(main.replace('main.js', 'i18n.js'));
              await loadMessages();
              return texts.map(sayReason);
            }""",
            texts,
        )
        assert said == [say_reason(text, language) for text in texts]


def test_the_page_speaks_chinese(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/language/zh?next=/")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("#needs-title")).to_have_text("待处理")
    expect(page.locator("#needs")).to_contain_text("有事要确认")


def test_the_page_reconnects_after_a_crash_and_fills_the_gap(page: Page, server: Server) -> None:
    page.goto(server.url)
    _drawn(page)
    page.evaluate("window.sameDocument = true")
    killed_ms = time.time() * 1000
    server.child().kill()
    expect(page.locator("#offline")).to_be_visible()
    expect(page.locator("#offline")).to_be_hidden(timeout=60_000)
    server.wait("/health/ready")
    page.wait_for_function(
        "(killed) => Number(document.querySelector('[data-chart=gpu_memory] .plot').dataset.sampleMs) > killed + 2000",
        arg=killed_ms,
        timeout=30_000,
    )
    assert page.evaluate("window.sameDocument") is True
    before = page.evaluate(
        "(killed) => { const [trace] = document.querySelector('[data-chart=gpu_memory] .js-plotly-plot').data;"
        " return trace.x.filter((x, i) => x < killed && trace.y[i] !== null).length; }",
        killed_ms,
    )
    assert before > 0
    expect(page.locator("#happened")).not_to_contain_text("Nothing out of the ordinary")
