"""Panels as data, and what they say about samples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.catalogue import family_of
from collectors.sample import Hints, Sample, Series, Tick, make_labels
from dashboard.board import MAX_POINTS, Board, Window, rounded
from dashboard.panels import (
    USER_KINDS,
    BadPanel,
    Level,
    Line,
    Panel,
    PanelError,
    Threshold,
    Unit,
    load_panels,
    read_panels,
)
from promql import Engine, QueryError
from tests.dashboard.house import House

T0 = 1_800_000_000_000
MINE = "panels:\n  - id: mine\n    page: overview\n    title: Mine"
UP = "lines: [{expr: up}]"


def _board(house: House, *panels: dict[str, Any]) -> Board:
    chosen = [Panel.model_validate({"page": "overview", "title": "T", **panel}) for panel in panels]
    return Board(house.services.query, chosen or load_panels())


def _store(house: House, time_ms: int, *samples: Sample) -> None:
    house.services.store.append([Tick("test", time_ms, samples)])


def _file(folder: Path, text: str) -> Path:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_stock_panels_use_only_metrics_of_the_catalogue() -> None:
    unknown = [(panel.id, name) for panel in load_panels() for name in panel.metrics if family_of(name) is None]
    assert unknown == []


def test_the_users_panels_come_after_the_stock_ones(tmp_path: Path) -> None:
    file = _file(tmp_path, "panels: [{id: mine, page: overview, title: Mine, lines: [{expr: up}]}]")
    assert load_panels([file])[-1].id == "mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{MINE}\n    lines:\n      - expr: sum(", "line 6: panel 'Mine': 'sum(' is not a query for a panel: "),
        (
            f"{MINE}\n    lines: [{{expr: 'up[5m]'}}]",
            "line 5: panel 'Mine': 'up[5m]' is not a query for a panel: it gives",
        ),
        (f"{MINE}\n    lines: [{{expr: '\"a\"'}}]", "it gives text, not numbers"),
        (f"{MINE}\n    lines:\n      - expr: up\n        peak: 'max('", "line 7: panel 'Mine': 'max(' is not a query"),
        (f"{MINE}\n    unit: volts\n    {UP}", "line 5: panel 'Mine': unit is 'volts', but must be 'count', "),
        (
            f"{MINE}\n    lines:\n      - expr: |\n          up\n            foo",
            "line 8: panel 'Mine': 'up foo' is not",
        ),
        (f"{MINE}\n    colour: red\n    {UP}", "line 5: panel 'Mine': unknown key 'colour'; known are: id, page, "),
        (f"{MINE}\n    lines: [{{expr: up, color: 1}}]", "unknown key 'lines.0.color'; known are: expr, legend, "),
        (
            f"{MINE}\n    colors: {{a: 9}}\n    {UP}",
            "line 5: panel 'Mine': colors is {'a': 9}, but must be series → 1 to 8",
        ),
        (
            f"{MINE}\n    kind: gpus\n    {UP}",
            "line 5: panel 'Mine': kind is 'gpus', but must be 'tile', 'chart' or 'bars'",
        ),
        (f"{MINE}\n    title: Again\n    {UP}", "line 5: panel 'Again': the key 'title' is there twice"),
        (
            f"{MINE}\n    {UP}\n  - {{id: mine, page: overview, title: Two, {UP}}}",
            "line 6: panel 'Two': the id 'mine' is taken by panel 'Mine' of mine.yaml",
        ),
        (
            "panels: [{id: mine, page: overview, lines: [{expr: up}]}]",
            "line 1: panel 'mine': the key 'title' is missing",
        ),
        (
            "panels: [{id: mine, page: overview, title: No, lines: [{expr: up}]}]",
            "title is False, but must be text; put it in quotes",
        ),
        (
            "panels: [{id: latency, page: overview, title: T, lines: [{expr: up}]}]",
            "taken by panel 'Latency' of panels.yaml",
        ),
        ("panels:\n  - 5", "line 2: panel 'number 1': it must hold keys and values"),
        ("panels: []\nother: 1", "line 2: unknown key 'other'"),
        ("panels: {}", "must hold a list under the key 'panels'"),
        ("panels:\n  - [", "line 2: this panel file is not valid YAML"),
        ("panels: \x00", "this panel file is not valid YAML"),
        ("panels: " + "[" * 20_000, "it is nested too deeply"),
        ("panels: " + "[" * 3000 + "]" * 3000, "it is nested too deeply"),
        ("panels: []\n" + "#" * 300_000, "this panel file is larger than 256 KiB"),
        (
            f"{MINE}\n    thresholds: [{{at: .nan, level: warning}}]\n    {UP}",
            "thresholds.0.at is nan, but must be a fin",
        ),
        (f"{MINE}\n    lines: [{{expr: '{'(' * 20_000}'}}]", "'" + "(" * 60 + "…' is not a query"),
        (
            "panels:\n  - {id: mine, page: overview, "
            + UP
            + ", title: ["
            + "&a0 [x], "
            + "".join(f"&a{n + 1} [{', '.join([f'*a{n}'] * 9)}], " for n in range(9))
            + "]}",
            "title is [['x'], [['x'], ['x'], ",
        ),
    ],
)
def test_a_mistake_is_said_with_its_file_its_line_and_its_panel(tmp_path: Path, text: str, said: str) -> None:
    file = _file(tmp_path, text)
    with pytest.raises(PanelError) as caught:
        load_panels([file])
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(file))
    [bad] = [panel for panel in read_panels([file]) if isinstance(panel, BadPanel)]
    assert str(bad) == str(caught.value)


def test_every_mistake_of_all_files_is_said_and_the_good_panels_stay_in_order(tmp_path: Path) -> None:
    one = "{id: %s, page: overview, title: %s, lines: [{expr: '%s'}]}"
    entries = [one % ("a", "A", "up"), one % ("b", "B", "up ("), one % ("c", "C", "up"), one % ("d", "D", ")")]
    file = _file(tmp_path, "panels:\n" + "".join(f"  - {entry}\n" for entry in entries))
    gone = tmp_path / "gone.yaml"
    found = read_panels([file, gone])[-5:]
    assert [panel.title for panel in found] == ["A", "B", "C", "D", ""]
    assert [isinstance(panel, BadPanel) for panel in found] == [False, True, False, True, True]
    with pytest.raises(PanelError) as caught:
        load_panels([file, gone])
    assert str(caught.value).splitlines() == [str(panel) for panel in found if isinstance(panel, BadPanel)]
    assert f"{gone}: this panel file cannot be read: No such file or directory" in str(caught.value)


@settings(deadline=None)  # the stock panels are read each time
@given(st.text(max_size=200) | st.text(alphabet="panels:[]{}- \n#&*!|>'\"idtexrup0,", max_size=200))
def test_no_text_at_all_breaks_the_reader_of_panel_files(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text, encoding="utf-8")
    assert all(isinstance(panel, Panel | BadPanel) for panel in read_panels([file]))


def test_a_panel_exports_the_metrics_of_its_queries(tmp_path: Path) -> None:
    expr = "sum(rate(a_total[$window])) / sum(rate(b_total[$window])) + on() a_total"
    file = _file(tmp_path, f"panels: [{{id: mine, page: overview, title: T, lines: [{{expr: '{expr}'}}]}}]")
    assert load_panels([file])[-1].metrics == ("a_total", "b_total")


def test_a_bad_panel_keeps_its_place_on_the_board(tmp_path: Path, house: House) -> None:
    file = _file(tmp_path, f"{MINE}\n    lines: [{{expr: sum(}}]\n  - {{id: good, page: overview, title: Good, {UP}}}")
    board = Board(house.services.query, read_panels([file]))
    assert [panel.title for panel in board.layout("overview")[-2:]] == ["Mine", "Good"]
    assert board.panels("overview")[-1].title == "Good"
    assert [panel for panel in board.panels("overview") if panel.title == "Mine"] == []


def test_the_page_of_panels_documents_every_key_unit_kind_and_style() -> None:
    page = (Path(__file__).parents[2] / "docs" / "panels.md").read_text(encoding="utf-8")
    for model in (Panel, Line, Threshold):
        for key in model.model_fields:
            assert f"| `{key}` |" in page, key
    documented = set(re.findall(r"`([a-z_]+)`", page))
    assert set(get_args(Unit)) | set(USER_KINDS) | set(get_args(Level)) | {"line", "limit", "shade"} <= documented


def test_the_examples_in_the_page_of_panels_are_right(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "panels.md").read_text(encoding="utf-8")
    examples = [text for text in re.findall(r"```yaml\n(.*?)```", page, re.S) if text.startswith("panels:\n")]
    assert examples
    for text in examples:
        assert load_panels([_file(tmp_path, text)])


def test_every_stock_panel_is_quiet_where_there_are_no_metrics(house: House) -> None:
    board = _board(house)
    assert {key for found in board.now("overview", T0, 30_000).values() for key in found} == set()
    history = board.history("overview", Window.fitting(T0 - 3_600_000, T0, 10_000))
    assert [panel for panel in history["panels"].values() if panel.get("series") or panel.get("error")] == []


def test_a_panel_says_its_series_by_their_legends(house: House) -> None:
    _store(
        house,
        T0,
        Sample("gpu_power_watts", make_labels(gpu=0), 71.5),
        Sample("gpu_power_watts", make_labels(gpu=1), 20),
    )
    board = _board(house, {"id": "p", "lines": [{"expr": "gpu_power_watts", "legend": "draw[ · GPU {{gpu}}]"}]})
    assert board.now("overview", T0, 30_000) == {"p": {"draw · GPU 0": 71.5, "draw · GPU 1": 20.0}}


def test_history_keeps_gaps_as_null_on_the_shared_times(house: House) -> None:
    for second in (0, 1, 600, 601):
        _store(house, T0 + second * 1000, Sample("memory_used_bytes", (), float(second)))
    _store(house, T0 + 602_000)  # an empty tick ends the series
    board = _board(house, {"id": "m", "lines": [{"expr": "memory_used_bytes"}]})
    history = board.history("overview", Window.fitting(T0, T0 + 900_000, 60_000))
    [series] = json.loads(orjson.dumps(history["panels"]["m"]["series"], option=orjson.OPT_SERIALIZE_NUMPY))
    assert len(series["values"]) == (history["end"] - history["start"]) // history["step"] + 1 == 16
    assert series["values"][0] == 0
    assert series["values"][8] is None  # beyond the lookback
    assert series["values"][10] == 600
    assert series["values"][11] is None  # ended by the stale marker


def test_no_peak_hides_between_two_points_that_are_far_apart(house: House) -> None:
    for second in range(0, 1200, 10):
        _store(house, T0 + second * 1000, Sample("gpu_temperature_celsius", (), 90.0 if second == 550 else 50.0))
    line = {"expr": "gpu_temperature_celsius", "peak": "max_over_time(gpu_temperature_celsius[$window])"}
    board = _board(house, {"id": "t", "lines": [line]})
    highest = {}
    for step_ms in (30_000, 60_000, 600_000):
        [series] = board.history("overview", Window.fitting(T0, T0 + 1_200_000, step_ms))["panels"]["t"]["series"]
        highest[step_ms] = (series["peak"], np.nanmax(series["values"]))
    assert highest == {30_000: (False, 50.0), 60_000: (True, 90.0), 600_000: (True, 90.0)}
    assert board.now("overview", T0 + 560_000, 30_000) == {"t": {"value": 50.0}}


def test_a_query_that_fails_leaves_the_other_panels_alone(house: House) -> None:
    ups = [Sample("up", make_labels(job=job), 1.0) for job in ("a", "b")]
    _store(house, T0, *ups, Sample("load1", (), 2.0))
    broken = {"id": "broken", "lines": [{"expr": "up + on () up"}]}
    board = _board(house, broken, {"id": "fine", "lines": [{"expr": "load1"}]})
    assert board.now("overview", T0, 30_000) == {"broken": {}, "fine": {"value": 2.0}}
    panels = board.history("overview", Window.fitting(T0 - 60_000, T0, 1000))["panels"]
    assert panels["broken"]["error"]
    assert panels["fine"]["series"][0]["values"][-1] == 2.0


def test_a_query_that_takes_too_long_leaves_the_other_panels_alone(house: House) -> None:
    class Slow:
        """The store, in which one series takes too long to read."""

        def stream(self, matchers: Any, hints: Hints) -> Iterable[Series]:
            if any(matcher.value == "slow" for matcher in matchers):
                raise QueryError("the query took too long", "timeout")
            return house.services.store.stream(matchers, hints)

    _store(house, T0, Sample("good", make_labels(), 1.0))
    panels = [
        Panel.model_validate({"id": name, "page": "overview", "title": "T", "lines": [{"expr": name}]})
        for name in ("good", "slow")
    ]
    board = Board(Engine(Slow()), panels)
    assert board.now("overview", T0, 30_000) == {"good": {"value": 1.0}, "slow": {}}
    found = board.history("overview", Window(T0, T0, 1000))["panels"]
    assert len(found["good"]["series"]) == 1
    assert found["slow"] == {"series": [], "error": "the query took too long"}


def test_the_same_query_is_asked_once_per_tick() -> None:
    asked = []

    class Source:
        def stream(self, matchers: Any, hints: Hints) -> Iterable[Series]:
            asked.append(hints.end_ms)
            return [Series((("__name__", "load1"),), np.array([T0]), np.array([1.0]))]

    lines = [{"expr": "load1"}]
    panels = [
        Panel.model_validate({"id": name, "page": "overview", "title": "T", "lines": lines}) for name in ("a", "b")
    ]
    Board(Engine(Source()), panels).now("overview", T0, 30_000)
    assert len(asked) == 1


def test_gpu_cards_gather_their_fields_by_gpu(house: House) -> None:
    labels = make_labels(gpu=0, name="NVIDIA L4", simulated="true")
    _store(house, T0, Sample("gpu_utilization_ratio", labels, 0.61), Sample("gpu_temperature_celsius", labels, 71.0))
    card = _board(house).now("overview", T0, 30_000)["gpus"]["0"]
    assert card == {"load": 0.61, "temperature": 71.0, "name": "NVIDIA L4", "simulated": "true"}


def test_a_tile_knows_the_worst_threshold_it_has_reached() -> None:
    [panel] = [panel for panel in load_panels() if panel.id == "tile_disk"]
    assert [panel.level(value) for value in (None, 0.5, 0.85, 0.99)] == [None, None, "warning", "critical"]


@given(st.integers(0, 10**12), st.integers(1, 40 * 86_400_000), st.integers(1, 86_400_000))
def test_a_history_never_has_more_points_than_allowed(start: int, span: int, step: int) -> None:
    window = Window.fitting(start, start + span, step)
    assert 1 <= window.points <= MAX_POINTS
    assert window.step_ms >= min(step, 1000)
    assert (
        window.step_ms % (3_600_000 if window.step_ms >= 3_600_000 else 60_000 if window.step_ms >= 60_000 else 1) == 0
    )
    assert window.start_ms % window.step_ms == 0


def test_values_are_sent_with_five_digits_and_without_what_json_cannot_carry() -> None:
    values = rounded(np.array([1234567.0, 0.000123456789, 0.0, -2.5, np.nan, np.inf]))
    assert values[:4].tolist() == [1234600.0, 0.00012346, 0.0, -2.5]
    assert np.isnan(values[4:]).all()
