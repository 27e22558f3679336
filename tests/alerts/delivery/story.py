"""Messages to tell, and the channels that tell them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Any

from pydantic import SecretStr

from alerts.delivery.channel import AppriseChannel, Voice
from alerts.delivery.compose import Composer, Measure
from alerts.delivery.message import Fact, Message, MessageKind
from alerts.delivery.spec import ChannelSpec

#: 2026-02-28 19:12:20 UTC
NOW_MS = 1_772_305_940_000
PAGE = "https://watch.example.com"

HOT = Fact(
    id=7,
    fingerprint="00000000000000aa",
    rule="GPUMemoryHigh",
    firing=True,
    severity="warning",
    level=2,
    labels={"alertname": "GPUMemoryHigh", "gpu": "0", "severity": "warning"},
    annotations={
        "summary": "GPU 0: 93.1% of its memory in use",
        "description": "Read /srv/models/card.pt or ask 10.1.2.3; <b>a & b</b>.",
        "action": "See with *nvidia-smi* who holds_the memory.",
        "summary_zh": "GPU 0 显存使用率 93.1%",
        "action_zh": "用 nvidia-smi 查看是谁占用了显存。",
        "runbook_url": "https://example.com/runbooks/vram",
        "wakeless_secret_note": "never shown",
    },
    value=0.931,
    active_ms=NOW_MS - 300_000,
    firing_ms=NOW_MS,
    resolved_ms=None,
)
DOWN = replace(
    HOT,
    id=9,
    fingerprint="00000000000000bb",
    rule="ServerDown",
    severity="critical",
    level=3,
    labels={"alertname": "ServerDown", "job": "photo", "severity": "critical"},
    annotations={"summary": "photo cannot serve its model", "summary_zh": "photo 模型服务不可用"},
    value=0.0,
    active_ms=NOW_MS - 7_500_000,
    firing_ms=NOW_MS - 7_440_000,
)
UP = replace(DOWN, firing=False, resolved_ms=NOW_MS)


def message(*facts: Fact, kind: MessageKind = "alerts", note: str = "") -> Message:
    """What there is to tell of these alerts."""
    return Message(kind, "on-call", '{}:{alertname="x"}', {"alertname": "x"}, facts, NOW_MS, note)


def composer(**options: Any) -> Composer:
    """The words of a server called photo-service, in UTC, whose page people reach."""
    usual: dict[str, Any] = {
        "zone": UTC,
        "public_url": PAGE,
        "ack_link": lambda ids, now_ms: f"{PAGE}/ack/{'-'.join(map(str, ids))}",
        "measure_of": lambda fact: Measure(">", 0.9) if fact.rule == "GPUMemoryHigh" else None,
        "flap_count": 4,
    }
    return Composer("photo-service", **{**usual, **options})


def channel(url: str, drawing: bytes | None = None, **options: Any) -> AppriseChannel:
    """A channel to a URL, called *ward*."""
    spec = ChannelSpec("ward", "apprise", SecretStr(url), **options)
    return AppriseChannel(spec, Voice(composer(), picture_of=lambda message, now_ms: drawing))
