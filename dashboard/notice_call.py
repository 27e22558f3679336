"""The calls of notices, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from dashboard.call import JSON, Call
from dashboard.schema import (
    INTEGER,
    MAYBE_INTEGER,
    MAYBE_NUMBER,
    MAYBE_STRING,
    STRING,
    Schema,
    array,
    object_of,
    ref,
)

_STATE: Schema = {"enum": ["waiting", "sent", "failed", "merged"]}
_PLACE = {"name": "notice_id", "in": "path", "required": True, "schema": INTEGER}

SCHEMAS: dict[str, Schema] = {
    "Notice": object_of(
        "id",
        "channel",
        "title",
        "state",
        "created_ms",
        id=INTEGER,
        channel=STRING,
        title=STRING,
        body=STRING,
        kind={"enum": ["info", "success", "warning", "failure"]},
        about=STRING,
        stands_for=INTEGER,
        state=_STATE,
        created_ms=INTEGER,
        next_ms=INTEGER,
        sent_ms=MAYBE_INTEGER,
        attempts=INTEGER,
        error=MAYBE_STRING,
    ),
    "Lane": object_of(
        "name",
        "waiting",
        "failed",
        "sent_24h",
        name=STRING,
        is_configured={"type": "boolean"},
        waiting=INTEGER,
        failed=INTEGER,
        sent_24h=INTEGER,
        rate=MAYBE_NUMBER,
        resting_until_ms=MAYBE_INTEGER,
        last_error=MAYBE_STRING,
    ),
}

CALLS: tuple[Call, ...] = (
    Call(
        "get",
        "/api/notices",
        "The newest notices, and how delivery to each channel stands.",
        "viewer",
        parameters=(
            {"name": "state", "in": "query", "required": False, "description": "Only this state.", "schema": _STATE},
            {"name": "channel", "in": "query", "required": False, "description": "Only this one.", "schema": STRING},
            {
                "name": "limit",
                "in": "query",
                "required": False,
                "description": "1 to 1000; 100 without it.",
                "schema": {"type": "integer", "minimum": 1, "maximum": 1000},
            },
        ),
        answer=(200, JSON, object_of("notices", "channels", notices=array(ref("Notice")), channels=array(ref("Lane")))),
        errors=(422,),
    ),
    Call(
        "post",
        "/api/notices/{notice_id}/retry",
        "Send a notice that was given up, or that waits for its next attempt, now.",
        "operator",
        parameters=(_PLACE,),
        answer=(200, JSON, object_of("notice", notice=ref("Notice"))),
        errors=(404, 409),
    ),
    Call(
        "delete",
        "/api/notices/{notice_id}",
        "Take out a notice that was given up or that waits; it is never sent.",
        "operator",
        parameters=(_PLACE,),
        answer=(200, JSON, object_of("discarded", discarded=INTEGER)),
        errors=(404, 409),
    ),
)
