"""The calls of Alertmanager's API, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from typing import Any

from dashboard.call import JSON, Call
from dashboard.schema import INTEGER, STRING, Schema, array, object_of, ref

ALERTMANAGER = "Alertmanager API"

_BOOLEAN: Schema = {"type": "boolean"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_LABELS: Schema = {"type": "object", "additionalProperties": STRING}
_RECEIVER = object_of("name", name=STRING)
_NOTHING: Schema = {"type": "string", "maxLength": 0}
_FLAG: Schema = {"type": "boolean", "default": True}
_SILENCE_FIELDS: dict[str, Schema] = {
    "matchers": array(ref("AlertmanagerMatcher")) | {"minItems": 1},
    "startsAt": _TIME,
    "endsAt": _TIME,
    "createdBy": STRING,
    "comment": STRING,
}

SCHEMAS: dict[str, Schema] = {
    "AlertmanagerError": {"anyOf": [STRING, object_of("code", "message", code=INTEGER, message=STRING)]},
    "AlertmanagerMatcher": object_of(
        "name", "value", "isRegex", name=STRING, value=STRING, isRegex=_BOOLEAN, isEqual=_BOOLEAN | {"default": True}
    ),
    "AlertmanagerAlert": object_of(
        *("annotations", "endsAt", "fingerprint", "receivers", "startsAt", "status", "updatedAt", "labels"),
        annotations=_LABELS,
        endsAt=_TIME,
        fingerprint=STRING,
        receivers=array(_RECEIVER),
        startsAt=_TIME,
        status=object_of(
            *("inhibitedBy", "silencedBy", "state"),
            inhibitedBy=array(STRING),
            silencedBy=array(STRING),
            state={"enum": ["active", "suppressed", "unprocessed"]},
        ),
        updatedAt=_TIME,
        generatorURL=STRING,
        labels=_LABELS,
    ),
    "AlertmanagerPostable": object_of(
        "labels", labels=_LABELS, annotations=_LABELS, startsAt=_TIME, endsAt=_TIME, generatorURL=STRING
    ),
    "AlertmanagerSilence": object_of(
        *("id", "status", "updatedAt", *_SILENCE_FIELDS),
        id=STRING,
        status=object_of("state", state={"enum": ["active", "pending", "expired"]}),
        updatedAt=_TIME,
        **_SILENCE_FIELDS,
    ),
}


def _query(name: str, text: str, kind: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "required": False, "schema": kind}


def _body(kind: Schema) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": kind}}}


_FILTER = _query("filter", "A matcher such as severity=critical; may be repeated, then all must hold.", array(STRING))
_RECEIVER_QUERY = _query("receiver", "A regular expression that must match a receiver's whole name.", STRING)
_ALERTS = (
    _FILTER,
    _RECEIVER_QUERY,
    _query("active", "Those that nothing keeps back.", _FLAG),
    _query("silenced", "Those that a silence or a maintenance window keeps back.", _FLAG),
    _query("inhibited", "Those that another alert keeps back.", _FLAG),
)
_UNPROCESSED = _query("unprocessed", "Leaves nothing out: alerts are never unprocessed.", _FLAG)
_ID = {"name": "silence_id", "in": "path", "description": "A UUID.", "required": True, "schema": STRING}


def _call(method: str, path: str, summary: str, access: str, **rest: Any) -> Call:
    return Call(method, f"/api/v2/{path}", summary, access, tag=ALERTMANAGER, **rest)


CALLS: tuple[Call, ...] = (
    _call(
        "get",
        "alerts",
        "The alerts that fire, ours and those of other servers.",
        "viewer",
        parameters=(*_ALERTS, _UNPROCESSED),
        answer=(200, JSON, array(ref("AlertmanagerAlert"))),
        errors=(400,),
    ),
    _call(
        "post",
        "alerts",
        "Take another server's alerts; the good ones are taken, also where some are not.",
        "operator",
        body=_body(array(ref("AlertmanagerPostable"))),
        answer=(200, "text/plain", _NOTHING),
        errors=(400, 415, 422),
    ),
    _call(
        "get",
        "alerts/groups",
        "The same, as notices tell of them together.",
        "viewer",
        parameters=_ALERTS,
        answer=(
            200,
            JSON,
            array(
                object_of(
                    *("alerts", "labels", "receiver"),
                    alerts=array(ref("AlertmanagerAlert")),
                    labels=_LABELS,
                    receiver=_RECEIVER,
                )
            ),
        ),
        errors=(400,),
    ),
    _call(
        "get",
        "silences",
        "Every silence that is known, expired ones among them.",
        "viewer",
        parameters=(_FILTER,),
        answer=(200, JSON, array(ref("AlertmanagerSilence"))),
        errors=(400,),
    ),
    _call(
        "post",
        "silences",
        "Make a silence, or change the one whose id is given.",
        "operator",
        body=_body(
            object_of(*_SILENCE_FIELDS, id=STRING, **_SILENCE_FIELDS),
        ),
        answer=(200, JSON, object_of("silenceID", silenceID=STRING)),
        errors=(400, 404, 415, 422),
    ),
    _call(
        "get",
        "silence/{silence_id}",
        "One silence.",
        "viewer",
        parameters=(_ID,),
        answer=(200, JSON, ref("AlertmanagerSilence")),
        errors=(404, 422),
    ),
    _call(
        "delete",
        "silence/{silence_id}",
        "End a silence now.",
        "operator",
        parameters=(_ID,),
        answer=(200, "text/plain", _NOTHING),
        errors=(404, 422),
    ),
    _call("get", "receivers", "The receivers' names.", "viewer", answer=(200, JSON, array(_RECEIVER))),
    _call(
        "get",
        "status",
        "What answers here, since when, and how it routes.",
        "viewer",
        answer=(
            200,
            JSON,
            object_of(
                *("cluster", "config", "uptime", "versionInfo"),
                cluster=object_of("status", status=STRING, peers=array({"type": "object"})),
                config=object_of("original", original=STRING),
                uptime=_TIME,
                versionInfo=_LABELS,
            ),
        ),
    ),
)
