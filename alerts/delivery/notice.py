"""What people read when an alert fires, resolves or is acknowledged: in English or Chinese, de-identified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Literal, NamedTuple, TypeAlias

from sqlalchemy import Connection

from alerts.delivery.outbox import Notice, NoticeKind, Outbox
from alerts.delivery.privacy import deidentify
from alerts.humanize import general
from alerts.state import Alert, AlertEvent, EventKind
from timeword import CHINESE, ENGLISH, Units, local_moment, span

Language: TypeAlias = Literal["en", "zh"]


class _Wording(NamedTuple):
    tags: Mapping[EventKind, str]
    service: str
    time: str
    since: str
    value: str
    level: str
    action: str
    acknowledged: str
    lasted: str
    units: Units
    colon: str


_WORDINGS: Mapping[Language, _Wording] = {
    "en": _Wording(
        tags={"fired": "[FIRING]", "resolved": "[RESOLVED]", "acknowledged": "[ACKNOWLEDGED]"},
        service="Service",
        time="Time",
        since="Since",
        value="Value",
        level="Severity",
        action="What to do",
        acknowledged="Acknowledged by {by}: {reason}",
        lasted="It was firing for {span}.",
        units=ENGLISH,
        colon=": ",
    ),
    "zh": _Wording(
        tags={"fired": "[告警]", "resolved": "[恢复]", "acknowledged": "[已确认]"},
        service="服务",
        time="时间",
        since="开始于",
        value="当前值",
        level="级别",
        action="建议处理",
        acknowledged="{by} 已确认：{reason}",
        lasted="告警持续了 {span}。",
        units=CHINESE,
        colon="：",
    ),
}


class Notices:
    """Writes one notice for each channel into the outbox whenever something happens to an alert.

    ``service`` is the name people know the server by; times are shown in ``zone`` (None: the machine's own).
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Sequence[str],
        *,
        service: str,
        language: Language = "en",
        zone: tzinfo | None = None,
    ) -> None:
        self._outbox = outbox
        self._channels = tuple(channels)
        self._service = service
        self._language: Language = language
        self._zone = zone

    def write(self, connection: Connection, event: AlertEvent) -> None:
        """Enqueue the event's notices through ``connection``; those that are there already stay as they are."""
        if not self._channels:
            return
        title, body = compose(event, self._service, self._language, self._zone)
        for channel in self._channels:
            key = f"{event.alert.id}-{event.kind}-{event.time_ms}-{channel}"
            self._outbox.enqueue_text(connection, Notice(key, channel, title, body, _kind(event)), event.time_ms)


def compose(event: AlertEvent, service: str, language: Language = "en", zone: tzinfo | None = None) -> tuple[str, str]:
    """The title and the text of a notice, de-identified."""
    words, alert = _WORDINGS[language], event.alert
    title = f"{words.tags[event.kind]} {alert.text('summary', language)}"
    facts = [(words.service, service), (words.time, local_moment(event.time_ms, zone))]
    lines = [alert.text("description", language)]
    if event.kind == "resolved":
        seconds = (event.time_ms - (alert.firing_ms or event.time_ms)) / 1000
        lines.append(words.lasted.format(span=span(seconds, words.units)))
    else:
        facts.append((words.since, local_moment(alert.active_ms, zone)))
        if alert.value is not None:
            facts.append((words.value, general(alert.value)))
        facts.append((words.level, alert.severity))
    if event.kind == "acknowledged":
        lines.append(words.acknowledged.format(by=alert.ack_by, reason=alert.ack_reason))
    if event.kind == "fired" and alert.text("action", language):
        facts.append((words.action, alert.text("action", language)))
    lines += [f"{name}{words.colon}{text}" for name, text in facts]
    body = "\n".join(line for line in lines if line)
    return deidentify(title), deidentify(body)


def _kind(event: AlertEvent) -> NoticeKind:
    """Apprise's kind, which colours the message where the service has colours."""
    if event.kind == "resolved":
        return "success"
    if event.kind == "acknowledged":
        return "info"
    return _urgency(event.alert)


def _urgency(alert: Alert) -> NoticeKind:
    return "failure" if alert.level == 3 else "warning" if alert.level == 2 else "info"
