"""The calls of what is watched beside the model, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from typing import Any

from dashboard.call import JSON, Call
from dashboard.schema import (
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

_BOOLEAN: Schema = {"type": "boolean"}
_MAYBE_BOOLEAN: Schema = {"type": ["boolean", "null"]}
_STATE: Schema = {"enum": ["up", "down", "unknown"]}
_RATIOS = object_of("24h", "7d", "30d", "90d", **dict.fromkeys(("24h", "7d", "30d", "90d"), MAYBE_NUMBER))
_DAY = object_of(
    "day", "ratio", "seconds_down", "outages", day=STRING, ratio=MAYBE_NUMBER, seconds_down=NUMBER, outages=INTEGER
)
_PROBE = object_of(
    "probe",
    "state",
    "since_ms",
    "uptime",
    "days",
    probe=STRING,
    state=_STATE,
    since_ms=INTEGER,
    seen_ms=MAYBE_INTEGER,
    failures=INTEGER,
    reason=STRING,
    duration_seconds=MAYBE_NUMBER,
    detail=ANY_OBJECT,
    uptime=_RATIOS,
    days=array(_DAY),
    watched_since_ms=MAYBE_INTEGER,
)
_RUNG = object_of(
    "rung",
    "kind",
    "what",
    rung=INTEGER,
    kind={"enum": ["call", "command", "systemd", "container", "standby"]},
    what=STRING,
    after_fails=MAYBE_INTEGER,
    pattern=MAYBE_STRING,
    limit_per_hour=INTEGER,
    dry_run=_BOOLEAN,
)
_TARGET: dict[str, Schema] = {
    "name": STRING,
    "note": MAYBE_STRING,
    "origin": {"enum": ["settings", "page"]},
    "disabled": _BOOLEAN,
    "state": {"enum": ["up", "down", "unknown", "paused"]},
    "since_ms": MAYBE_INTEGER,
    "reason": MAYBE_STRING,
    "probes": array(_PROBE),
    "scrapes": array(ANY_OBJECT),
    "logs": array(ANY_OBJECT),
    "remedies": array(_RUNG),
    "exhausted": _BOOLEAN,
    "standby": {"anyOf": [{"type": "null"}, object_of("active", "url", active=_BOOLEAN, url=STRING)]},
    "push_url": MAYBE_STRING,
}
_OUTAGE = object_of(
    "target",
    "probe",
    "reason",
    "started_ms",
    "detected_ms",
    target=STRING,
    probe=STRING,
    reason=STRING,
    started_ms=INTEGER,
    detected_ms=INTEGER,
    ended_ms=MAYBE_INTEGER,
)
_ACTION = object_of(
    "id",
    "target",
    "rung",
    "kind",
    "state",
    "time_ms",
    id=INTEGER,
    target=STRING,
    rung={"type": "integer", "description": "Its place in the ladder, from 0; -1: a person did it."},
    kind=STRING,
    state={"enum": ["started", "done", "failed", "skipped", "dry_run"]},
    why=STRING,
    time_ms=INTEGER,
    started_ms=INTEGER,
    ended_ms=MAYBE_INTEGER,
    outcome=STRING,
    helped=_MAYBE_BOOLEAN,
)
SCHEMAS: dict[str, Schema] = {
    "Target": object_of("name", "origin", "state", "probes", **_TARGET),
    "TargetAlone": object_of(
        "name",
        "origin",
        "state",
        "probes",
        "outages",
        "actions",
        **_TARGET,
        outages=array(_OUTAGE),
        actions=array(_ACTION),
        definition={"type": ["object", "null"]},
        version=MAYBE_INTEGER,
    ),
    "TargetLook": object_of(
        "probe",
        "success",
        "reason",
        probe=STRING,
        success=_MAYBE_BOOLEAN,
        reason=STRING,
        duration_seconds=MAYBE_NUMBER,
        detail=ANY_OBJECT,
    ),
}


def _query(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "required": False, "schema": STRING}


def _place(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": STRING}


def _body(*required: str, **properties: Schema) -> dict[str, Any]:
    return {"required": bool(required), "content": {JSON: {"schema": object_of(*required, **properties)}}}


_NAME, _TZ = _place("name"), _query("tz", "Whose days are told, e.g. Asia/Shanghai; the server's own without it.")
_ALONE = (200, JSON, ref("TargetAlone"))
_LOOKS = (200, JSON, object_of("results", results=array(ref("TargetLook"))))
_DEFINED = _body("definition", definition=ANY_OBJECT, version=MAYBE_INTEGER)
_REASON = _body(reason={"type": "string", "maxLength": 500})
_ERRORS = (400, 404, 409, 415, 422)


def _own(method: str, path: str, summary: str, access: str, **more: Any) -> Call:
    return Call(method, f"/api/targets{path}", summary, access, **more)


def _named(method: str, path: str, summary: str, access: str, **more: Any) -> Call:
    return _own(method, f"/{{name}}{path}", summary, access, **{"parameters": (_NAME, _TZ), "answer": _ALONE} | more)


CALLS: tuple[Call, ...] = (
    _own(
        "get",
        "",
        "What is watched beside the model, and how it stands.",
        "viewer",
        parameters=(_TZ,),
        answer=(200, JSON, object_of("targets", targets=array(ref("Target")))),
        errors=(409, 422),
    ),
    _own(
        "post",
        "",
        "Watch one more.",
        "admin",
        body=_DEFINED,
        answer=(201, JSON, ref("TargetAlone")),
        errors=(400, 409, 415, 422),
    ),
    _own("post", "/check", "Look once at what is not kept.", "admin", body=_DEFINED, answer=_LOOKS, errors=_ERRORS),
    _named("get", "", "One target with its outages and remedies.", "viewer", errors=(404, 409, 422)),
    _named("put", "", "Make a target of the page of something else.", "admin", body=_DEFINED, errors=_ERRORS),
    _named(
        "delete",
        "",
        "Watch a target of the page no more.",
        "admin",
        parameters=(_NAME,),
        answer=(200, JSON, object_of("removed", removed=STRING)),
        errors=(404, 409),
    ),
    _named(
        "post", "/pause", "Leave a target alone, or go on.", "operator",
        body=_body("paused", paused=_BOOLEAN), errors=_ERRORS,
    ),
    _named(
        "post", "/standby", "Send callers to the standby, or back.", "operator",
        body=_body("active", active=_BOOLEAN), errors=_ERRORS,
    ),
    _named(
        "post", "/try-again", "Begin anew with the first remedy.", "operator",
        body=_REASON, answer=(202, JSON, ref("TargetAlone")), errors=_ERRORS,
    ),
    _named(
        "post", "/check", "Look once, now.", "operator",
        parameters=(_NAME,), body=_REASON, answer=_LOOKS, errors=_ERRORS,
    ),
    Call(
        "get",
        "/api/outages.csv",
        "Outages of targets in a window, as CSV.",
        "viewer",
        parameters=(
            _query("start", "RFC 3339, or seconds or milliseconds since 1970."),
            _query("end", "The same."),
            _query("target", "Of this one only."),
        ),
        answer=(200, "text/csv", STRING),
        errors=(422,),
    ),
)  # fmt: skip
