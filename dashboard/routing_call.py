"""The calls of the routing, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from dashboard.call import JSON, Call
from dashboard.routing import MAX_LABELS
from dashboard.schema import INTEGER, MAYBE_INTEGER, MAYBE_STRING, STRING, Schema, array, object_of, ref

_BOOLEAN: Schema = {"type": "boolean"}
_LABELS: Schema = {"type": "object", "additionalProperties": STRING}
_TIMES: Schema = {"type": "object", "additionalProperties": INTEGER}
_LEVELS = array({"type": "integer", "minimum": 1, "maximum": 3})
_RECEIVER = object_of("name", "channels", name=STRING, channels=array(STRING))

SCHEMAS: dict[str, Schema] = {
    "Route": object_of(
        "path",
        "receiver",
        "matchers",
        "group_by",
        "routes",
        path=STRING,
        receiver=STRING,
        matchers=array(STRING),
        levels=_LEVELS,
        group_by=array(STRING),
        group_wait=STRING,
        group_interval=STRING,
        repeat_interval=STRING,
        mute_time_intervals=array(STRING),
        active_time_intervals=array(STRING),
        escalation=array(object_of("after", "receiver", after=STRING, receiver=STRING)),
        quiet_hours=array(object_of("time_intervals", "levels", time_intervals=array(STRING), levels=_LEVELS)),
        **{"continue": _BOOLEAN},
        routes=array(ref("Route")),
    ),
    "Rota": object_of(
        "name",
        "now",
        name=STRING,
        timezone=STRING,
        receivers=array(STRING),
        now=STRING,
        until_ms=MAYBE_INTEGER,
        next=MAYBE_STRING,
    ),
    "AlertGroup": object_of(
        "route",
        "receiver",
        "labels",
        "alerts",
        "next_ms",
        route=STRING,
        receiver=STRING,
        labels=_LABELS,
        alerts=array(INTEGER),
        next_ms=INTEGER,
        escalates_ms=MAYBE_INTEGER,
        told_ms=_TIMES,
    ),
    "Explanation": object_of(
        "route",
        "receiver",
        "on_call",
        "channels",
        "muted_by",
        route=STRING,
        matchers=STRING,
        receiver=STRING,
        on_call=STRING,
        channels=array(STRING),
        group_labels=_LABELS,
        muted_by=array(
            object_of(
                "kind",
                "names",
                kind={"enum": ["inhibited", "time_interval", "silenced", "quiet_hours", "acknowledged"]},
                names=array(STRING),
            )
        ),
        told_ms=_TIMES,
        created_ms=MAYBE_INTEGER,
        next_ms=MAYBE_INTEGER,
    ),
}

CALLS: tuple[Call, ...] = (
    Call(
        "get",
        "/api/routing",
        "Who is told what: the tree of routes, receivers, who is on call, and the groups that there are.",
        "viewer",
        answer=(
            200,
            JSON,
            object_of(
                "file",
                "tree",
                "receivers",
                "rotas",
                "unsupported",
                file=MAYBE_STRING,
                tree=ref("Route"),
                receivers=array(_RECEIVER),
                rotas=array(ref("Rota")),
                inhibit_rules=array(STRING),
                unsupported=array(STRING),
                notes=array(STRING),
                problems=array(STRING),
                groups=array(ref("AlertGroup")),
            ),
        ),
    ),
    Call(
        "post",
        "/api/routing/explain",
        "Who hears of an alert with these labels, by which routes, and what keeps it back now.",
        "viewer",
        body={
            "required": True,
            "content": {JSON: {"schema": object_of("labels", labels=_LABELS | {"maxProperties": MAX_LABELS})}},
        },
        answer=(
            200,
            JSON,
            object_of(
                "receivers",
                "route",
                "muted_by",
                "routes",
                receivers=array(_RECEIVER),
                route=array(STRING),
                muted_by=array(STRING),
                routes=array(ref("Explanation")),
            ),
        ),
        errors=(400, 415, 422),
    ),
)
