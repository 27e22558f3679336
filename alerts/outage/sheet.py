"""Alerts and incidents as CSV: a piece at a time, in UTF-8, safe to open in a spreadsheet.

Times are ISO 8601 in UTC, durations seconds. A text that a spreadsheet would take for a formula gets an apostrophe in
front, as labels and notes of strangers end up here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

import orjson

from alerts.outage.failure import pace, recovered
from alerts.state import Alert
from storage.export import quote
from storage.incident import DOWN, Incident, IncidentLog

ALERT_COLUMNS = (
    "id", "rule", "group", "state", "severity", "level", "labels", "summary", "value", "active", "fired", "resolved",
    "firing_seconds", "acknowledged", "acknowledged_by", "reason", "ended_by", "source", "incident",
)  # fmt: skip
INCIDENT_COLUMNS = (
    "id", "part_of", "kind", "cause", "summary", "level", "started", "ended", "over", "detected", "acknowledged",
    "recovered", "seconds", "seconds_to_detect", "seconds_to_acknowledge", "seconds_to_recover",
)  # fmt: skip

TARGET_COLUMNS = ("target", "probe", "reason", "started", "detected", "ended", "seconds")

#: Beginnings that spreadsheets take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: Lines of a piece.
_LINES = 200

Cell = str | int | float | None


def alert_sheet(alerts: Iterable[tuple[Alert, int | None]], now_ms: int) -> Iterator[bytes]:
    """Alerts with the ids of their incidents."""
    return _sheet(ALERT_COLUMNS, (_alert_cells(alert, incident, now_ms) for alert, incident in alerts))


def incident_sheet(log: IncidentLog, start_ms: int, end_ms: int, now_ms: int) -> Iterator[bytes]:
    """The incidents of a window, parts of outages included."""
    rows = (_incident_cells(log, one, now_ms) for one in log.outages(start_ms, end_ms))
    return _sheet(INCIDENT_COLUMNS, rows)


class TargetOutage(Protocol):
    """A stretch in which a probe said that its target is down; it lasts while ``ended_ms`` is None."""

    @property
    def target(self) -> str: ...
    @property
    def probe(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def started_ms(self) -> int: ...
    @property
    def detected_ms(self) -> int: ...
    @property
    def ended_ms(self) -> int | None: ...


def outage_sheet(outages: Iterable[TargetOutage], now_ms: int) -> Iterator[bytes]:
    """Outages of targets, as they were noted; one that lasts counts up to now."""
    rows = (
        (
            one.target, one.probe, one.reason, _time(one.started_ms), _time(one.detected_ms), _time(one.ended_ms),
            max(0, (now_ms if one.ended_ms is None else one.ended_ms) - one.started_ms) / 1000,
        )
        for one in outages
    )  # fmt: skip
    return _sheet(TARGET_COLUMNS, rows)


def _alert_cells(alert: Alert, incident: int | None, now_ms: int) -> Sequence[Cell]:
    end_ms = now_ms if alert.resolved_ms is None else alert.resolved_ms
    labels = orjson.dumps(dict(alert.labels), option=orjson.OPT_SORT_KEYS).decode()
    return (
        alert.id, alert.rule, alert.group, alert.state, alert.severity, alert.level, labels, alert.summary, alert.value,
        _time(alert.active_ms), _time(alert.firing_ms), _time(alert.resolved_ms),
        None if alert.firing_ms is None else max(0, end_ms - alert.firing_ms) / 1000,
        _time(alert.ack_ms), alert.ack_by, alert.ack_reason, alert.ended_by, alert.source, incident or None,
    )  # fmt: skip


def _incident_cells(log: IncidentLog, one: Incident, now_ms: int) -> Sequence[Cell]:
    lone = one.part_of is None and one.kind in (*DOWN, "alert")
    recovered_ms = recovered(one, log.parts(one.id)) if lone else one.ended_ms
    speed = pace(one, recovered_ms, now_ms)
    own = now_ms if one.ended_ms is None else one.ended_ms
    seconds = speed.seconds if lone else max(0, own - one.started_ms) / 1000
    return (
        one.id, one.part_of, one.kind, one.cause, one.summary, one.level, _time(one.started_ms), _time(one.ended_ms),
        _time(one.over_ms), _time(one.detected_ms), _time(one.acknowledged_ms), _time(recovered_ms), seconds,
        speed.detect, speed.acknowledge, speed.recover,
    )  # fmt: skip


def _sheet(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    lines = [",".join(columns)]
    for row in rows:
        lines.append(",".join(cell_text(cell) for cell in row))
        if len(lines) >= _LINES:
            yield _piece(lines)
            lines = []
    if lines:
        yield _piece(lines)


def cell_text(cell: Cell) -> str:
    """A cell as CSV has it; nothing for None. Numbers are numbers, also negative ones."""
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return repr(cell)
    return quote(f"'{cell}" if cell.startswith(_FORMULA) else cell)


def _piece(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _time(time_ms: int | None) -> str | None:
    if time_ms is None:
        return None
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
