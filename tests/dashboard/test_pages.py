"""The pages as the server paints them, their files, and the history of panels."""

from __future__ import annotations

import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from collectors.catalogue import family_of
from collectors.sample import Sample, Tick, make_labels
from dashboard.asset import ICONS, STATIC, Assets
from dashboard.explore import EXAMPLES, UNITS, Example, described, words
from dashboard.panels import Unit
from dashboard.unit import duration, say
from promql import parse
from promql.support import AGGREGATIONS, FUNCTIONS
from tests.dashboard.house import House, MakeHouse

PAGES = (
    "/", "/alerts", "/rules", "/incidents", "/incidents/1", "/model", "/explore", "/storage", "/targets",
    "/targets/one", "/requests", "/logs", "/checkup",
)  # fmt: skip
T0 = 1_800_000_000_000


class _Tags(HTMLParser):
    """Collects what a strict content security policy would refuse, and every address."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.addresses: list[str] = []
        self._script: dict[str, str | None] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.inline += [f"{tag} {name}" for name in found if name.startswith("on")]
        self.addresses += [str(found[name]) for name in ("src", "href", "action") if found.get(name)]
        self._script = found if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._script is not None and data.strip() and self._script.get("type") != "application/json":
            self.inline.append(f"script: {data[:40]}")


def _read(html: str) -> _Tags:
    tags = _Tags()
    tags.feed(html)
    return tags


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_a_login(calm: House, path: str) -> None:
    answer = calm.visitor().get(path)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/login")


@pytest.mark.parametrize("path", [*PAGES, "/login", "/nothing-here"])
def test_a_page_has_nothing_inline_and_names_no_other_host(house: House, path: str) -> None:
    tags = _read(house.person("viewer").get(path, follow_redirects=True).text)
    assert tags.inline == []
    assert [address for address in tags.addresses if not address.startswith(("/", "#"))] == []


@pytest.mark.parametrize("path", PAGES)
def test_every_file_of_a_page_is_there_and_kept_for_ever(house: House, path: str) -> None:
    person = house.person("viewer")
    files = [one.partition("#")[0] for one in _read(person.get(path).text).addresses if one.startswith("/assets/")]
    assert files
    for file in set(files):
        answer = person.get(file)
        assert answer.status_code == 200, file
        assert "immutable" in answer.headers["Cache-Control"], file


def test_the_first_paint_carries_current_values(house: House) -> None:
    labels = make_labels(gpu=0, name="NVIDIA L4", simulated="true")
    now = house.app.extensions["wakeless.application"].pulse.clock()
    samples = (Sample("cpu_utilization_ratio", (), 0.234), Sample("gpu_utilization_ratio", labels, 0.61))
    house.services.store.append([Tick("test", now, samples)])
    html = house.person("viewer").get("/").text
    assert re.search(r'data-tile="tile_cpu".*?data-field="number">23\.4<', html, re.DOTALL)
    assert re.search(r'data-field="load">61\u202f%<', html)
    assert "WATCHING" in html
    assert re.search(r'id="simulated" data-state="warning" >', html)


def test_without_a_gpu_the_page_says_what_that_means(calm: House) -> None:
    assert "No NVIDIA GPU found" in calm.visitor().get("/", headers=calm.token("viewer")).text


def test_only_an_operator_is_offered_to_restart(house: House) -> None:
    assert 'id="restart"' not in house.person("viewer").get("/model").text
    assert 'id="restart"' in house.person("operator").get("/model").text


def test_only_an_administrator_is_offered_to_add_a_target_and_to_take_a_support_bundle(house: House) -> None:
    for role, offered in (("viewer", False), ("operator", False), ("admin", True)):
        person = house.person(role)
        assert ('data-do="add"' in person.get("/targets").text) is offered
        assert ("/api/support-bundle" in person.get("/checkup").text) is offered
        assert ('data-do="check"' in person.get("/targets/one").text) is (role != "viewer")


def test_initial_data_cannot_end_its_script(make_house: object, house: House) -> None:
    house.services.hub._situation._fixed["name"] = "</script><b>"
    html = house.person("viewer").get("/").text
    assert "</script><b>" not in html
    assert "&lt;/script&gt;&lt;b&gt;" in html


def test_initial_data_cannot_keep_its_script_from_ending(house: House) -> None:
    name = "<!--<script>"
    house.services.hub._situation._fixed["name"] = name
    html = house.person("viewer").get("/").text
    found = re.search(r'<script type="application/json" id="first">(.*?)</script>', html, re.DOTALL)
    assert found
    assert "<" not in found[1]
    assert json.loads(found[1])["state"]["name"] == name


def test_the_language_follows_the_browser_until_somebody_chooses(house: House) -> None:
    person = house.person("viewer")
    assert 'lang="zh-CN"' in person.get("/", headers={"Accept-Language": "zh-CN,zh;q=0.9"}).text
    assert person.get("/language/en?next=/alerts").headers["Location"] == "/alerts"
    assert 'lang="en"' in person.get("/", headers={"Accept-Language": "zh-CN"}).text
    assert person.get("/language/tlh").status_code == 404
    assert person.get("/language/zh?next=//example.org/").headers["Location"] == "/"


def test_a_large_file_is_compressed_once_and_kept_on_disk(house: House) -> None:
    visitor = house.visitor()
    address = f"/assets/plotly-{Assets().plotly_version}.min.js"
    packed = visitor.get(address, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < 2_000_000 < len(gzip.decompress(packed.data))
    [kept] = (house.data_dir / "cache").glob("plotly-*.gz")
    before = kept.stat().st_mtime_ns
    assert visitor.get(address, headers={"Accept-Encoding": "gzip"}).data == packed.data
    assert kept.stat().st_mtime_ns == before
    assert "Content-Encoding" not in visitor.get(address).headers


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "%2e%2e/config.py", "js/none.js", "css"])
def test_an_address_cannot_leave_the_folder_of_files(calm: House, name: str) -> None:
    assert calm.visitor().get(f"/assets/x/{name}").status_code == 404


def test_a_file_of_another_version_is_served_but_not_kept(calm: House) -> None:
    answer = calm.visitor().get("/assets/000000000000/js/store.js")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"


def test_every_icon_that_pages_use_is_in_the_sprite() -> None:
    scripts = "".join(path.read_text(encoding="utf-8") for path in (STATIC / "js").rglob("*.js"))
    templates = "".join(path.read_text(encoding="utf-8") for path in (STATIC.parent / "templates").glob("*.html"))
    used = set(re.findall(r'icon\("([\w-]+)"\)', scripts + templates))
    assert used - set(ICONS) == set()
    assert Assets().icons().count("<symbol") == len(ICONS)


def test_every_word_that_the_evaluator_has_is_described_and_no_other_is_offered() -> None:
    evaluated = {*FUNCTIONS, *AGGREGATIONS}
    assert evaluated - {word.name for word in described() if word.kind != "keyword"} == set()
    assert {word.name for word in words() if word.kind != "keyword"} == evaluated


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_an_example_is_a_query_of_metrics_that_exist(example: Example) -> None:
    metrics = [match.value for matchers in parse(example.query).selectors() for match in matchers if match.op == "="]
    assert metrics
    assert [name for name in metrics if family_of(name) is None] == []


def test_every_unit_of_panels_can_be_chosen() -> None:
    assert set(UNITS) == set(get_args(Unit))


def test_a_bad_panel_is_said_in_its_place_and_the_others_are_shown(make_house: MakeHouse, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "panels:\n"
        "  - {id: good, page: overview, title: Good one, lines: [{expr: up}]}\n"
        "  - {id: bad, page: overview, title: Bad <one>, lines: [{expr: 'sum('}]}\n"
        "  - {id: bad_tile, page: overview, kind: tile, title: Bad tile, unit: volts, lines: [{expr: up}]}\n"
        "  - {id: list, page: overview, kind: bars, title: A list, lines: [{expr: up}]}\n",
        encoding="utf-8",
    )
    house = make_house(panels=[str(file), str(tmp_path / "gone.yaml")])
    html = house.person("viewer").get("/").text
    good, bad = html.index('data-chart="good"'), html.index("Bad &lt;one&gt;")
    assert good < bad < html.index("gone.yaml")
    assert f"{file}, line 3" in html
    assert "unclosed left parenthesis" in html or "parse error" in html
    assert html.index("unit is &#39;volts&#39;") < good
    assert 'data-bars="list"' in html
    assert html.count("data-bad-panel") == 3


def test_history_is_given_in_columns(house: House) -> None:
    house.services.store.append([Tick("test", T0, (Sample("cpu_utilization_ratio", (), 0.5),))])
    answer = house.visitor().get(
        "/api/panels",
        query_string={"start": T0 - 60_000, "end": T0, "step": 1000, "panel[]": "machine"},
        headers=house.token("viewer"),
    )
    said = answer.get_json()
    assert (said["end"] - said["start"]) // said["step"] == 60
    assert list(said["panels"]) == ["machine"]
    assert said["panels"]["machine"]["series"][0]["values"][-1] == 0.5
    assert said["panels"]["machine"]["series"][0]["values"][0] is None


@pytest.mark.parametrize("query", ["page=none", "start=5&end=4", "start=x", "step=0", "step=-1", "end=1e99"])
def test_a_wrong_question_for_history_is_named(calm: House, query: str) -> None:
    answer = calm.visitor().get(f"/api/panels?{query}", headers=calm.token("viewer"))
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.get_json()["detail"]


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (12.44, "per_second", "12.4 /s"), (0, "per_second", "0 /s"), (0.084, "seconds", "84 ms"), (0, "seconds", "0 s"),
        (75, "seconds", "1.25 min"), (0.924, "ratio", "92.4 %"), (1, "ratio", "100 %"), (22.2e9, "bytes", "22.2 GB"),
        (999.9, "bytes", "1 kB"), (71.4, "celsius", "71.4 °C"), (31204, "count", "31.2k"), (9871, "count", "9871"),
        (2.04e9, "hertz", "2.04 GHz"), (None, "ratio", "–"), (float("nan"), "ratio", "–"),
    ],
)  # fmt: skip
def test_numbers_are_said_in_the_unit_that_suits_them(value: float | None, unit: str, said: str) -> None:
    assert str(say(value, unit)).replace("\u202f", " ") == said


def test_a_length_of_time_has_two_parts_at_most() -> None:
    assert duration(93_784) == ((1, "d"), (2, "h"))
    assert duration(3600) == ((1, "h"),)
