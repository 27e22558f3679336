"""Every call of the HTTP API, described: what :mod:`dashboard.openapi` makes its document and its page from."""

from __future__ import annotations

from typing import Any, NamedTuple

from dashboard.mark import VERSION
from dashboard.schema import ALERT, HEALTH, STRING, array, object_of, ref
from dashboard.terms import PRIORITY, STICKY_KEY
from model.terms import PRIORITIES

JSON = "application/json"
PROMETHEUS = "Prometheus API"
OWN = "Wakeless API"
OPEN = "Open"


class Call(NamedTuple):
    """One operation. ``access`` is a role, or who else may call; ``answers`` maps a status to (words, type, schema)."""

    method: str
    path: str
    summary: str
    access: str
    tag: str = OWN
    parameters: tuple[dict[str, Any], ...] = ()
    body: dict[str, Any] | None = None
    answer: tuple[int, str, dict[str, Any]] = (200, JSON, {"type": "object"})
    errors: tuple[int, ...] = ()
    #: What else the answer may be, by content type.
    other: tuple[tuple[str, dict[str, Any]], ...] = ()


def _query(name: str, text: str, kind: dict[str, Any] | None = None, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "required": required, "schema": kind or STRING}


def _header(name: str, text: str, kind: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": text, "required": False, "schema": kind}


def _json(kind: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"required": required, "content": {JSON: {"schema": kind}}}


_POSITIVE = {"type": "number", "exclusiveMinimum": 0}
_START = _query("start", "RFC 3339, or seconds or milliseconds since 1970.")
_END = _query("end", "As start; now without it.")
_WINDOW = (_START, _END)
_MATCH = _query("match[]", "A series selector; may be repeated.", array(STRING))
_EXPORT = (
    _MATCH,
    *_WINDOW,
    _query("step", "Seconds, or a duration such as 1m; raw samples without it."),
    _query("format", "One column for each series, or one row for each sample.", {"enum": ["wide", "long"]}),
)
_LIMIT = _query("limit", "Most results.", {"type": "integer", "minimum": 0})
_TIMEOUT = _query("timeout", "Seconds or a duration; the server's own limit stays the longest.")
_LOOKBACK = _query("lookback_delta", "How old a sample may be, as seconds or a duration; five minutes without it.")
_STATS = _query("stats", "Anything: adds how long it took.")
_ALERT_ID = {"name": "alert_id", "in": "path", "required": True, "schema": {"type": "integer"}}
_LABEL = {"name": "name", "in": "path", "required": True, "schema": STRING}
_REASON = _json(object_of(reason={"type": "string", "maxLength": 500}))
_GIVEN_REASON = _json(object_of("reason", reason={"type": "string", "minLength": 1, "maxLength": 500}), required=True)
_TERMS = (
    _header(PRIORITY, "How important it is; normal without it.", {"type": "string", "enum": list(PRIORITIES)}),
    _header(VERSION, "The version that is to answer, where it is loaded.", STRING),
    _header(STICKY_KEY, "Keeps a caller on one version while a canary runs.", {"type": "string", "maxLength": 200}),
    *(
        _header(name, f"How many {unit} the caller waits; the settings give the most.", _POSITIVE)
        for name, unit in (("X-Request-Timeout", "seconds"), ("X-Envoy-Expected-Rq-Timeout-Ms", "milliseconds"))
    ),
)
#: What every model's body may look like; a model's own schema says more.
_INPUT: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": object_of(file={"type": "string", "format": "binary"})},
        "*/*": {"schema": {"type": "string", "format": "binary"}},
    },
}
_ACCEPTED = (202, JSON, ref("Accepted"))
_ENVELOPE = (200, JSON, ref("PrometheusAnswer"))


def _listed(name: str, item: dict[str, Any]) -> tuple[int, str, dict[str, Any]]:
    return 200, JSON, object_of(name, **{name: array(item)})


def _prometheus(
    path: str, summary: str, *parameters: dict[str, Any], post: bool = False, errors: tuple[int, ...] = (400,)
) -> tuple[Call, ...]:
    methods = ("get", "post") if post else ("get",)
    return tuple(
        Call(method, f"/api/v1/{path}", summary, "viewer", PROMETHEUS, parameters, None, _ENVELOPE, errors)
        for method in methods
    )


