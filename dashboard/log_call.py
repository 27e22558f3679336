"""The calls about the logs of targets, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from typing import Any

from dashboard.call import JSON, Call
from dashboard.schema import INTEGER, MAYBE_INTEGER, MAYBE_STRING, NUMBER, STRING, Schema, array, object_of, ref

_BOOLEAN: Schema = {"type": "boolean"}
_LEVEL: Schema = {"type": "integer", "minimum": 1, "maximum": 3}


def _query(name: str, text: str, kind: Schema = STRING) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "required": False, "schema": kind}


SCHEMAS: dict[str, Schema] = {
    "LogEvent": object_of(
        "id", "target", "source", "pattern", "level", "first_ms", "last_ms", "count", "raised", "text", "context",
        id=INTEGER, target=STRING, source=STRING, pattern=STRING, level=_LEVEL, fingerprint=STRING, first_ms=INTEGER,
        last_ms=INTEGER, raised_ms=MAYBE_INTEGER, count=INTEGER, raised=_BOOLEAN, text=STRING, context=array(STRING),
    ),
    "LogSource": object_of(
        "target", "source", "up", "error", "lines", "bytes", "behind_bytes", "gaps", "read_ms",
        target=STRING, source=STRING, up={"type": ["boolean", "null"]}, error=MAYBE_STRING, lines=INTEGER,
        bytes=INTEGER, behind_bytes=INTEGER, gaps=INTEGER, read_ms=MAYBE_INTEGER,
    ),
    "LogTrial": object_of(
        "entries", "counts", "active", "series",
        entries=array(object_of("line", "text", "patterns", line=INTEGER, text=STRING, patterns=array(STRING))),
        counts={"type": "object", "additionalProperties": INTEGER},
        active=array(STRING),
        series=array(
            object_of(
                "name", "labels", "value",
                name=STRING, labels={"type": "object", "additionalProperties": STRING}, value=NUMBER,
            )
        ),
    ),
}  # fmt: skip

CALLS: tuple[Call, ...] = (
    Call(
        "get",
        "/api/logs/events",
        "What patterns have found in the logs of targets; of the last 7 days without a window.",
        "viewer",
        parameters=(
            _query("target", "Only of this target."),
            _query("pattern", "Only of this pattern."),
            _query("level", "Only of this level.", _LEVEL),
            _query("q", "Text in the line or the pattern's name, in any case."),
            _query("start", "RFC 3339, or seconds or milliseconds since 1970."),
            _query("end", "As start; now without it."),
            _query("limit", "Most events.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 200}),
        ),
        answer=(200, JSON, object_of("events", "more", events=array(ref("LogEvent")), more=_BOOLEAN)),
        errors=(422,),
    ),
    Call(
        "get",
        "/api/logs/sources",
        "How the reading of each log goes.",
        "viewer",
        answer=(200, JSON, object_of("sources", sources=array(ref("LogSource")))),
    ),
    Call(
        "post",
        "/api/logs/try",
        "What patterns or a profile would find in pasted lines. Nothing is kept.",
        "operator",
        body={
            "required": True,
            "content": {
                JSON: {
                    "schema": object_of(
                        "lines",
                        lines={"type": "string", "maxLength": 256 * 1024},
                        profile=MAYBE_STRING,
                        multiline=MAYBE_STRING,
                        patterns=array({"type": "object"}),
                    )
                }
            },
        },
        answer=(200, JSON, ref("LogTrial")),
        errors=(400, 415, 422),
    ),
)
