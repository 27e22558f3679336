"""What happened in a window, as one list for the strip under the charts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from ledger import circumstances, without_lines

if TYPE_CHECKING:
    from alerts.state import Alert
    from dashboard.services import Services
    from storage.incident import Incident
    from storage.record import AuditEntry

Level = Literal["info", "warning", "critical"]

#: What people did, as a viewer may know it; logins and accounts are nobody's business but the admin's.
ACTIONS = {
    "alert.ack": "Alert acknowledged",
    "alert.action": "Carried out for an alert",
    "alert.unack": "Acknowledgement taken back",
    "incident.note": "Note on an incident",
    "maintenance.create": "Maintenance window made",
    "maintenance.change": "Maintenance window changed",
    "maintenance.delete": "Maintenance window deleted",
    "model.canary": "Canary asked for",
    "model.canary_share": "Canary's share set",
    "model.canary_end": "Canary's end asked for",
    "model.promote": "Canary's promotion asked for",
    "model.reload": "Model reload asked for",
    "model.switch": "Switch to another version asked for",
    "process.restart": "Process restart asked for",
    "process.rollback": "Roll back asked for",
    "silence.create": "Silence made",
    "silence.change": "Silence changed",
    "silence.expire": "Silence ended",
}


class Event(NamedTuple):
    """Something with a beginning and, unless it is a moment (equal times) or goes on (None), an end; in UTC ms."""

    time_ms: int
    end_ms: int | None
    kind: Literal["alert", "incident", "action"]
    level: Level
    title: str
    detail: str
    #: An alert's, for its words in the reader's language.
    annotations: dict[str, str] = {}  # noqa: RUF012 - never changed


def events_between(rooms: Services, start_ms: int, end_ms: int) -> list[Event]:
    """All events that touch the window, oldest first."""
    found = [_of_alert(alert) for alert in rooms.alerts.history(start_ms, end_ms) if alert.firing_ms is not None]
    incidents = rooms.incidents.between(start_ms, end_ms)
    found += [_of_incident(incident) for incident in incidents if incident.kind != "alert"]  # its alerts are there
    found += [_of_action(entry) for entry in rooms.audit.between(start_ms, end_ms) if entry.action in ACTIONS]
    return sorted(found, key=lambda event: event.time_ms)


def _of_alert(alert: Alert) -> Event:
    level: Level = "critical" if alert.level >= 3 else "warning" if alert.level == 2 else "info"
    start_ms, words = alert.firing_ms or alert.active_ms, dict(alert.annotations)
    return Event(start_ms, alert.resolved_ms, "alert", level, alert.rule, alert.summary, words)


def _of_incident(incident: Incident) -> Event:
    level: Level = "info" if incident.kind == "planned" else "critical"
    if incident.kind == "remedy":
        level = "info" if incident.detail.get("helped") else "warning"
    detail = "; ".join([incident.summary, *circumstances(without_lines(incident.detail))])
    return Event(incident.started_ms, incident.ended_ms, "incident", level, incident.cause, detail)


def _of_action(entry: AuditEntry) -> Event:
    reason = entry.detail.get("reason")
    detail = f"{entry.actor}: {reason}" if reason else entry.actor
    return Event(entry.time_ms, entry.time_ms, "action", "info", ACTIONS[entry.action], detail)