def _health(path: str, summary: str) -> Call:
    return Call("get", path, summary, "open", OPEN, answer=(200, JSON, HEALTH), errors=(503,))


_EVALUATION_ERRORS = (400, 422, 503)
CALLS: tuple[Call, ...] = (
    Call(
        "post",
        "/predict",
        "One input to the model, one result back, or with Accept: text/event-stream its steps.",
        "any login; open on this machine",
        OPEN,
        parameters=_TERMS,
        body=_INPUT,
        answer=(200, JSON, ref("Prediction")),
        errors=(400, 404, 406, 413, 415, 422, 429, 500, 503, 504),
        other=(("text/event-stream", STRING),),
    ),
    _health("/health", "The summary for an uptime monitor."),
    _health("/health/live", "Should someone kill me?"),
    _health("/health/ready", "May traffic come?"),
    _health("/health/startup", "Has the first load ended well?"),
    Call(
        "get",
        "/metrics",
        "All metrics as Prometheus text.",
        "viewer; open on this machine",
        OPEN,
        answer=(200, "text/plain", STRING),
    ),
    Call("get", "/api/model", "The model's state and health.", "viewer", answer=(200, JSON, ref("Model"))),
    Call(
        "post",
        "/api/model/restart",
        "Load the model anew.",
        "operator",
        body=_REASON,
        answer=_ACCEPTED,
        errors=(400, 409, 415, 422),
    ),
    Call(
        "get",
        "/api/model/history",
        "What was done about the model, newest first: restarts, remedies, loads; why, how long, did it help.",
        "viewer",
        parameters=(*_WINDOW, _query("limit", "Most lines.", {"type": "integer", "minimum": 1, "maximum": 200})),
        answer=_listed("history", ref("Rung")),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/model/versions",
        "The versions in the model's folder, and what is known of each.",
        "viewer",
        answer=(200, JSON, ref("Versions")),
    ),
    Call(
        "post",
        "/api/model/version",
        "Put another version into service; 202 while it still loads.",
        "operator",
        body=_json(
            object_of(
                "version",
                version={"type": "string", "minLength": 1, "maxLength": 200},
                force={"type": "boolean", "default": False},
                reason={"type": "string", "maxLength": 500},
                wait_seconds={"type": "number", "minimum": 0, "maximum": 60, "default": 10},
            ),
            required=True,
        ),
        answer=(200, JSON, object_of("switch", switch=ref("Switch"))),
        errors=(400, 404, 409, 415, 422),
    ),
    Call(
        "post",
        "/api/process/restart",
        "End the server process and start a new one; in safe mode perhaps with the last good version.",
        "operator",
        body=_json(
            object_of(
                reason={"type": "string", "maxLength": 500},
                roll_back={"type": "boolean", "default": False},
            )
        ),
        answer=_ACCEPTED,
        errors=(400, 409, 415, 422),
    ),
    Call(
        "get",
        "/api/alerts",
        "Current alerts; with a window, those that fired in it.",
        "viewer",
        parameters=(
            _query("state", "Only this state.", {"enum": ["pending", "firing", "acknowledged", "resolved"]}),
            *_WINDOW,
        ),
        answer=_listed("alerts", ALERT),
        errors=(422,),
    ),
    Call(
        "post",
        "/api/alerts/{alert_id}/ack",
        "Acknowledge a firing alert.",
        "operator",
        parameters=(_ALERT_ID,),
        body=_GIVEN_REASON,
        answer=(200, JSON, object_of("alert", alert=ALERT)),
        errors=(400, 404, 409, 415, 422),
    ),
    Call(
        "delete",
        "/api/alerts/{alert_id}/ack",
        "Take an acknowledgement back.",
        "operator",
        parameters=(_ALERT_ID,),
        answer=(200, JSON, object_of("alert", alert=ALERT)),
        errors=(404, 409),
    ),
    Call(
        "get",
        "/api/events",
        "Alerts, incidents and actions of a window, oldest first.",
        "viewer",
        parameters=_WINDOW,
        answer=_listed("events", ref("Event")),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/audit",
        "Who did what (7 days without a window).",
        "admin",
        parameters=_WINDOW,
        answer=_listed("entries", ref("AuditEntry")),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/export.csv",
        "History as CSV, streamed.",
        "viewer",
        parameters=_EXPORT,
        answer=(200, "text/csv", STRING),
        errors=(400, 422),
    ),
    Call(
        "get",
        "/api/export/estimate",
        "How large such a CSV file would be, about.",
        "viewer",
        parameters=_EXPORT,
        answer=(200, JSON, ref("ExportEstimate")),
        errors=(400, 422),
    ),
    Call(
        "get",
        "/api/panels",
        "The history of a page's panels.",
        "viewer",
        parameters=(
            _query("page", "overview, alerts or model."),
            *_WINDOW,
            _query("step", "Milliseconds.", {"type": "integer", "minimum": 1}),
            _query("panel[]", "Only these panels.", array(STRING)),
        ),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/storage",
        "What the history takes and costs, when it reaches its limit, and what is wrong with the store.",
        "viewer",
        answer=(200, JSON, ref("Storage")),
    ),
    Call("get", "/api/openapi.json", "This description.", "viewer"),
    Call("get", "/api/", "This description, for people.", "viewer", answer=(200, "text/html", STRING)),
    *_prometheus(
        "query",
        "Evaluate PromQL at one moment.",
        _query("query", "PromQL.", required=True),
        _query("time", "RFC 3339 or seconds since 1970; now without it."),
        _TIMEOUT,
        _LOOKBACK,
        _STATS,
        _LIMIT,
        post=True,
        errors=_EVALUATION_ERRORS,
    ),
    *_prometheus(
        "query_range",
        "Evaluate PromQL over a range.",
        _query("query", "PromQL.", required=True),
        _query("start", "RFC 3339 or seconds since 1970.", required=True),
        _query("end", "As start.", required=True),
        _query("step", "Seconds or a duration.", required=True),
        _TIMEOUT,
        _LOOKBACK,
        _STATS,
        _LIMIT,
        post=True,
        errors=_EVALUATION_ERRORS,
    ),
    *_prometheus(
        "query_exemplars",
        "Traces behind samples: there are none.",
        _query("query", "PromQL.", required=True),
        *_WINDOW,
        post=True,
    ),
    *_prometheus("series", "Label sets that selectors mean.", _MATCH | {"required": True}, *_WINDOW, _LIMIT, post=True),
    *_prometheus("labels", "All label names.", _MATCH, *_WINDOW, _LIMIT, post=True),
    *_prometheus("label/{name}/values", "All values of a label.", _LABEL, _MATCH, *_WINDOW, _LIMIT),
    *_prometheus(
        "metadata",
        "Type, unit and meaning of metrics.",
        _query("metric", "Only this one."),
        _LIMIT,
        _query("limit_per_metric", "Most entries for each.", {"type": "integer", "minimum": 0}),
    ),
    *_prometheus(
        "rules",
        "Every rule and how it is doing.",
        _query("type", "alert or record."),
        _query("rule_name[]", "Only these rules.", array(STRING)),
        _query("rule_group[]", "Only these groups.", array(STRING)),
        _query("file[]", "Only these files.", array(STRING)),
        _MATCH,
        _query("exclude_alerts", "Leave the alerts out."),
        _query("group_limit", "Most groups; the rest is had with group_next_token.", {"type": "integer", "minimum": 1}),
        _query("group_next_token", "groupNextToken of the answer before."),
    ),
    *_prometheus("alerts", "Pending and firing alerts.", errors=()),
    *_prometheus("status/buildinfo", "What answers here.", errors=()),
    *_prometheus("status/runtimeinfo", "How the server process is doing.", errors=()),
    *_prometheus("status/flags", "Settings that Prometheus has as flags.", errors=()),
    *_prometheus("status/config", "Settings that Prometheus has in its file.", errors=()),
    *_prometheus("status/tsdb", "How many series there are, and of what.", _LIMIT),
    *_prometheus("targets", "What is scraped over HTTP: nothing.", errors=()),
    *_prometheus("alertmanagers", "Where alerts are sent on to: nowhere.", errors=()),
)
