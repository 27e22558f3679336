"""The calls of the canary, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from typing import Any

from dashboard.call import JSON, Call
from dashboard.schema import (
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

_BOOLEAN: Schema = {"type": "boolean"}
_COUNTS: Schema = {"type": "object", "additionalProperties": INTEGER}
_REASON: Schema = {"type": "string", "maxLength": 500}
_WAIT: Schema = {"type": "number", "minimum": 0, "maximum": 60, "default": 10}

SCHEMAS: dict[str, Schema] = {
    "Canary": object_of(
        "version",
        "before",
        "percent",
        "state",
        "began_ms",
        version=STRING,
        before=MAYBE_STRING,
        percent=NUMBER,
        forced=_BOOLEAN,
        began_ms=INTEGER,
        state={"enum": ["loading", "running", "failed", "ended", "promoted", "taken_out"]},
        ended_ms=MAYBE_INTEGER,
        reason=MAYBE_STRING,
        suggestion=MAYBE_STRING,
        differs=array(STRING),
        comparison={"anyOf": [{"type": "null"}, ref("Comparison")]},
    ),
    "Comparison": object_of(
        "seconds",
        "serving",
        "canary",
        "findings",
        seconds=NUMBER,
        serving=ref("Side"),
        canary=ref("Side"),
        findings=array(
            object_of(
                "what",
                "verdict",
                "errors",
                what={"enum": ["failures", "latency", "classes"]},
                verdict={"enum": ["too_few", "alike", "better", "worse", "different"]},
                value=MAYBE_NUMBER,
                errors=NUMBER,
                needed=MAYBE_NUMBER,
                unseen=MAYBE_NUMBER,
                subject=MAYBE_STRING,
            )
        ),
    ),
    "Side": object_of(
        "requests",
        "outcomes",
        "judged",
        "failed",
        "rate",
        requests=INTEGER,
        outcomes=_COUNTS,
        judged=INTEGER,
        failed=INTEGER,
        nan=INTEGER,
        rate=NUMBER,
        p50_seconds=MAYBE_NUMBER,
        p95_seconds=MAYBE_NUMBER,
        p99_seconds=MAYBE_NUMBER,
        classes=_COUNTS,
    ),
}
_CANARY = (200, JSON, object_of("canary", canary={"anyOf": [{"type": "null"}, ref("Canary")]}))
_ERRORS = (400, 409, 415, 422)


def _body(*required: str, **properties: Schema) -> dict[str, Any]:
    return {"required": bool(required), "content": {JSON: {"schema": object_of(*required, **properties)}}}


CALLS: tuple[Call, ...] = (
    Call(
        "get",
        "/api/model/comparison",
        "The canary under way or the last one, and both sides' numbers.",
        "viewer",
        answer=_CANARY,
    ),
    Call(
        "post",
        "/api/model/canary",
        "Have another version answer a share of the requests, or set that share; 202 while it still loads.",
        "operator",
        body=_body(
            "version",
            version={"type": "string", "minLength": 1, "maxLength": 200},
            percent={"type": "number", "minimum": 0, "maximum": 100, "default": 10},
            force=_BOOLEAN | {"default": False},
            reason=_REASON,
            wait_seconds=_WAIT,
        ),
        answer=_CANARY,
        errors=(404, *_ERRORS),
    ),
    Call(
        "post",
        "/api/model/canary/promote",
        "Have the canary serve all requests.",
        "operator",
        body=_body(reason=_REASON, wait_seconds=_WAIT),
        answer=(200, JSON, object_of("switch", switch=ref("Switch"))),
        errors=_ERRORS,
    ),
    Call(
        "post",
        "/api/model/canary/end",
        "Let go of the canary.",
        "operator",
        body=_body(reason=_REASON),
        answer=_CANARY,
        errors=_ERRORS,
    ),
)
