"""The calls of the request log, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from typing import Any

from dashboard.call import JSON, Call
from dashboard.schema import (
    ALERT,
    ANY_OBJECT,
    INTEGER,
    MAYBE_INTEGER,
    MAYBE_NUMBER,
    MAYBE_STRING,
    NUMBER,
    STRING,
    Schema,
    array,
    object_of,
    ref,
)
from reports.own_log import LEVELS

_BOOLEAN: Schema = {"type": "boolean"}
_COUNTS: Schema = {"type": "object", "additionalProperties": INTEGER}

SCHEMAS: dict[str, Schema] = {
    "ErrorGroup": object_of(
        "fingerprint",
        "outcome",
        "count",
        fingerprint=STRING,
        outcome=STRING,
        text=STRING,
        count=INTEGER,
        first_ms=INTEGER,
        last_ms=INTEGER,
        example_ids=array(STRING),
    ),
    "Trait": object_of(
        "name",
        "value",
        "significant",
        name=STRING,
        value=STRING,
        failing_share=NUMBER,
        good_share=NUMBER,
        lift=MAYBE_NUMBER,
        significant=_BOOLEAN,
        p=NUMBER,
    ),
    "LogLine": object_of(
        "cursor",
        "text",
        cursor=STRING,
        time_ms=MAYBE_INTEGER,
        level=MAYBE_STRING,
        event=MAYBE_STRING,
        text=STRING,
        request_id=MAYBE_STRING,
        fields=ANY_OBJECT,
    ),
    "CheckupFact": object_of("name", "value", name=STRING, value={}, unit=STRING, link=STRING, time_ms=INTEGER),
    "CheckupStep": object_of(
        "key",
        "question",
        "verdict",
        "answer",
        key={"enum": ["alive", "resources", "changes", "first_error", "inputs"]},
        question=STRING,
        verdict={"enum": ["ok", "bad", "unknown"]},
        answer=STRING,
        facts=array(ref("CheckupFact")),
        lines=array(STRING),
    ),
    "RequestHour": object_of(
        "start_ms", "count", start_ms=INTEGER, count=INTEGER, failed=INTEGER, mean=NUMBER, max=NUMBER
    ),
}


def _query(name: str, text: str, schema: Schema = STRING) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}


_WINDOW = (
    _query("start", "RFC 3339, or seconds or milliseconds since 1970."),
    _query("end", "The same."),
)
_LIMIT = _query("limit", "1 to 1000; 100 without it.", {"type": "integer", "minimum": 1, "maximum": 1000})

_FILTERS = (
    _query("outcome", "Only this outcome."),
    _query("request_id", "Only this request id."),
    _query("id", "The same."),
    _query("route", "Only this route."),
    _query("class", "Only results of this class."),
    _query("fingerprint", "Only errors of this kind."),
    _query("q", "Only errors that hold this text, in any case."),
    _query("min_seconds", "Only those that took so long.", {"type": "number", "minimum": 0}),
    *_WINDOW,
)

CALLS: tuple[Call, ...] = (
    Call(
        "get",
        "/api/requests",
        "Inference requests that match, newest first, a page at a time.",
        "viewer",
        parameters=(
            _LIMIT,
            *_FILTERS,
            _query("before", "next of the page before."),
        ),
        answer=(
            200,
            JSON,
            object_of(
                "requests",
                "more",
                requests=array(ref("Request")),
                more=_BOOLEAN,
                next=MAYBE_STRING,
                complete=_BOOLEAN,
            ),
        ),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/requests.csv",
        "The same as a file, newest first.",
        "viewer",
        parameters=_FILTERS,
        answer=(200, "text/csv", STRING),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/logs/tail",
        "The newest lines of our own log that match, in the order in which they were written.",
        "viewer",
        parameters=(
            _LIMIT,
            _query("level", "This level and those above.", {"enum": list(LEVELS)}),
            _query("q", "Only lines that hold this text, in any case."),
            _query("request_id", "Only lines of this request."),
            _query("before", "Only lines before that of this cursor."),
            _query("after", "Only lines after that of this cursor."),
        ),
        answer=(
            200,
            JSON,
            object_of("lines", "more", lines=array(ref("LogLine")), more=_BOOLEAN, next=MAYBE_STRING),
        ),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/checkup",
        "What is asked first when something is wrong, answered for an alert, a target, or the model.",
        "viewer",
        parameters=(
            _query("alert", "An alert's id.", INTEGER),
            _query("target", "A target's name."),
        ),
        answer=(
            200,
            JSON,
            object_of("steps", steps=array(ref("CheckupStep")), alert=ALERT, target=MAYBE_STRING, time_ms=INTEGER),
        ),
        errors=(404, 422),
    ),
    Call(
        "get",
        "/api/support-bundle",
        "What somebody who helps needs to know, masked, as one zip.",
        "admin",
        answer=(200, "application/zip", {"type": "string", "format": "binary"}),
    ),
    Call(
        "get",
        "/api/requests/errors",
        "Errors by kind, the most frequent first (a day without a window).",
        "viewer",
        parameters=(*_WINDOW, _LIMIT),
        answer=(200, JSON, object_of("groups", groups=array(ref("ErrorGroup")))),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/requests/common",
        "What failing inputs have in common beside good ones (a day without a window).",
        "viewer",
        parameters=(*_WINDOW, _query("fingerprint", "Only errors of this kind.")),
        answer=(
            200,
            JSON,
            object_of("failing", "good", "traits", failing=INTEGER, good=INTEGER, traits=array(ref("Trait"))),
        ),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/requests/summary",
        "Requests in numbers: share of those that went well, latency, classes, outcomes, busiest hours, slowest.",
        "viewer",
        parameters=(*_WINDOW, _query("tz", "Whose hours, e.g. Asia/Shanghai; the machine's own without it.")),
        answer=(
            200,
            JSON,
            object_of(
                "count",
                start_ms=INTEGER,
                end_ms=INTEGER,
                count=INTEGER,
                sampled=INTEGER,
                ok_share=MAYBE_NUMBER,
                mean=MAYBE_NUMBER,
                p95=MAYBE_NUMBER,
                max=MAYBE_NUMBER,
                classes=_COUNTS,
                outcomes=_COUNTS,
                busiest_hours=array(ref("RequestHour")),
                hours=array(ref("RequestHour")),
                slowest=array({"type": "object"}),
            ),
        ),
        errors=(422,),
    ),
)
