"""Notices tell what, since when and what to do, in the reader's language, and leak nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine as Database

from alerts.delivery.notice import Notices, compose
from alerts.delivery.outbox import Outbox
from alerts.delivery.privacy import deidentify
from alerts.state import Alert, AlertEvent
from tests.alerts.world import START_MS
from timeword import span

ALERT = Alert(
    id=7,
    fingerprint="0" * 16,
    rule="DiskAlmostFull",
    group="host",
    state="firing",
    severity="warning",
    level=2,
    labels={"alertname": "DiskAlmostFull"},
    annotations={
        "summary": "Disk /srv/models is 91% full",
        "description": "See 10.1.2.3 for more.",
        "action": "Delete old logs.",
        "summary_zh": "磁盘使用率 91%",
        "action_zh": "清理旧日志。",
    },
    value=0.9123456,
    active_ms=START_MS,
    firing_ms=START_MS + 300_000,
    resolved_ms=None,
    seen_ms=START_MS + 300_000,
)
FIRED = AlertEvent("fired", ALERT, START_MS + 300_000)
RESOLVED = AlertEvent(
    "resolved", replace(ALERT, state="resolved", resolved_ms=START_MS + 7_800_000), START_MS + 7_800_000
)


def test_a_firing_notice_tells_service_time_since_when_value_and_action() -> None:
    title, body = compose(FIRED, "photo-service", zone=UTC)
    assert title == "[FIRING] Disk [path] is 91% full"
    assert body.splitlines() == [
        "See [address] for more.",
        "Service: photo-service",
        "Time: 2023-11-14 22:18:20 +0000",
        "Since: 2023-11-14 22:13:20 +0000",
        "Value: 0.9123",
        "Severity: warning",
        "What to do: Delete old logs.",
    ]


def test_a_resolved_notice_tells_how_long_it_lasted() -> None:
    title, body = compose(RESOLVED, "photo-service", zone=UTC)
    assert title.startswith("[RESOLVED] ")
    assert "It was firing for 2 h 5 min." in body
    assert "What to do" not in body


def test_an_acknowledgement_tells_who_and_why() -> None:
    alert = replace(ALERT, state="acknowledged", ack_by="ada", ack_reason="making room", ack_ms=START_MS + 400_000)
    title, body = compose(AlertEvent("acknowledged", alert, START_MS + 400_000), "photo-service", zone=UTC)
    assert title.startswith("[ACKNOWLEDGED] ")
    assert "Acknowledged by ada: making room" in body


def test_it_speaks_chinese_and_falls_back_to_what_the_rule_has() -> None:
    title, body = compose(FIRED, "照片修复", "zh", timezone(timedelta(hours=8)))
    assert title == "[告警] 磁盘使用率 91%"
    assert "服务：照片修复" in body
    assert "时间：2023-11-15 06:18:20 +0800" in body
    assert "建议处理：清理旧日志。" in body
    assert "See [address] for more." in body
    assert "告警持续了 2 小时 5 分钟。" in compose(RESOLVED, "x", "zh")[1]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45.4, "45 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (7530, "2 h 5 min"),
        (86400 * 3 + 4 * 3600, "3 d 4 h"),
        (-5, "0 s"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_a_notice_is_enqueued_once_for_each_channel_however_often_it_is_written(database: Database) -> None:
    outbox = Outbox(database)
    notices = Notices(outbox, ["json-aaa", "slack-bbb"], service="s", zone=UTC)
    for event in (FIRED, FIRED, RESOLVED):
        with database.begin() as connection:
            notices.write(connection, event)
    assert [(entry.channel, entry.kind) for entry in reversed(outbox.recent())] == [
        ("json-aaa", "warning"),
        ("slack-bbb", "warning"),
        ("json-aaa", "success"),
        ("slack-bbb", "success"),
    ]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("at /home/ada/models/v2.pt line 3", "at [path] line 3"),
        ("磁盘 /data 使用率", "磁盘 [path] 使用率"),
        ('open("/etc/passwd")', 'open("[path]")'),
        ("path=/srv/x, next", "path=[path], next"),
        ("vol:/data/x", "vol:[path]"),
        ("~/.ssh/id_rsa", "[path]"),
        ("file:///home/ada/x", "[path]"),
        (r"C:\Users\ada\model.pt failed", "[path] failed"),
        (r"\\nas\share\x", "[path]"),
        ("10.0.0.12:8000 refused", "[address]:8000 refused"),
        ("from 192.168.1.7, 172.16.0.1 and 127.0.0.1", "from [address], [address] and [address]"),
        ("fe80::1 and ::1", "[address] and [address]"),
        ("db.prod.internal is gone", "[host] is gone"),
        # what says nothing about the inside stays
        ("/health/ready answers 503; see /metrics", "/health/ready answers 503; see /metrics"),
        ("https://example.com/runbooks/disk", "https://example.com/runbooks/disk"),
        ("8.8.8.8 and 2606:4700::1111", "8.8.8.8 and 2606:4700::1111"),
        ("12 GB/s and/or 10:30:05 at 1.5 / 2", "12 GB/s and/or 10:30:05 at 1.5 / 2"),
        ("version 2.13.0", "version 2.13.0"),
        ("/", "/"),
    ],
)
def test_paths_and_internal_addresses_are_masked(text: str, masked: str) -> None:
    assert deidentify(text) == masked


@given(st.text())
def test_masking_never_crashes_and_is_done_after_one_pass(text: str) -> None:
    once = deidentify(text)
    assert deidentify(once) == once


@given(st.lists(st.from_regex(r"[a-z0-9_.]{1,8}", fullmatch=True), min_size=2, max_size=5))
def test_no_absolute_path_survives(parts: list[str]) -> None:
    path = "/" + "/".join(["srv", *parts])
    assert path not in deidentify(f"cannot read {path} today")


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=6, network="fd00::/8"))
def test_no_private_address_survives(address: object) -> None:
    assert str(address) not in deidentify(f"no route to {address} today")
