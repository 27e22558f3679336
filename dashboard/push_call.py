"""The calls by which cron jobs give signs of life, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from typing import Any

from dashboard.call import OPEN, Call
from dashboard.schema import STRING, Schema

_TEXT = "text/plain"
_TOKEN: dict[str, Any] = {"name": "token", "in": "path", "required": True, "schema": STRING}
_MESSAGE: Schema = {"type": "string", "maxLength": 2000}


def _query(name: str, text: str, kind: Schema) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "required": False, "schema": kind}


_PARAMETERS = (_TOKEN, _query("msg", "What to say of it; without it, the beginning of a POST's body.", _MESSAGE))
_STATUS = _query("status", "down is a sign of failure.", {"enum": ["up", "down"], "default": "up"})
_BODY: dict[str, Any] = {"required": False, "content": {_TEXT: {"schema": STRING}}}


def _call(method: str, path: str, summary: str, *more: dict[str, Any]) -> Call:
    return Call(
        method,
        path,
        summary,
        "open",  # to whoever has the address
        OPEN,
        (*_PARAMETERS, *more),
        _BODY if method == "post" else None,
        (200, _TEXT, STRING),
        (404, 429),
    )


_SIGN, _FAIL = "A sign of life of a target that expects one.", "A sign that its work has failed."
CALLS: tuple[Call, ...] = (
    _call("get", "/push/{token}", _SIGN, _STATUS),
    _call("post", "/push/{token}", _SIGN, _STATUS),
    _call("get", "/push/{token}/fail", _FAIL),
    _call("post", "/push/{token}/fail", _FAIL),
)
