"""Notices tell what, since when and what to do, in the reader's language, within the limits, and leak nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.delivery.compose import Measure
from alerts.delivery.family import DINGTALK, DISCORD, FEISHU, MAIL, PLAIN, SLACK, SMS, TELEGRAM, WECOM, Family
from alerts.delivery.layout import clip
from alerts.delivery.message import Action, Fact, Message, MessageKind
from alerts.delivery.wording import Language, lasting
from storage.error import StorageError
from tests.alerts.delivery.story import DOWN, HOT, NOW_MS, PAGE, UP, composer, message

FAMILIES = (PLAIN, MAIL, TELEGRAM, SLACK, DISCORD, DINGTALK, FEISHU, WECOM, SMS)


def body(*facts: Fact, kind: MessageKind = "alerts", note: str = "", language: Language = "en") -> str:
    return composer().compose(message(*facts, kind=kind, note=note), language, now_ms=NOW_MS).body


def test_one_alert_tells_all_that_a_person_needs() -> None:
    letter = composer().compose(message(HOT), "en", now_ms=NOW_MS)
    assert letter.title == "[FIRING] GPU 0: 93.1% of its memory in use"
    assert letter.tone == "warning"
    assert letter.body.splitlines() == [
        "Read [path] or ask [address]; <b>a & b<[path]>.",
        "It has been so since 19:07:20 (5 minutes): 0.931 now, the threshold is > 0.9.",
        "What to do: See with *nvidia-smi* who holds_the memory.",
        "Severity: warning",
        "Service: photo-service",
        "Time: 2026-02-28 19:12:20 +0000",
        "Runbook: https://example.com/runbooks/vram",
        f"Open: {PAGE}/alerts",
        f"Acknowledge: {PAGE}/ack/7",
    ]


def test_a_link_that_the_database_does_not_take_holds_up_no_notice() -> None:
    def refuse(ids: Sequence[int], now_ms: int) -> str:
        raise StorageError("the database is busy", permanent=False)

    letter = composer(ack_link=refuse).compose(message(HOT), "en", now_ms=NOW_MS)
    assert letter.body.splitlines()[-1] == f"Open: {PAGE}/alerts"


def test_the_same_in_chinese_in_the_readers_own_time() -> None:
    speaking = composer(zone=timezone(timedelta(hours=8)))
    letter = speaking.compose(message(HOT), "zh", now_ms=NOW_MS)
    assert letter.title == "[告警] GPU 0 显存使用率 93.1%"
    assert "自 03:07:20 起（已 5 分钟）：当前值 0.931，阈值 > 0.9。" in letter.body
    assert "级别：警告" in letter.body
    assert "建议处理：用 nvidia-smi 查看是谁占用了显存。" in letter.body
    assert "时间：2026-03-01 03:12:20 +0800" in letter.body
    assert f"确认告警：{PAGE}/ack/7" in letter.body


def test_what_is_down_is_told_as_down_and_up_with_how_long() -> None:
    down, up = (composer().compose(message(fact), "en", now_ms=NOW_MS) for fact in (DOWN, UP))
    assert (down.title, down.tone) == ("[DOWN] photo cannot serve its model", "failure")
    assert "It has been down since 17:07:20 (2 hours 5 minutes)." in down.body
    assert (up.title, up.tone) == ("[UP] photo cannot serve its model", "success")
    assert "It was down for 2 hours 5 minutes, from 17:07:20 to 19:12:20." in up.body
    assert "Acknowledge" not in up.body
    assert "中断 2 小时 5 分钟，从 17:07:20 到 19:12:20。" in body(UP, language="zh")


def test_a_resolved_alert_tells_how_long_it_fired_and_why_it_ended() -> None:
    over = replace(HOT, firing=False, firing_ms=NOW_MS - 90_000, resolved_ms=NOW_MS)
    assert "It was firing for 1 minute 30 seconds, from 19:10:50 to 19:12:20." in body(over)
    assert "its data ended" in body(replace(over, ended_by="no_data"))
    assert "因规则被删除而结束。" in body(replace(over, ended_by="rule_removed"), language="zh")
    assert "What to do" not in body(over)


def test_another_day_is_told_with_its_date() -> None:
    assert "since 2026-02-26 19:12:20 (2 days)" in body(replace(HOT, active_ms=NOW_MS - 2 * 86_400_000))


def test_what_was_done_by_itself_and_whether_it_helped() -> None:
    def told(action: Action, language: Language = "en") -> str:
        return body(replace(HOT, actions=(action,)), language=language)

    reload = Action("reload_model", "done", NOW_MS - 1000)
    assert "The model was reloaded by itself (19:12:19). Whether it helps is not known yet." in told(reload)
    assert "It helped." in told(replace(reload, helped=True))
    assert "It did not help." in told(replace(reload, helped=False))
    failed = Action("rollback", "failed", NOW_MS, "there is no earlier version in /srv/models")
    assert "could not be put back by itself (19:12:20): there is no earlier version in [path]." in told(failed)
    assert "已自动重新加载模型 (19:12:19)。已见效。" in told(replace(reload, helped=True), "zh")
    assert "未自动重启进程" in told(Action("restart_process", "skipped", NOW_MS), "zh")


def test_flapping_and_missing_data_are_said() -> None:
    assert "It fired 5 times in 30 minutes; you are told once until it is quiet." in body(replace(HOT, flaps=5))
    assert "fired" not in body(replace(HOT, flaps=3))
    gone = replace(HOT, no_data_ms=NOW_MS - 60_000)
    letter = composer().compose(message(gone), "en", now_ms=NOW_MS)
    assert letter.title.startswith("[NO DATA]")
    assert "There have been no data about it since 19:11:20." in letter.body
    assert "0.931" not in letter.body


def test_who_acknowledged_and_why() -> None:
    taken = replace(HOT, ack_by="ada", ack_reason="making room in /srv")
    letter = composer().compose(message(taken, kind="acknowledged"), "en", now_ms=NOW_MS)
    assert letter.title.startswith("[ACKNOWLEDGED]")
    assert "Acknowledged by ada: making room in [path]" in letter.body
    assert "/ack/" not in letter.body


def test_an_escalation_a_summary_and_a_test_say_what_they_are() -> None:
    up = composer().compose(message(HOT, kind="escalation", note="Second step of 3."), "en", now_ms=NOW_MS)
    assert up.title.startswith("[ESCALATION] GPU 0")
    assert up.body.startswith("Nobody has acknowledged it yet.\nSecond step of 3.")
    late = composer().compose(message(HOT, UP, kind="summary", note="It stands for 12 notices."), "en", now_ms=NOW_MS)
    assert late.title == "[CATCH-UP] 1 alert, 1 resolved: GPUMemoryHigh"
    assert "It stands for 12 notices." in late.body
    trial = composer().compose(message(kind="test"), "zh", now_ms=NOW_MS)
    assert (trial.title, trial.tone) == ("[测试] Wakeless 可以发到这里", "info")
    assert "photo-service" in trial.body


def test_a_notice_that_had_its_words_already_keeps_them() -> None:
    worded = Message("summary", "ward", "text:7-fired", {}, (), NOW_MS, "[FIRING] It is bad\nSince: today\nin /srv/x")
    letter = composer().compose(worded, "en", now_ms=NOW_MS)
    assert (letter.title, letter.body) == ("[FIRING] It is bad", "Since: today\nin [path]")


def test_many_alerts_are_grouped_by_rule_the_most_urgent_first() -> None:
    second = replace(HOT, id=8, annotations={**HOT.annotations, "summary": "GPU 1: 95% of its memory in use"})
    letter = composer().compose(message(HOT, second, DOWN, replace(UP, id=3)), "en", now_ms=NOW_MS)
    assert letter.title == "[FIRING] 3 alerts, 1 resolved: ServerDown, GPUMemoryHigh"
    assert letter.body.splitlines()[:8] == [
        "ServerDown · critical",
        "• photo cannot serve its model (since 17:07:20)",
        "GPUMemoryHigh (2) · warning",
        "• GPU 0: 93.1% of its memory in use (since 19:07:20, now 0.931)",
        "• GPU 1: 95% of its memory in use (since 19:07:20, now 0.931)",
        "What to do: See with *nvidia-smi* who holds_the memory.",
        "Resolved",
        "• photo cannot serve its model (after 2 hours 4 minutes)",
    ]
    assert f"Acknowledge: {PAGE}/ack/7-8-9" in letter.body


def test_an_acknowledged_alert_is_not_offered_again() -> None:
    assert "/ack/" not in body(replace(HOT, ack_by="ada", ack_reason="x"))
    assert f"{PAGE}/ack/9" in body(replace(HOT, ack_by="ada", ack_reason="x"), DOWN)


def test_an_alert_without_words_is_told_by_its_labels() -> None:
    bare = replace(HOT, annotations={})
    assert composer().compose(message(bare), "en", now_ms=NOW_MS).title == "[FIRING] GPUMemoryHigh (gpu=0)"


def test_an_alert_without_a_severity_is_told_by_its_level() -> None:
    graded = replace(HOT, severity="none", level=3)
    assert "Severity: level 3" in body(graded)
    assert "级别：3 级" in composer().compose(message(graded), "zh", now_ms=NOW_MS).body


def test_links_of_our_own_are_kept_and_internal_ones_are_not() -> None:
    inside = replace(HOT, annotations={**HOT.annotations, "runbook_url": "http://wiki.corp/vram"})
    assert "Runbook" not in body(inside)
    ours = composer(public_url="http://10.0.0.5:8000", ack_link=lambda ids, now_ms: "http://10.0.0.5:8000/ack/T")
    letter = ours.compose(message(HOT), "en", now_ms=NOW_MS)
    assert "http://10.0.0.5:8000/alerts" in letter.body
    assert "http://10.0.0.5:8000/ack/T" in letter.body
    nowhere = composer(public_url=None, ack_link=lambda ids, now_ms: None).compose(message(HOT), "en", now_ms=NOW_MS)
    assert "Open" not in nowhere.body


def test_a_text_message_says_the_most_important_and_fits_into_one() -> None:
    english = composer().compose(message(HOT), "en", SMS, now_ms=NOW_MS).body
    assert english.startswith("[FIRING] GPU 0: 93.1% of its memory in use")
    assert english.endswith("/ack/7")
    assert len(english) <= 160
    chinese = composer().compose(message(HOT), "zh", SMS, now_ms=NOW_MS).body
    assert chinese.startswith("[告警] GPU 0 显存使用率 93.1%")
    assert len(chinese) <= 70
    wordy = replace(HOT, annotations={"summary": "word " * 100})
    assert composer().compose(message(wordy), "en", SMS, now_ms=NOW_MS).body.endswith("word...")


def test_markup_in_words_stays_words() -> None:
    html = composer().compose(message(HOT), "en", MAIL, now_ms=NOW_MS).body
    assert "&lt;b&gt;a &amp; b" in html
    discord = composer().compose(message(HOT), "en", DISCORD, now_ms=NOW_MS).body
    assert r"\*nvidia-smi\* who holds_the memory" in discord


class Balanced(HTMLParser):
    """Counts what is open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=300)


