"""The calls by which others send metrics, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from typing import Any

from dashboard.call import JSON, Call
from dashboard.schema import STRING, Schema, object_of

PROTOBUF = "application/x-protobuf"
_BINARY: Schema = {"type": "string", "format": "binary"}
_PARTIAL: dict[str, Any] = object_of(partialSuccess=object_of(rejectedDataPoints=STRING, errorMessage=STRING))
_ERRORS = (400, 404, 408, 413, 415, 429, 503)

CALLS: tuple[Call, ...] = (
    Call(
        "post",
        "/api/v1/write",
        "Send samples by Prometheus' remote write 1.0. 400: some are not kept, and not to be sent again.",
        "operator",
        body={"required": True, "content": {PROTOBUF: {"schema": _BINARY}}},
        answer=(204, "text/plain", {"type": "string", "maxLength": 0}),
        errors=_ERRORS,
    ),
    Call(
        "post",
        "/v1/metrics",
        "Send metrics by OTLP over HTTP, as protobuf or JSON; what is not kept is told by partial_success.",
        "operator",
        body={"required": True, "content": {PROTOBUF: {"schema": _BINARY}, JSON: {"schema": {"type": "object"}}}},
        answer=(200, JSON, _PARTIAL),
        other=((PROTOBUF, _BINARY),),
        errors=_ERRORS,
    ),
)
