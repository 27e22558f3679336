"""The calls of reports, described for :mod:`dashboard.openapi`."""

from __future__ import annotations

from dashboard.call import JSON, Call
from dashboard.schema import ANY_OBJECT, INTEGER, MAYBE_NUMBER, NUMBER, STRING, Schema, array, object_of, ref

_PERIOD: Schema = {"enum": ["day", "week", "month"]}
_DATE: Schema = {"type": "string", "format": "date"}


def _query(name: str, text: str, kind: Schema) -> Schema:
    return {"name": name, "in": "query", "description": text, "required": False, "schema": kind}


SCHEMAS: dict[str, Schema] = {
    "Report": object_of(
        "period", "first", "last", "start_ms", "end_ms", "until_ms", "covered", "availability", "traffic", "told",
        form=INTEGER, service=STRING, period=_PERIOD, first=_DATE, last=_DATE, zone=STRING, start_ms=INTEGER,
        end_ms=INTEGER, until_ms=INTEGER, made_ms=INTEGER, since_ms=INTEGER, covered=NUMBER, slow_seconds=NUMBER,
        price_per_kwh=NUMBER, currency=STRING,
        availability=object_of(
            "ratio", "seconds_down", ratio=MAYBE_NUMBER, since_ms=INTEGER, seconds_down=NUMBER, seconds_planned=NUMBER
        ),
        traffic=ANY_OBJECT, earlier=ANY_OBJECT, change=ANY_OBJECT, incidents=ANY_OBJECT, alerts=ANY_OBJECT,
        gpus=array(ANY_OBJECT), forecasts=array(ANY_OBJECT), advice=array(ANY_OBJECT), told=ANY_OBJECT,
    ),
}  # fmt: skip

CALLS: tuple[Call, ...] = (
    Call(
        "get",
        "/api/reports",
        "What is said of a day, a week or a month.",
        "viewer",
        parameters=(
            _query("period", "day without it.", _PERIOD),
            _query("date", "A day of the period; without it the last period that is over.", _DATE),
            _query("tz", "Whose days, e.g. Asia/Shanghai; the server's without it.", STRING),
        ),
        answer=(200, JSON, ref("Report")),
        errors=(422, 503),
    ),
    Call(
        "get",
        "/api/reports/list",
        "The reports that were sent on schedule, and what the schedule is.",
        "viewer",
        answer=(
            200,
            JSON,
            object_of(
                "reports",
                "schedule",
                "channels",
                reports=array(
                    object_of("period", "first", period=_PERIOD, first=_DATE, start_ms=INTEGER, end_ms=INTEGER)
                ),
                schedule=ANY_OBJECT,
                channels=array(STRING),
            ),
        ),
    ),
    Call(
        "post",
        "/api/reports/send",
        "Send a report to the channels that reports go to, now.",
        "operator",
        body={
            "required": True,
            "content": {JSON: {"schema": object_of("period", period=_PERIOD, date=_DATE)}},
        },
        answer=(202, JSON, object_of("channels", channels=array(STRING))),
        errors=(400, 409, 415, 422, 503),
    ),
)
