"""The calls of channels, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from typing import Any

from dashboard.call import JSON, Call
from dashboard.schema import INTEGER, MAYBE_INTEGER, MAYBE_STRING, NUMBER, STRING, Schema, array, object_of, ref

_BOOLEAN: Schema = {"type": "boolean"}
_KIND: Schema = {"enum": ["apprise", "webhook"]}
_LANGUAGE: Schema = {"enum": ["en", "zh", None]}
_URL: Schema = {"type": "string", "minLength": 1, "maxLength": 4000, "writeOnly": True}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 40}
_OPTIONS: dict[str, Schema] = {
    "kind": _KIND,
    "language": _LANGUAGE,
    "least_level": {"type": "integer", "minimum": 1, "maximum": 3, "default": 2},
    "per_minute": {"type": "number", "minimum": 0, "maximum": 10_000, "default": 0},
    "picture": _BOOLEAN | {"default": True},
    "send_resolved": _BOOLEAN | {"default": True},
    "max_alerts": {"type": "integer", "minimum": 0, "maximum": 10_000, "default": 0},
    "headers": {"type": "object", "additionalProperties": STRING, "maxProperties": 20, "writeOnly": True},
}
_PLACE = {"name": "name", "in": "path", "required": True, "schema": STRING}

SCHEMAS: dict[str, Schema] = {
    "Channel": object_of(
        "name",
        "kind",
        "scheme",
        "origin",
        name=STRING,
        kind=_KIND,
        scheme=STRING,
        origin={"enum": ["settings", "routing", "page"]},
        language=_LANGUAGE,
        least_level=INTEGER,
        per_minute=NUMBER,
        picture=_BOOLEAN,
        send_resolved=_BOOLEAN,
        max_alerts=INTEGER,
        created_by=MAYBE_STRING,
        created_ms=MAYBE_INTEGER,
        problem=MAYBE_STRING,
    ),
    "Trial": object_of("ok", "answer", "seconds", ok=_BOOLEAN, answer=STRING, seconds=NUMBER),
}
_CHANNEL = object_of("channel", channel=ref("Channel"))
_TRIAL = (200, JSON, ref("Trial"))


def _body(*required: str, **properties: Schema) -> dict[str, Any]:
    return {"required": bool(required), "content": {JSON: {"schema": object_of(*required, **properties)}}}


CALLS: tuple[Call, ...] = (
    Call(
        "get",
        "/api/channels",
        "All channels; where they lead is never shown.",
        "viewer",
        answer=(200, JSON, object_of("channels", channels=array(ref("Channel")))),
    ),
    Call(
        "post",
        "/api/channels",
        "Keep a new channel, its URL encrypted.",
        "admin",
        body=_body("name", "url", name=_NAME, url=_URL, **_OPTIONS),
        answer=(201, JSON, _CHANNEL),
        errors=(400, 409, 415, 422),
    ),
    Call(
        "put",
        "/api/channels/{name}",
        "Change a channel that was added here; without a URL it leads where it led.",
        "admin",
        parameters=(_PLACE,),
        body=_body(url=_URL, **_OPTIONS),
        answer=(200, JSON, _CHANNEL),
        errors=(400, 404, 409, 415, 422),
    ),
    Call(
        "delete",
        "/api/channels/{name}",
        "Remove a channel that was added here.",
        "admin",
        parameters=(_PLACE,),
        answer=(200, JSON, object_of("removed", removed=STRING)),
        errors=(404,),
    ),
    Call(
        "post",
        "/api/channels/{name}/test",
        "Send a test through a channel, and tell what its service answered.",
        "admin",
        parameters=(_PLACE,),
        answer=_TRIAL,
        errors=(400, 404, 415, 422),
    ),
    Call(
        "post",
        "/api/channels/test",
        "Send a test through a channel that is not kept.",
        "admin",
        body=_body("url", url=_URL, **_OPTIONS),
        answer=_TRIAL,
        errors=(400, 415, 422),
    ),
)
