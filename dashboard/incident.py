"""Incidents, their timelines and notes; uptime, points of failure, and what alerts had done, as JSON."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from flask import Blueprint, Response
from pydantic import BaseModel, ConfigDict, Field

from alerts.outage.chronology import MAX_NOTE, Chronology
from alerts.outage.failure import failure_points, means, pace, recovered
from alerts.outage.uptime import uptime
from dashboard.access import require
from dashboard.api import answer, audit
from dashboard.identity import current
from dashboard.moment import now_ms
from dashboard.parameter import HOUR_MS, body, whole, window, zone
from dashboard.problem import Problem
from dashboard.services import services
from ledger import without_lines
from storage.incident import OUTAGE, Incident

blueprint = Blueprint("incident", __name__, url_prefix="/api")

MONTH_MS = 30 * 24 * HOUR_MS
#: Alerts of one incident that are told in full; the file of alerts has them all.
MAX_ALERTS = 500


class Note(BaseModel):
    """What a person has to say about an incident."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    text: str = Field(min_length=1, max_length=MAX_NOTE)


@blueprint.get("/incidents")
@require("viewer")
def incidents() -> Response:
    """Stretches in which the service did not do its work, and outages that only alerts tell of; means over them.

    What a process wrote before it died is for operators.
    """
    period, now = window(MONTH_MS), now_ms()
    found = sorted(services().incidents.outages(*period), key=lambda one: (one.started_ms, one.id))
    parts: dict[int, list[Incident]] = {}
    for one in found:
        parts.setdefault(one.outage or one.id, []).append(one)
    told = [_told(one, parts[one.outage or one.id], now) for one in found]
    return answer({"incidents": told, "means": asdict(means(found, now))})


@blueprint.get("/incidents/<int:incident_id>")
@require("viewer")
def incident(incident_id: int) -> Response:
    """One incident with all that belongs to it; of a part, the incident that it is a part of."""
    rooms, now = services(), now_ms()
    chronology = _chronology()
    head = _head(chronology, incident_id)
    parts = rooms.incidents.parts(head.id)
    members = chronology.alerts(head.id)
    return answer(
        {
            "incident": _told(head, parts, now),
            "parts": [_told(one, [one], now) for one in parts if one.id != head.id],
            "entries": [line._asdict() for line in chronology.lines(head, parts, now)],
            "alerts": [alert.as_dict() for alert in members[:MAX_ALERTS]],
            "alert_count": len(members),
            "actions": [asdict(one) for one in rooms.actions.log.of_incident(head.id)],
        }
    )


@blueprint.post("/incidents/<int:incident_id>/notes")
@require("operator")
def note(incident_id: int) -> Response:
    """Add a note to an incident's timeline."""
    text = body(Note).text
    chronology = _chronology()
    head = _head(chronology, incident_id)
    line = chronology.note(head.id, current().actor, text, now_ms())
    audit("incident.note", f"incident:{head.id}", {"text": text})
    return answer({"entry": line._asdict()}, 201)


@blueprint.get("/uptime")
@require("viewer")
def share_of_time() -> Response:
    """Which share of the time the service could answer; ``tz`` says whose days are told."""
    now = now_ms()
    found = uptime(services().incidents, now, zone())
    windows = {name: share.ratio for name, share in found.windows.items()}
    spans = {name: asdict(share) for name, share in found.windows.items()}
    days = [asdict(day) for day in found.days]
    return answer({"since_ms": found.since_ms, "now_ms": now, "windows": windows, "spans": spans, "days": days})


@blueprint.get("/failures")
@require("viewer")
def failures() -> Response:
    """What failed most often in a window, by rule and by cause."""
    rooms = services()
    points = failure_points(rooms.database, rooms.incidents, *window(MONTH_MS), now_ms())
    return answer({"points": [asdict(point) for point in points]})


@blueprint.get("/actions")
@require("viewer")
def actions() -> Response:
    """What was done because alerts asked for it, newest first."""
    return answer({"actions": [asdict(one) for one in services().actions.log.recent(whole("limit", 100, 1, 1000))]})


def _told(one: Incident, parts: list[Incident], now: int) -> dict[str, Any]:
    """An incident as the API has it; how fast it went is told of outages only."""
    if not current().may("operator"):
        one = replace(one, detail=without_lines(one.detail))
    found = asdict(one) | {"part_of": one.part_of}
    if one.kind not in OUTAGE or one.part_of is not None:
        return found
    recovered_ms = recovered(one, parts)
    return found | {"recovered_ms": recovered_ms, "pace": asdict(pace(one, recovered_ms, now))}


def _chronology() -> Chronology:
    return Chronology(services().database, services().incidents)


def _head(chronology: Chronology, incident_id: int) -> Incident:
    found = chronology.head(incident_id)
    if found is None:
        raise Problem(404, "not-found", f"There is no incident {incident_id}.")
    return found
