"""The calls of silences and maintenance for our own page, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from typing import Any

from dashboard.call import JSON, Call
from dashboard.schema import ALERT, INTEGER, MAYBE_INTEGER, STRING, Schema, array, object_of, ref

_BOOLEAN: Schema = {"type": "boolean"}
_MATCHER: Schema = {
    "anyOf": [
        {"type": "string", "description": 'As Alertmanager writes it: service=~"db.*"'},
        object_of("name", "value", name=STRING, value=STRING, isRegex=_BOOLEAN, isEqual=_BOOLEAN),
    ]
}
_INTERVALS: Schema = array({"type": "object"}) | {
    "description": "As Alertmanager's time_intervals: times, weekdays, days_of_month, months, years, location.",
    "minItems": 1,
    "maxItems": 20,
}
_WINDOW_BODY = object_of(
    *("name", "intervals"),
    name={"type": "string", "minLength": 1, "maxLength": 100},
    matchers=array(_MATCHER) | {"description": "None at all: every alert.", "maxItems": 100},
    intervals=_INTERVALS,
    comment={"type": "string", "maxLength": 2000},
    disabled=_BOOLEAN | {"default": False},
)

SCHEMAS: dict[str, Schema] = {
    "MaintenanceWindow": object_of(
        *("id", "name", "matchers", "intervals", "comment", "disabled", "created_by", "created_ms"),
        *("active", "next_ms", "until_ms"),
        id=INTEGER,
        name=STRING,
        matchers=array(ref("AlertmanagerMatcher")),
        intervals=array({"type": "object"}),
        comment=STRING,
        disabled=_BOOLEAN,
        created_by=STRING,
        created_ms=INTEGER,
        active=_BOOLEAN,
        next_ms=MAYBE_INTEGER | {"description": "When it opens next; null while it is open, and if it never will."},
        until_ms=MAYBE_INTEGER | {"description": "When it closes then; null if that is far away."},
    ),
}
_WINDOW = ref("MaintenanceWindow")
_ID = {"name": "window_id", "in": "path", "description": "Its id.", "required": True, "schema": INTEGER}


def _body(kind: Schema) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": kind}}}


CALLS: tuple[Call, ...] = (
    Call(
        "post",
        "/api/silences/preview",
        "What a silence would hide now, and how often it would have hidden each rule in the last 7 days.",
        "viewer",
        body=_body(
            object_of(
                "matchers",
                matchers=array(_MATCHER) | {"minItems": 1, "maxItems": 100},
                startsAt=STRING,
                endsAt=STRING,
            )
        ),
        answer=(
            200,
            JSON,
            object_of(
                *("alerts", "recent", "total", "complete"),
                alerts=array(ALERT),
                recent=array(object_of("rule", "count", rule=STRING, count=INTEGER)),
                total=INTEGER,
                complete=_BOOLEAN | {"description": "Whether all alerts of these days were looked at."},
            ),
        ),
        errors=(400, 415, 422),
    ),
    Call(
        "get",
        "/api/maintenance",
        "Every maintenance window, and when it is open next.",
        "viewer",
        answer=(200, JSON, object_of("maintenance", maintenance=array(_WINDOW))),
    ),
    Call(
        "post",
        "/api/maintenance",
        "Make a maintenance window.",
        "operator",
        body=_body(_WINDOW_BODY),
        answer=(201, JSON, _WINDOW),
        errors=(400, 409, 415, 422),
    ),
    Call(
        "put",
        "/api/maintenance/{window_id}",
        "Change a maintenance window, or switch it on or off.",
        "operator",
        parameters=(_ID,),
        body=_body(_WINDOW_BODY),
        answer=(200, JSON, _WINDOW),
        errors=(400, 404, 415, 422),
    ),
    Call(
        "delete",
        "/api/maintenance/{window_id}",
        "Delete a maintenance window.",
        "operator",
        parameters=(_ID,),
        answer=(200, JSON, _WINDOW),
        errors=(404,),
    ),
)
