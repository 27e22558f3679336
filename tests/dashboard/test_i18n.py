"""Everything a person reads on the page exists in Chinese."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dashboard.access import safe_next
from dashboard.board import _FIELD
from dashboard.event import ACTIONS
from dashboard.explore import EXAMPLES, UNITS, described
from dashboard.i18n import TABLES, say_duration, say_reason, translate
from dashboard.panels import load_panels, profile_files
from dashboard.problem import TITLES
from storage.problem import WORDS
from tests.dashboard.words import spoken

ROOT = Path(__file__).resolve().parents[2]
TABLE = json.loads((TABLES / "zh.json").read_text(encoding="utf-8"))

_STRING = r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_TEMPLATE = re.compile(r"\b_\(\s*" + _STRING)
_SCRIPT = re.compile(r"(?<![\w.])t\(\s*" + _STRING)
_PYTHON = re.compile(r"(?<![\w.])(?:_|translate)\(\s*" + _STRING)
#: Texts that reach ``_`` or ``t`` through a variable.
_INDIRECT = {
    "Overview", "Model", "Alerts", "Explore", "Storage", "READY", "WATCHING", "LOADING", "DEGRADED", "SAFE MODE",
    "DOWN",
    "As the system", "Light", "Dark", "Loading", "Ready", "Reloading", "Failed", "Draining", "Stopped",
    "OK", "PENDING", "FIRING", "ERROR", "NOT YET", "Alive", "Started", "Ready for traffic", "API", "GPU",
    "viewer", "operator", "admin", "5 m", "15 m", "1 h", "6 h", "24 h", "7 d", "30 d",
    "Circuit breaker", "Queue", "In flight", "Open streams", "Batches take", "Brown-out", "Cache", "Device",
    "Batch size", "Last load took",
    "a batch", "a health check", "a step of a stream", "the end of a stream", "closed: requests pass",
    "half open: a few requests are let through to see", "open: the model is not asked", "class", "input", "output",
    "id_card", "driving_licence", "passport", "bank_card", "none",
    "metric", "function", "aggregation", "keyword", "label", "value", "duration", "gauge", "counter", "histogram",
    "ok", "cached", "fallback", "bad_input", "canceled", "rejected", "timeout", "oom", "error",
}  # fmt: skip


def _texts(pattern: re.Pattern[str], *files: Path) -> set[str]:
    found = set()
    for file in files:
        for match in pattern.finditer(file.read_text(encoding="utf-8")):
            found.add(match[1][1:-1].replace('\\"', '"').replace("\\'", "'"))
    return found


def _panel_texts() -> set[str]:
    texts = set()
    for panel in load_panels(profile_files(["vllm", "triton", "dcgm", "node"])):
        texts |= {panel.title, panel.subtitle, panel.group}
        for line in panel.lines:
            words = re.split(r"[\[\]]", _FIELD.sub("\0", line.legend))
            texts |= {re.sub(r"^\W+|\W+$", "", part) for word in words for part in word.split("\0")}
    return texts - {""}


def _wanted() -> set[str]:
    templates = _texts(_TEMPLATE, *sorted((ROOT / "templates").glob("*.html")))
    scripts = _texts(_SCRIPT, *sorted((ROOT / "static" / "js").rglob("*.js")))
    python = _texts(_PYTHON, *sorted((ROOT / "dashboard").glob("*.py")))
    explore = {word.help for word in described()} | {example.title for example in EXAMPLES} | set(UNITS.values())
    explore |= {text for words in WORDS.values() for text in words}
    titles = set(TITLES.values()) | set(ACTIONS.values())
    return templates | scripts | python | _panel_texts() | explore | titles | _INDIRECT | spoken()


def test_every_text_of_the_page_has_chinese() -> None:
    assert sorted(_wanted() - set(TABLE)) == []


def test_placeholders_are_the_same_in_both_languages() -> None:
    wrong = [
        text
        for text, said in TABLE.items()
        if sorted(re.findall(r"\{\w+\}", text)) != sorted(re.findall(r"\{\w+\}", said))
    ]
    assert wrong == []


def test_a_text_without_translation_stays_english() -> None:
    assert translate("There is no such message {x}", "zh", x=1) == "There is no such message 1"


def test_the_rooms_words_are_found_with_their_values_left_open() -> None:
    found = spoken()
    assert {"exited with code {0}", "breaker_open", "{0} of {1} requests failed", "warming up"} <= found
    assert {"restart asked for by {0}", "no sign of life for {0} s", "the model kept crashing the server"} <= found
    assert not any("skipped" in text for text in found), "what is logged is no text of the page"


@pytest.mark.parametrize(
    ("said", "english", "chinese"),
    [
        ("load_failed: no_such_module shop", "load failed: no such module shop", "加载失败：没有模块 shop"),
        (
            "breaker_open: 62% of 50 requests failed",
            "breaker open: 62% of 50 requests failed",
            "熔断器断开：50 个请求中失败 62%",
        ),
        (
            "hang: a batch of 3 running for 12s",
            "hang: a batch of 3 running for 12s",
            "卡死：含 3 个输入的批次已运行 12 秒",
        ),
        (
            "reload_failed: golden_failed: pair 1 of 2",
            "reload failed: golden failed: pair 1 of 2",
            "重新加载失败：基准输入未通过：第 1 对，共 2 对",
        ),
        (
            "rolled back by ada from version 2 to 1",
            "rolled back by ada from version 2 to 1",
            "由 ada 从版本 2 回退到 1",
        ),
        (
            "safe_mode: the model kept crashing the server",
            "safe mode: the model kept crashing the server",
            "安全模式：模型反复使服务崩溃",
        ),
        ("no class cat any more", "no class cat any more", "不再有类别 cat"),
        ("segfault", "segfault", "段错误"),
        ("Whatever a plug-in says: 1", "Whatever a plug-in says: 1", "Whatever a plug-in says: 1"),
        ("", "", ""),
    ],
)
def test_what_rooms_say_is_said_in_the_readers_language(said: str, english: str, chinese: str) -> None:
    assert say_reason(said, "en") == english
    assert say_reason(said, "zh") == chinese


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [(0, "1 s", "1 秒"), (61, "1 min 1 s", "1 分钟 1 秒"), (273_600, "3 d 4 h", "3 天 4 小时")],
)
def test_durations_are_said_in_the_two_largest_parts(seconds: float, english: str, chinese: str) -> None:
    assert say_duration(seconds, "en").replace("\u202f", " ") == english
    assert say_duration(seconds, "zh").replace("\u202f", " ") == chinese


def test_the_stock_rules_speak_chinese() -> None:
    import yaml

    groups = yaml.safe_load((ROOT / "alerts" / "stock.yml").read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    silent = [rule["alert"] for rule in rules if not rule["annotations"].get("summary_zh")]
    assert rules
    assert silent == []


def test_changing_the_language_never_leads_to_another_site() -> None:
    assert safe_next("//example.org") == "/"
