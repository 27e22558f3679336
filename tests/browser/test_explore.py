"""The Explore and Storage pages in a real browser, against a real server process."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, Route, expect

from dashboard.panels import Panel, load_panels
from tests.browser.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

DAY_MS = 86_400_000


def _storage(**change: Any) -> dict[str, Any]:
    """What GET /api/storage answers, as docs/api.md has it."""
    now_ms = int(time.time() * 1000)
    return {
        "bytes": 852_000_000,
        "limit_bytes": 2_000_000_000,
        "retention_days": 30,
        "oldest_ms": now_ms - 11 * DAY_MS,
        "newest_ms": now_ms,
        "reaches_limit_ms": now_ms + 16 * DAY_MS + 3_600_000,
        "sources": [
            {"source": "host", "series": 64, "samples_per_second": 64, "bytes": 312_000_000, "bytes_per_sample": 0.91},
            {"source": "gpu", "series": 96, "samples_per_second": 96, "bytes": 500_000_000, "bytes_per_sample": 1.02},
        ],
        "problems": [],
    } | change


def _open(page: Page, server: Server, query: str = "", **more: str) -> None:
    given = {"range": "5m"} | ({"q": query} if query else {}) | more
    page.goto(f"{server.url}/explore?" + "&".join(f"{name}={quote(value)}" for name, value in given.items()))
    expect(page.locator("#hint")).not_to_be_empty()


def _asked(page: Page) -> dict[str, list[str]]:
    """The state in the page's address."""
    return parse_qs(urlsplit(page.url).query)


def _facts(page: Page, text: str) -> None:
    expect(page.locator("#facts")).to_contain_text(text)


def _matrix(count: int, **envelope: Any) -> Any:
    """A route that answers a range query with so many series."""

    def answer(route: Route) -> None:
        asked = parse_qs(route.request.post_data or "")
        start, step = float(asked["start"][0]), float(asked["step"][0])
        most = min(count, int(asked["limit"][0]))
        found = [
            {
                "metric": {"gpu": str(one % 8), "pid": str(one)},
                "values": [[start + at * step, str(one)] for at in range(5)],
            }
            for one in range(most)
        ]
        route.fulfill(
            json={"status": "success", "data": {"resultType": "matrix", "result": found}, **envelope},
        )

    return answer


