"""From a line to the alert: the stock rules over the series of a matcher."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alerts.engine import AlertEngine
from alerts.rule import load_stock
from alerts.state import Alert
from collectors.sample import Tick
from config_target import LogTarget
from promql import Engine
from storage.engine import Database, open_database
from storage.series import SeriesStore
from targets.logfile.entry import Entry
from targets.logfile.matching import Matcher

START_MS = 1_795_000_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "wakeless.db")
    yield opened
    opened.dispose()


def alerts_of(database: Database, line: str, **settings: Any) -> list[Alert]:
    """What fires once this line has been read."""
    matcher = Matcher("comfy", "x.log", LogTarget.model_validate({"path": "/x.log", **settings}))
    store = SeriesStore(database)
    store.load()
    groups = [group for group in load_stock() if group.name == "wakeless-targets"]
    engine = AlertEngine(database, Engine(store), groups)
    store.append([Tick("logs", START_MS, tuple(matcher.samples(START_MS)))])
    engine.evaluate(START_MS)
    matcher.feed([Entry(line, START_MS + 1000, 1, len(line) + 1)], START_MS + 1000)
    store.append([Tick("logs", START_MS + 5000, tuple(matcher.samples(START_MS + 5000)))])
    engine.evaluate(START_MS + 5000)
    return [alert for alert in engine.current() if alert.state == "firing"]


@pytest.mark.parametrize(
    ("level", "rule", "severity"),
    [(1, "LogPatternNoted", "info"), (2, "LogPattern", "warning"), (3, "LogPatternUrgent", "critical")],
)
def test_the_level_of_the_pattern_is_the_alerts(database: Database, level: int, rule: str, severity: str) -> None:
    (alert,) = alerts_of(database, "boom", patterns=[{"match": "boom", "level": level}])
    assert (alert.rule, alert.level, alert.labels["severity"]) == (rule, level, severity)
    assert alert.text("action", "en") == "The Logs page shows the lines."


def test_a_pattern_of_level_0_alerts_nobody(database: Database) -> None:
    metric = {"name": "booms_total"}
    assert alerts_of(database, "boom", patterns=[{"match": "boom", "level": 0, "metric": metric}]) == []


def test_the_alert_tells_the_masked_line_and_the_profiles_advice_in_both_languages(database: Database) -> None:
    (alert,) = alerts_of(database, "CUDA out of memory in /srv/comfy/x.py for ada@example.com", profile="comfyui")
    assert alert.text("summary", "en") == "comfy: Out of memory"
    assert alert.text("description", "en") == "Its log says: CUDA out of memory in [path] for [email]"
    assert alert.text("action", "en").startswith("Free video memory")
    assert alert.text("description", "zh") == "其日志中出现：CUDA out of memory in [path] for [email]"
    assert alert.text("action", "zh").startswith("释放显存")


def test_any_text_may_be_a_patterns_name(database: Database) -> None:
    name = 'a "quoted" {name} \\ with `ticks` and 中文'
    (alert,) = alerts_of(database, f"x {name} y", patterns=[{"match": name, "advice": 'Do "this".'}])
    assert alert.text("description", "en") == f"Its log says: x {name} y"
    assert alert.text("action", "en") == 'Do "this". The Logs page shows the lines.'
