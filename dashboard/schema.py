"""The shapes of what the API answers, as JSON Schema, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
MAYBE_STRING: Schema = {"type": ["string", "null"]}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
MAYBE_INTEGER: Schema = {"type": ["integer", "null"]}
ANY_OBJECT: Schema = {"type": "object"}


def ref(name: str) -> Schema:
    """A reference to one of :data:`SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(item: Schema) -> Schema:
    """A list of ``item``."""
    return {"type": "array", "items": item}


def object_of(*required: str, **properties: Schema) -> Schema:
    """An object with these properties."""
    found: Schema = {"type": "object", "properties": properties}
    return found | {"required": list(required)} if required else found


ALERT = ref("Alert")
HEALTH = ref("Health")

SCHEMAS: dict[str, Schema] = {
    "Problem": object_of(
        "type",
        "title",
        "status",
        "detail",
        type=STRING,
        title=STRING,
        status=INTEGER,
        detail=STRING,
        request_id=MAYBE_STRING,
        suggestion=STRING,
        field=STRING,
        reason=STRING,
        differs=array(STRING),
    ),
    "Health": object_of(
        "status",
        "timestamp",
        "uptime",
        status={"enum": ["ok", "unavailable"]},
        timestamp={"type": "string", "format": "date-time"},
        uptime=NUMBER,
        reason=MAYBE_STRING,
        suggestion=MAYBE_STRING,
        trace_id=STRING,
        check=STRING,
        checked=STRING,
        checks=ANY_OBJECT,
        gpu_memory={"type": ["object", "null"]},
    ),
    "Prediction": object_of(
        "request_id",
        "model",
        "version",
        "result",
        "timings",
        request_id=STRING,
        model=STRING,
        version=STRING,
        result={},
        timings=object_of(
            "total_seconds", queue_seconds=MAYBE_NUMBER, compute_seconds=MAYBE_NUMBER, total_seconds=NUMBER
        ),
        degraded={"enum": ["fallback", "stale", "default"]},
        reason=STRING,
        brownout=NUMBER,
    ),
    "Switch": object_of(
        "version",
        "state",
        version=STRING,
        before=MAYBE_STRING,
        forced={"type": "boolean"},
        began_ms=INTEGER,
        state={"enum": ["loading", "done", "failed"]},
        seconds=MAYBE_NUMBER,
        reason=MAYBE_STRING,
        suggestion=MAYBE_STRING,
        differs=array(STRING),
    ),
    "Versions": object_of(
        "serving",
        "last_good",
        "versions",
        "probation",
        "switch",
        serving=MAYBE_STRING,
        last_good=MAYBE_STRING,
        versions=array(
            object_of(
                "version",
                "serving",
                "last_good",
                "state",
                version=STRING,
                serving={"type": "boolean"},
                last_good={"type": "boolean"},
                state={"enum": ["unknown", "trial", "canary", "good", "failed", "refused", "rolled_back"]},
                checked_ms=MAYBE_INTEGER,
                golden=MAYBE_INTEGER,
                load_seconds=MAYBE_NUMBER,
                reason=MAYBE_STRING,
                suggestion=MAYBE_STRING,
                differs=array(STRING),
            )
        ),
        probation={
            "anyOf": [
                {"type": "null"},
                object_of(
                    "version",
                    "left_seconds",
                    version=STRING,
                    left_seconds=NUMBER,
                    last_good=MAYBE_STRING,
                    requests=INTEGER,
                    failures=INTEGER,
                ),
            ]
        },
        switch={"anyOf": [{"type": "null"}, ref("Switch")]},
    ),
    "Rung": object_of(
        "time_ms",
        "kind",
        "cause",
        "why",
        "action",
        time_ms=INTEGER,
        kind={"enum": ["restart", "remedy", "trouble", "action"]},
        cause=STRING,
        why=STRING,
        action={
            "enum": [
                "start",
                "start_other",
                "start_without",
                "reload",
                "rollback",
                "end_canary",
                "asked",
                "stop",
                "none",
            ]
        },
        seconds=MAYBE_NUMBER,
        helped={"type": ["boolean", "null"]},
        outcome=MAYBE_STRING,
        detail={"type": "object"},
    ),
    "Intake": {
        "description": "What the model takes, for a form to try it with; null while none serves.",
        **object_of(
            "forms",
            "types",
            "example",
            "streams",
            forms={
                "description": "How a body can be given; empty where the model does not say.",
                **array({"enum": ["json", "text", "file"]}),
            },
            types={"description": "Content types of the body, as its schema names them.", **array(STRING)},
            example={"description": "A document, or a text, made from its schema; null without one."},
            streams={"type": "boolean", "description": "Whether it answers Accept: text/event-stream in steps."},
        ),
        "type": ["object", "null"],
    },
    "Model": object_of(
        "status",
        "health",
        "remedies",
        "retreat",
        "intake",
        status=ANY_OBJECT,
        health=ANY_OBJECT,
        remedies=array(ANY_OBJECT),
        retreat={"type": ["object", "null"]},
        intake=ref("Intake"),
    ),
    "Accepted": object_of("accepted", accepted={"type": "boolean"}, last_seconds=MAYBE_NUMBER),
    "Alert": object_of(
        "id",
        "rule",
        "state",
        id=INTEGER,
        fingerprint=STRING,
        rule=STRING,
        group=STRING,
        state={"enum": ["pending", "firing", "acknowledged", "resolved"]},
        severity=STRING,
        level=INTEGER,
        labels=ANY_OBJECT,
        annotations=ANY_OBJECT,
        value=MAYBE_NUMBER,
        active_ms=INTEGER,
        firing_ms=MAYBE_INTEGER,
        resolved_ms=MAYBE_INTEGER,
        seen_ms=INTEGER,
        ack_by=MAYBE_STRING,
        ack_reason=MAYBE_STRING,
        ack_ms=MAYBE_INTEGER,
        silenced_by=array(STRING) | {"description": "Ids of silences."},
        muted_by=array(STRING) | {"description": "Names of maintenance windows."},
        inhibited_by=array(STRING) | {"description": "Rules of alerts that explain it."},
        summary=STRING,
        description=STRING,
        action=STRING,
    ),
    "Event": object_of(
        "time_ms",
        "kind",
        "level",
        "title",
        time_ms=INTEGER,
        end_ms=MAYBE_INTEGER,
        kind={"enum": ["alert", "incident", "action"]},
        level={"enum": ["info", "warning", "critical"]},
        title=STRING,
        detail=STRING,
        annotations=ANY_OBJECT,
    ),
    "Request": object_of(
        "request_id",
        "time_ms",
        "status",
        "outcome",
        request_id=STRING,
        time_ms=INTEGER,
        status=INTEGER,
        outcome=STRING,
        result_class=MAYBE_STRING,
        model=STRING,
        version=STRING,
        total_seconds=NUMBER,
        queue_seconds=MAYBE_NUMBER,
        compute_seconds=MAYBE_NUMBER,
        input=ANY_OBJECT,
        error=MAYBE_STRING,
        route=MAYBE_STRING,
        fingerprint=MAYBE_STRING,
    ),
    "AuditEntry": object_of(
        "time_ms", "actor", "action", time_ms=INTEGER, actor=STRING, action=STRING, target=STRING, detail=ANY_OBJECT
    ),
    "ExportEstimate": object_of("series", "rows", "bytes", series=INTEGER, rows=INTEGER, bytes=INTEGER),
    "Storage": object_of(
        "bytes",
        "limit_bytes",
        "retention_days",
        "oldest_ms",
        "newest_ms",
        "reaches_limit_ms",
        "sources",
        "problems",
        bytes=INTEGER,
        limit_bytes=MAYBE_INTEGER,
        retention_days=NUMBER,
        oldest_ms=MAYBE_INTEGER,
        newest_ms=MAYBE_INTEGER,
        reaches_limit_ms=MAYBE_INTEGER,
        sources=array(
            object_of(
                "source",
                "series",
                "samples_per_second",
                "bytes",
                "bytes_per_sample",
                source=STRING,
                series=INTEGER,
                samples_per_second=NUMBER,
                bytes=INTEGER,
                bytes_per_sample=MAYBE_NUMBER,
            )
        ),
        problems=array(
            object_of(
                "kind",
                "since_ms",
                "what",
                "advice",
                kind=STRING,
                since_ms=INTEGER,
                what=STRING,
                advice=STRING,
                detail=STRING,
            )
        ),
    ),
    "PrometheusAnswer": object_of(
        "status", "data", status={"const": "success"}, data={}, warnings=array(STRING), infos=array(STRING)
    ),
    "PrometheusError": object_of(
        "status", "errorType", "error", status={"const": "error"}, errorType=STRING, error=STRING
    ),
}
