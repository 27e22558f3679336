"""The calls of incidents, uptime, points of failure and actions, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from typing import Any

from dashboard.call import JSON, Call
from dashboard.schema import (
    ALERT,
    ANY_OBJECT,
    INTEGER,
    MAYBE_INTEGER,
    MAYBE_NUMBER,
    NUMBER,
    STRING,
    Schema,
    array,
    object_of,
    ref,
)

_MAYBE_BOOLEAN: Schema = {"type": ["boolean", "null"]}
_MEANS = {"mttd": MAYBE_NUMBER, "mtta": MAYBE_NUMBER, "mttr": MAYBE_NUMBER}
_SHARE = {"ratio": MAYBE_NUMBER, "seconds_down": NUMBER, "seconds_planned": NUMBER}

SCHEMAS: dict[str, Schema] = {
    "Incident": object_of(
        "id",
        "started_ms",
        id=INTEGER,
        kind={"enum": ["process", "power", "planned", "model", "remedy", "alert"]},
        cause=STRING,
        summary=STRING,
        started_ms=INTEGER,
        ended_ms=MAYBE_INTEGER,
        detail=ANY_OBJECT,
        level=INTEGER,
        detected_ms=MAYBE_INTEGER,
        acknowledged_ms=MAYBE_INTEGER,
        outage=MAYBE_INTEGER,
        over_ms=MAYBE_INTEGER,
        part_of=MAYBE_INTEGER,
        recovered_ms=MAYBE_INTEGER,
        pace=object_of(seconds=NUMBER, detect=MAYBE_NUMBER, acknowledge=MAYBE_NUMBER, recover=MAYBE_NUMBER),
    ),
    "IncidentEntry": object_of(
        "time_ms",
        "kind",
        "actor",
        "text",
        "detail",
        time_ms=INTEGER,
        kind={
            "enum": ["fired", "resolved", "acknowledged", "unacknowledged", "action", "notice", "note", "state"],
        },
        actor=STRING,
        text=STRING,
        detail=ANY_OBJECT,
    ),
    "Action": object_of(
        "id",
        "alert",
        "action",
        "state",
        id=INTEGER,
        alert=INTEGER,
        rule=STRING,
        action=STRING,
        state={"enum": ["started", "done", "failed", "skipped"]},
        started_ms=INTEGER,
        ended_ms=MAYBE_INTEGER,
        outcome=STRING,
        helped=_MAYBE_BOOLEAN,
    ),
    "FailurePoint": object_of(
        "kind",
        "name",
        "count",
        kind={"enum": ["rule", "cause"]},
        name=STRING,
        level=INTEGER,
        count=INTEGER,
        seconds=NUMBER,
        last_ms=INTEGER,
        **_MEANS,
    ),
}


def _query(name: str, text: str, schema: Schema = STRING) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}


_WINDOW = (
    _query("start", "RFC 3339, or seconds or milliseconds since 1970."),
    _query("end", "The same."),
)
_ID = {"name": "incident_id", "in": "path", "required": True, "schema": INTEGER}

CALLS: tuple[Call, ...] = (
    Call(
        "get",
        "/api/incidents",
        "Times in which the service did not do its work, and means over them (30 days without a window).",
        "viewer",
        parameters=_WINDOW,
        answer=(
            200,
            JSON,
            object_of(
                "incidents",
                "means",
                incidents=array(ref("Incident")),
                means=object_of("count", count=INTEGER, **_MEANS),
            ),
        ),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/incidents/{incident_id}",
        "One incident: its parts, its timeline, its alerts, and what was done.",
        "viewer",
        parameters=(_ID,),
        answer=(
            200,
            JSON,
            object_of(
                "incident",
                "parts",
                "entries",
                "alerts",
                "actions",
                incident=ref("Incident"),
                parts=array(ref("Incident")),
                entries=array(ref("IncidentEntry")),
                alerts=array(ALERT),
                alert_count=INTEGER,
                actions=array(ref("Action")),
            ),
        ),
        errors=(404,),
    ),
    Call(
        "post",
        "/api/incidents/{incident_id}/notes",
        "Add a note to an incident's timeline.",
        "operator",
        parameters=(_ID,),
        body={
            "required": True,
            "content": {
                JSON: {"schema": object_of("text", text={"type": "string", "minLength": 1, "maxLength": 2000})}
            },
        },
        answer=(201, JSON, object_of("entry", entry=ref("IncidentEntry"))),
        errors=(400, 404, 415, 422),
    ),
    Call(
        "get",
        "/api/incidents.csv",
        "Incidents as a file (30 days without a window).",
        "viewer",
        parameters=_WINDOW,
        answer=(200, "text/csv", STRING),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/alerts.csv",
        "Alerts that fired in a window as a file (30 days without one).",
        "viewer",
        parameters=_WINDOW,
        answer=(200, "text/csv", STRING),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/uptime",
        "Which share of the time the service could answer: 24 hours, 7, 30 and 90 days, and each of 90 days.",
        "viewer",
        parameters=(_query("tz", "Whose days, e.g. Asia/Shanghai; the machine's own without it."),),
        answer=(
            200,
            JSON,
            object_of(
                "since_ms",
                "windows",
                "days",
                since_ms=MAYBE_INTEGER,
                now_ms=INTEGER,
                windows={"type": "object", "additionalProperties": MAYBE_NUMBER},
                spans={"type": "object", "additionalProperties": object_of(since_ms=INTEGER, **_SHARE)},
                days=array(object_of("day", "ratio", day={"type": "string"}, incidents=INTEGER, **_SHARE)),
            ),
        ),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/failures",
        "What failed most often, by rule and by cause (30 days without a window).",
        "viewer",
        parameters=_WINDOW,
        answer=(200, JSON, object_of("points", points=array(ref("FailurePoint")))),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/actions",
        "What was done because alerts asked for it, newest first.",
        "viewer",
        parameters=(_query("limit", "1 to 1000; 100 without it.", {"type": "integer", "minimum": 1, "maximum": 1000}),),
        answer=(200, JSON, object_of("actions", actions=array(ref("Action")))),
        errors=(422,),
    ),
)