@given(
    st.lists(st.tuples(WORDS, WORDS, st.booleans()), min_size=1, max_size=30),
    st.sampled_from(FAMILIES),
    st.sampled_from(["en", "zh"]),
    st.integers(1, 30),
)
def test_whatever_is_told_fits_and_no_tag_is_cut(
    alerts: list[tuple[str, str, bool]], family: Family, language: Language, rules: int
) -> None:
    facts = [
        replace(
            HOT if firing else UP,
            id=place + 1,
            rule=f"R{place % rules}",
            annotations={"summary": one, "description": two},
        )
        for place, (one, two, firing) in enumerate(alerts)
    ]
    letter = composer().compose(message(*facts), language, family, now_ms=NOW_MS)
    assert family.fits(f"{letter.title}{family.newline}{letter.body}" if letter.title else letter.body)
    if family.markup == "html":
        assert Balanced(letter.body).open == []


@given(st.text(max_size=80), st.integers(3, 60))
def test_a_text_is_cut_between_words_only(text: str, limit: int) -> None:
    cut = clip(text, limit)
    assert len(cut) <= max(limit, 1)
    if cut != text:
        kept = cut.removesuffix("…").rstrip()
        assert text.startswith(kept)
        rest = text[len(kept) :]
        assert not (kept and kept[-1].isascii() and kept[-1].isalnum() and rest[0].isascii() and rest[0].isalnum())


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0, "0 seconds", "0 秒"),
        (1, "1 second", "1 秒"),
        (90, "1 minute 30 seconds", "1 分钟 30 秒"),
        (7500, "2 hours 5 minutes", "2 小时 5 分钟"),
        (86_400 * 3 + 3600, "3 days 1 hour", "3 天 1 小时"),
    ],
)
def test_a_length_of_time_in_whole_words(seconds: float, english: str, chinese: str) -> None:
    assert (lasting(seconds, "en"), lasting(seconds, "zh")) == (english, chinese)


def test_a_value_is_shown_in_its_unit_and_left_out_where_there_is_none() -> None:
    percent = composer(measure_of=lambda fact: Measure(">=", 0.9, lambda value: f"{value:.1%}"))
    assert "93.1% now, the threshold is >= 90.0%" in percent.compose(message(HOT), "en", now_ms=NOW_MS).body
    unknown = composer(measure_of=lambda fact: None)
    assert "(5 minutes): 0.931 now." in unknown.compose(message(HOT), "en", now_ms=NOW_MS).body
    assert "(5 minutes).\n" in unknown.compose(message(replace(HOT, value=None)), "en", now_ms=NOW_MS).body


def test_the_composer_is_in_utc_where_it_is_told_so() -> None:
    assert "+0000" in composer(zone=UTC).compose(message(HOT), "en", now_ms=NOW_MS).body