def test_a_query_is_completed_by_keyboard_run_and_kept_in_the_address(page: Page, server: Server) -> None:
    _open(page, server)
    page.keyboard.type("gpu_temp")
    options = page.locator("#suggestions [role=option]")
    expect(options.first).to_contain_text("gpu_temperature_celsius")
    expect(page.get_by_role("combobox", name="PromQL")).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#meaning")).to_contain_text("Temperature of the GPU die")
    page.keyboard.press("Tab")
    expect(page.locator("#query")).to_have_value("gpu_temperature_celsius")
    page.keyboard.type("{")
    expect(options.filter(has_text="uuid")).to_be_visible()
    page.keyboard.type("gp")
    expect(options.first).to_contain_text("gpu")
    page.keyboard.press("Enter")
    expect(page.locator("#query")).to_have_value('gpu_temperature_celsius{gpu=""}')
    expect(options).to_have_text(["0value"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#query")).to_have_value('gpu_temperature_celsius{gpu="0"}')
    page.keyboard.press("Control+Enter")
    _facts(page, "one series")
    assert _asked(page)["q"] == ['gpu_temperature_celsius{gpu="0"}']
    assert _asked(page)["range"] == ["5m"]
    page.reload()
    _facts(page, "one series")
    expect(page.locator("#query")).to_have_value('gpu_temperature_celsius{gpu="0"}')
    expect(page.locator("#legend")).to_contain_text("°C")


def test_a_function_is_offered_with_its_signature_and_said_while_one_is_inside(page: Page, server: Server) -> None:
    _open(page, server)
    page.keyboard.type("histogram_q")
    expect(page.locator("#meaning")).to_contain_text("histogram_quantile(φ s, v)")
    page.keyboard.press("Tab")
    expect(page.locator("#query")).to_have_value("histogram_quantile()")
    expect(page.locator("#hint")).to_contain_text("histogram_quantile(φ s, v)")
    page.keyboard.type("0.9")
    page.keyboard.press("Escape")
    page.keyboard.type(")")
    expect(page.locator("#query")).to_have_value("histogram_quantile(0.9)")
    expect(page.locator("#popup")).to_be_hidden()


@pytest.mark.parametrize(
    ("text", "kind", "prefix"),
    [
        ("ra|", "word", "ra"),
        ("sum by (g|", "grouping", "g"),
        ("sum by (gpu, |) (x)", "grouping", ""),
        ("x{|", "label", ""),
        ("x{gp|}", "label", "gp"),
        ('x{gpu="0", na|', "label", "na"),
        ('x{gpu="|"}', "value", ""),
        ('x{gpu=~"a|b"}', "value", "a"),
        ("rate(x[|", "duration", ""),
        ("rate(x[5|])", "duration", "5"),
        ("x offset |", "duration", ""),
        ("x{gpu|=", "label", "gpu"),
        ("x{gpu=|}", None, None),
        ('"te|xt"', None, None),
        ("up # say|", None, None),
        ("12|", None, None),
    ],
)
def test_what_is_completed_fits_the_place(page: Page, server: Server, text: str, kind: str, prefix: str) -> None:
    _open(page, server)
    found = page.evaluate(
        """async (text) => {
          const main = document.querySelector('script[src$="main.js"]').src;
          const { contextAt } = await import(main.replace('main.js', 'promql/complete.js'));
          const { words: known } = JSON.parse(document.getElementById('first').textContent);
          const words = new Map(known.map((word) => [word.name, word]));
          return contextAt(text.replace('|', ''), text.indexOf('|'), words);
        }""",
        text,
    )
    assert (found and (found["kind"], found["prefix"])) == (kind and (kind, prefix))


@pytest.mark.parametrize(
    ("query", "unit"),
    [
        ("memory_used_bytes", "bytes"),
        ("rate(cpu_seconds_total[1m])", "percent"),
        ("memory_used_bytes / memory_used_bytes", "percent"),
        ("memory_used_bytes and on () gpu_temperature_celsius > 0", "bytes"),
        ("count(memory_used_bytes)", "plain number"),
    ],
)
def test_the_unit_is_guessed_from_the_metrics(page: Page, server: Server, query: str, unit: str) -> None:
    _open(page, server, query)
    expect(page.locator("#unit option").first).to_have_text(f"auto ({unit})")


def test_an_error_is_marked_at_its_place_and_the_answer_before_stays(page: Page, server: Server) -> None:
    _open(page, server, "up")
    _facts(page, "series")
    page.fill("#query", "sum(up) + ]")
    page.keyboard.press("Enter")
    expect(page.locator("#hint")).to_contain_text("parse error")
    expect(page.locator("#mirror .wrong")).to_have_text("]")
    expect(page.locator("#query")).to_have_attribute("aria-invalid", "true")
    _facts(page, "below is the answer to the one before")
    page.fill("#query", "sum(up)")
    expect(page.locator("#mirror .wrong")).to_have_count(0)
    page.keyboard.press("Enter")
    _facts(page, "one series")


def test_nothing_is_offered_to_take_away_before_there_is_an_answer(page: Page, server: Server) -> None:
    _open(page, server, "sum(up) + ]")
    expect(page.locator("#hint")).to_contain_text("parse error")
    expect(page.locator("#to-panel")).to_be_disabled()
    expect(page.locator("#csv > summary")).to_have_attribute("aria-disabled", "true")
    page.fill("#query", "sum(up)")
    page.keyboard.press("Enter")
    expect(page.locator("#to-panel")).to_be_enabled()


def test_the_arrow_under_an_error_points_through_no_other_line(page: Page, server: Server) -> None:
    _open(page, server, "up + ]")
    expect(page.locator("#hint.pointed")).to_be_visible()
    page.fill("#query", "up + ]\n+ vector(1)")
    page.keyboard.press("Enter")
    expect(page.locator("#mirror .wrong")).to_have_text("]")
    expect(page.locator("#hint.pointed")).to_have_count(0)


def test_enter_runs_what_is_written_unless_a_proposal_begins_with_it(page: Page, server: Server) -> None:
    _open(page, server)
    page.keyboard.type("temperature_cel")
    expect(page.locator("#suggestions [role=option]").first).to_contain_text("gpu_temperature_celsius")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=temperature_cel&*")
    _facts(page, "0 series")
    page.keyboard.type("s")
    expect(page.locator("#suggestions [role=option]").first).to_contain_text("gpu_temperature_celsius")
    page.keyboard.press("Tab")
    expect(page.locator("#query")).to_have_value("gpu_temperature_celsius")


def test_a_slow_query_is_cancelled_and_the_answer_before_stays(page: Page, server: Server) -> None:
    _open(page, server, "up")
    _facts(page, "series")
    held: list[Route] = []
    page.route("**/api/v1/query_range", lambda route: held.append(route))
    page.fill("#query", "sum(up)")
    page.keyboard.press("Enter")
    page.locator("#run").get_by_text("Cancel").click()
    _facts(page, "Cancelled; below is the answer to the query before.")
    expect(page.locator("#run").get_by_text("Run")).to_be_visible()
    expect(page.locator("#outcome")).not_to_have_attribute("aria-busy", "")
    page.unroute("**/api/v1/query_range")
    page.locator("#run").click()
    _facts(page, "one series")


def test_an_error_on_another_line_is_marked_there(page: Page, server: Server) -> None:
    said = 'invalid parameter "query": 2:3: parse error: unexpected identifier "foo"'
    page.route(
        "**/api/v1/query_range",
        lambda route: route.fulfill(status=400, json={"status": "error", "errorType": "bad_data", "error": said}),
    )
    _open(page, server, "up\n+ foo bar")
    expect(page.locator("#hint")).to_have_text('2:3: parse error: unexpected identifier "foo"')
    expect(page.locator("#mirror .wrong")).to_have_text("foo")


def test_the_table_sorts_and_is_saved_as_shown(page: Page, server: Server) -> None:
    _open(page, server, "filesystem_size_bytes or vector(0) or cpu_seconds_total", tab="table")
    values = page.locator("#table tbody td.number")
    expect(values.first).to_be_visible()
    page.get_by_role("button", name="Value").click()
    expect(page.locator("#table th.number")).to_have_attribute("aria-sort", "descending")
    titles = [float(cell.get_attribute("title") or "nan") for cell in values.all()]
    assert titles == sorted(titles, reverse=True)
    assert len(titles) > 3
    page.locator("#csv summary").click()
    expect(page.locator("[data-action=csv-stored]")).to_be_hidden()
    with page.expect_download() as download:
        page.locator("[data-action=csv-shown]").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(titles) + 1
    assert lines[0].endswith(",value")


def test_the_stored_samples_of_a_selector_are_offered_with_an_estimate(page: Page, server: Server) -> None:
    page.route(
        "**/api/export/estimate?*",
        lambda route: route.fulfill(json={"series": 1, "rows": 300, "bytes": 12_300}),
    )
    _open(page, server, "memory_used_bytes")
    _facts(page, "one series")
    page.locator("#csv summary").click()
    expect(page.locator("#csv-stored-size")).to_have_text("about 12.3\u202fkB: 300 rows, 1 series")
    with page.expect_download() as download:
        page.locator("[data-action=csv-stored]").click()
    assert "memory_used_bytes" in Path(download.value.path()).read_text(encoding="utf-8").splitlines()[0]


def test_a_link_carries_the_times_and_what_is_switched_off(page: Page, server: Server) -> None:
    _open(page, server, "cpu_seconds_total")
    first = page.locator("#legend button").first
    expect(first).to_have_attribute("aria-pressed", "true")
    name = first.get_attribute("data-key") or ""
    first.click()
    expect(first).to_have_attribute("aria-pressed", "false")
    assert _asked(page)["hide"] == [name]
    page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.locator("#share summary").click()
    page.locator("[data-action=link-fixed]").click()
    expect(page.locator("#toasts")).to_contain_text("The link is in the clipboard")
    link = page.evaluate("window.copied")
    assert {"start", "end", "hide"} <= set(parse_qs(urlsplit(link).query))
    page.goto(link)
    expect(page.locator("#legend button").first).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#legend button").nth(1)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Show all series").click()
    assert "hide" not in _asked(page)


def test_two_hundred_series_are_drawn_and_more_are_said(page: Page, server: Server) -> None:
    page.route("**/api/v1/query_range", _matrix(5000, warnings=["results truncated due to limit"], infos=["a hint"]))
    _open(page, server, "many")
    _facts(page, "200 series")
    expect(page.locator("#notes li")).to_have_count(2)
    expect(page.locator("#notes")).to_contain_text("There are more than 200 series; the first 200 are drawn.")
    expect(page.locator("#notes [data-state=info]", has_text="a hint")).to_be_visible()
    expect(page.locator("#legend button")).to_have_count(200)
    page.wait_for_function("() => document.querySelector('#view-chart .plot').dataset.drawnMs")
    assert page.locator(".plot canvas.lines").first.is_visible()


def test_labels_that_look_like_markup_stay_text(page: Page, server: Server) -> None:
    evil = "<img src=x onerror=alert(1)>"
    found = [{"metric": {"a": evil, "b": str(one)}, "value": [1, "1"]} for one in range(2)]
    page.route(
        "**/api/v1/query",
        lambda route: route.fulfill(
            json={"status": "success", "data": {"resultType": "vector", "result": found}, "warnings": [evil]}
        ),
    )
    _open(page, server, "x", tab="table")
    expect(page.locator("#notes")).to_have_text(evil)
    expect(page.locator("#common")).to_contain_text(evil)
    assert page.locator("#outcome img").count() == 0


def test_a_panel_made_of_a_query_is_right(page: Page, server: Server, tmp_path: Path) -> None:
    query = 'sum by (mode) (rate(cpu_seconds_total[1m]))\n  * on () group_left vector(1) # it\'s "all"'
    _open(page, server, query)
    _facts(page, "series")
    page.get_by_role("button", name="Make a panel of this").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Title").fill('CPU: it\'s "busy"')
    file = tmp_path / "mine.yaml"
    file.write_text(dialog.locator("pre").inner_text(), encoding="utf-8")
    panel = load_panels([file])[-1]
    assert isinstance(panel, Panel)
    assert panel.title == 'CPU: it\'s "busy"'
    assert panel.lines[0].expr == query
    assert panel.lines[0].legend == "{{mode}}"


def test_examples_run_and_earlier_queries_come_back(page: Page, server: Server) -> None:
    _open(page, server)
    page.locator(".examples button", has_text="Temperature of each GPU").click()
    _facts(page, "one series")
    page.fill("#query", "up")
    expect(page.locator("#popup")).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url("**q=up&*")
    page.locator("#query").press("Alt+ArrowUp")
    expect(page.locator("#query")).to_have_value("max by (gpu) (gpu_temperature_celsius)")
    expect(page.locator("#past [data-query=up]")).to_have_count(1)  # before the menu opens: nothing moves in it
    page.locator("#recent summary").click()
    page.locator("#past [data-query=up]").click()
    expect(page.locator("#query")).to_have_value("up")
    page.go_back()
    expect(page.locator("#query")).to_have_value("max by (gpu) (gpu_temperature_celsius)")


def test_a_refresh_asks_again_and_a_zoom_fixes_the_times(page: Page, server: Server) -> None:
    _open(page, server, "memory_used_bytes", refresh="5")
    with page.expect_request("**/api/v1/query_range", timeout=15_000):
        _facts(page, "one series")
    with page.expect_request("**/api/v1/query_range", timeout=15_000) as again:
        pass
    assert "memory_used_bytes" in (again.value.post_data or "")
    page.wait_for_function("() => document.querySelector('#view-chart .plot').dataset.drawnMs")
    box = page.locator("#view-chart .plot").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.6, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, y, steps=5)
    page.mouse.up()
    page.wait_for_url("**start=*")
    assert "range" not in _asked(page)


def test_storage_says_what_each_source_costs_and_when_it_is_full(page: Page, server: Server) -> None:
    page.route("**/api/storage", lambda route: route.fulfill(json=_storage()))
    page.goto(f"{server.url}/storage")
    expect(page.locator("#sources tbody tr").first).to_contain_text("gpu")
    expect(page.locator("#sources tbody tr").first).to_contain_text("58.7\u202f%")
    expect(page.locator("#sources tbody tr")).to_have_count(4)
    expect(page.locator("#sources tbody tr").nth(2)).to_contain_text("40\u202fMB")
    expect(page.locator('[data-limit="size"]')).to_contain_text("852\u202fMB of 2\u202fGB")
    expect(page.locator('[data-limit="size"] meter-bar')).to_be_visible()
    expect(page.locator('[data-limit="size"]')).to_contain_text("Reached in 16\u202fd")
    expect(page.locator('[data-limit="age"]')).to_contain_text("11\u202fd of 30 days")
    expect(page.locator("#store-problems .notice")).to_have_count(0)


@pytest.mark.parametrize(
    "change",
    [
        {"limit_bytes": None, "reaches_limit_ms": None},
        {"sources": [], "oldest_ms": None, "newest_ms": None, "bytes": 0, "reaches_limit_ms": None},
    ],
)
def test_storage_bears_with_missing_figures(page: Page, server: Server, change: dict[str, Any]) -> None:
    page.route("**/api/storage", lambda route: route.fulfill(json=_storage(**change)))
    page.goto(f"{server.url}/storage")
    expect(page.locator("#sentence")).not_to_have_text("Asking the store …")
    assert "NaN" not in page.locator("main").inner_text()
    assert page.locator("#sources-empty").is_visible() == ("sources" in change)


def test_what_is_not_sealed_yet_has_no_size(page: Page, server: Server) -> None:
    young = {"source": "young", "series": 5, "samples_per_second": 0.001, "bytes": 0, "bytes_per_sample": None}
    page.route("**/api/storage", lambda route: route.fulfill(json=_storage(sources=[young])))
    page.goto(f"{server.url}/storage")
    expect(page.locator("#sources tbody tr").first.locator("td")).to_have_text(["young", "–", "–", "5", "< 0.01", "–"])
    expect(page.locator("#sources-wait")).to_be_visible()


def test_the_most_urgent_problem_comes_first(page: Page, server: Server) -> None:
    told = {"since_ms": int(time.time() * 1000), "advice": "", "detail": ""}
    problems = [told | {"kind": "locked", "what": "A lock"}, told | {"kind": "disk_full", "what": "A full disk"}]
    page.route("**/api/storage", lambda route: route.fulfill(json=_storage(problems=problems)))
    page.goto(f"{server.url}/storage")
    expect(page.locator("#store-problems .notice b")).to_have_text(["A full disk", "A lock"])
    expect(page.locator("#store-problems .notice").first).to_have_attribute("data-state", "critical")


def test_a_panel_with_hundreds_of_series_keeps_its_place(page: Page, server: Server) -> None:
    def many(route: Route) -> None:
        answer = route.fetch().json()
        some = answer["panels"]["machine"]["series"][0]
        name = "a-name-that-is-far-longer-than-the-panel-that-it-stands-in-" * 3
        answer["panels"]["machine"]["series"] += [some | {"key": str(one), "legend": name} for one in range(250)]
        route.fulfill(json=answer)

    page.route(re.compile(r"/api/panels\?"), many)
    page.goto(server.url)
    chart = page.locator("[data-chart=machine]")
    chart.scroll_into_view_if_needed()
    expect(chart.locator(".legend button", has_text="far-longer")).to_have_count(250)
    box = chart.bounding_box()
    assert box is not None
    assert box["height"] < 400
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.unroute_all(behavior="wait")


@pytest.mark.parametrize("path", ["/", "/explore"])
def test_every_page_says_when_the_store_cannot_write(page: Page, server: Server, path: str) -> None:
    problem = {
        "since_ms": int(time.time() * 1000) - 425_000,
        "what": "The disk is full: <b>.",
        "advice": "Free some space.",
        "detail": "No space left on device",
        "kind": "disk_full",
    }
    page.route("**/api/storage", lambda route: route.fulfill(json=_storage(problems=[problem])))
    page.goto(server.url + path)
    notice = page.locator("#store-problems .notice")
    expect(notice).to_contain_text("The disk is full: <b>.")
    expect(notice).to_contain_text("Free some space.")
    expect(notice).to_contain_text("No space left on device")
    expect(notice).to_contain_text("7\u202fmin")


def test_storage_says_when_the_server_cannot_tell(page: Page, server: Server) -> None:
    answer = {"title": "The database does not answer", "detail": "What was asked for could not be read.", "status": 503}
    page.route("**/api/storage", lambda route: route.fulfill(status=503, body=json.dumps(answer)))
    page.goto(f"{server.url}/storage")
    expect(page.locator("#sentence")).to_contain_text("What was asked for could not be read.")


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize(
    "path", ["/explore", "/explore?q=cpu_seconds_total&range=5m", "/explore?q=up&tab=table", "/storage"]
)
def test_axe_finds_nothing_serious(context: BrowserContext, server: Server, path: str, theme: str) -> None:
    page = context.new_page()
    page.route("**/api/storage", lambda route: route.fulfill(json=_storage()))
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.goto(server.url + path)
    page.wait_for_load_state("networkidle")
    if path == "/explore":
        page.keyboard.type("gpu_")
        expect(page.locator("#suggestions [role=option]").first).to_be_visible()
    found = Axe().run(page).response["violations"]
    serious = [
        (one["id"], [node["html"][:160] for node in one["nodes"][:3]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize(
    "path", ["/explore", "/explore?q=cpu_seconds_total&range=5m", "/explore?q=gpu_info&tab=table", "/storage"]
)
def test_a_narrow_screen_scrolls_only_down(context: BrowserContext, server: Server, path: str) -> None:
    page = context.new_page()
    page.route("**/api/storage", lambda route: route.fulfill(json=_storage()))
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(server.url + path)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_explore_speaks_chinese(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/language/zh?next=/explore?q=up")
    expect(page.locator("#run").get_by_text("运行")).to_be_visible()
    _facts(page, "序列")
    page.fill("#query", "")
    page.focus("#query")
    page.keyboard.type("rate")
    expect(page.locator("#meaning")).to_contain_text("每秒增量")
