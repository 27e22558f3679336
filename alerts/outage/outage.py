"""Outages as they happen: alerts and stretches joined into incidents, with a timeline, whatever kills the process.

What is joined is told by the database alone, and each change is one transaction: a process that dies between two of
them leaves nothing half done, and the next one goes on where it stopped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import structlog
from sqlalchemy import ColumnElement, Connection, Engine, Row, Table, bindparam, insert, select, update

from alerts.outage.cause import explaining
from alerts.outage.joining import REOPEN_MS, Case, Sign, arrange
from alerts.outage.line import Line, LineKey, lines_of, news_of, state_line
from alerts.state import Alert
from storage.incident import DOWN, MINOR, OUTAGE, IncidentLog
from storage.tables import AlertRow, IncidentEntryRow, IncidentRow

log = structlog.get_logger(__name__)

#: Alerts below this level make no incident: they are worth knowing, no more.
LEAST_LEVEL = 2
#: Those of this level keep an incident live for as long as they last.
GRAVE_LEVEL = 3

#: Of the outages that are over, so many at most are asked whether something new belongs to them, the latest first.
MOST_OVER = 100

#: How often the database is asked though nothing seems to have changed.
SWEEP_MS = 60_000

_ALERT_TABLE, _INCIDENT_TABLE = cast(Table, AlertRow.__table__), cast(Table, IncidentRow.__table__)
_ALERTS, _INCIDENTS = _ALERT_TABLE.c, _INCIDENT_TABLE.c
_MEMBER = [
    _ALERTS[name]
    for name in ("id", "incident", "rule", "level", "active_ms", "firing_ms", "resolved_ms", "ack_by", "ack_ms")
]
#: What only new lines need: reading it of all alerts at every change would be most of the work.
_WORDS = [_ALERTS[name] for name in ("id", "labels", "annotations", "ack_reason")]
_STRETCH = [
    _INCIDENTS[name] for name in ("id", "outage", "kind", "cause", "summary", "started_ms", "ended_ms", "detected_ms")
]

#: What decides whether there is anything to do: what the chronicle has written, the minute, and how every alert stands.
_Picture = tuple[int, int, tuple[tuple[int, int | None], ...]]


#: What the timelines of outages have, by the ids of these.
_Written = dict[int, set[LineKey]]


class _Head(NamedTuple):
    """The row that stands for an outage."""

    id: int
    kind: str
    cause: str
    summary: str
    level: int
    started_ms: int
    ended_ms: int | None
    over_ms: int | None
    detected_ms: int | None
    acknowledged_ms: int | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Outage:
    """An outage with what belongs to it in the database; ``case`` knows what is new."""

    head: _Head
    case: Case
    alerts: list[Row[Any]]
    stretches: list[Row[Any]]


class Outages:
    """Joins alerts and stretches into incidents. Used by one thread, that of the tick."""

    def __init__(self, database: Engine, incidents: IncidentLog) -> None:
        self._database = database
        self._incidents = incidents
        self._seen: _Picture | None = None
        #: The lines of the timelines of those that last, so that none is written twice.
        self._written: _Written = {}

    def follow(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """At each tick: bring the incidents up to the alerts that stand now; nearly free while nothing changes.

        Raises :class:`storage.error.StorageError` while the database takes nothing; the next call makes up for it.
        """
        firing = [alert for alert in alerts if alert.is_firing and alert.level >= LEAST_LEVEL]
        # The minute is for what came and went between two ticks, as another server's alert may.
        picture: _Picture = (
            self._incidents.changes, now_ms // SWEEP_MS, tuple((alert.id, alert.ack_ms) for alert in firing),
        )  # fmt: skip
        if picture == self._seen:
            return
        self._seen = None
        written, self._written = self._written, {}
        with self._database.begin() as connection:
            outages = _settle(connection, written, now_ms)
        self._written = {one.head.id: written[one.head.id] for one in outages if one.case.over_ms is None}
        lasting = {row.id for one in outages for row in one.alerts if row.resolved_ms is None}
        if lasting == {alert.id for alert in firing}:  # else the database has yet to hear of some of them
            self._seen = picture


def _settle(connection: Connection, written: _Written, now_ms: int) -> list[_Outage]:
    """Bring all that last up to date, and join what is new; returns those that were looked at."""
    _end_lone_stretches(connection)
    is_new = (_ALERTS.incident.is_(None), _ALERTS.firing_ms.is_not(None), _ALERTS.level >= LEAST_LEVEL)
    alerts = connection.execute(select(*_MEMBER).where(*is_new)).all()
    stretches = connection.execute(select(*_STRETCH).where(_INCIDENTS.outage.is_(None))).all()
    signs = _signs(alerts, stretches)
    outages = _outages(connection, min((sign.time_ms for sign in signs), default=None))
    cases, alone = arrange([one.case for one in outages], signs)
    for sign in alone:
        values = {"outage": _INCIDENTS.id, "over_ms": _INCIDENTS.ended_ms}
        connection.execute(update(IncidentRow).where(_INCIDENTS.id == sign.id).values(**values))
    new_alerts, new_stretches = {row.id: row for row in alerts}, {row.id: row for row in stretches}
    for case in cases[len(outages) :]:
        outages.append(_Outage(_begin(connection, case.fresh[0], new_alerts), case, [], []))
    for one in outages:
        one.alerts.extend(new_alerts[sign.id] for sign in one.case.fresh if sign.is_alert)
        one.stretches.extend(new_stretches[sign.id] for sign in one.case.fresh if not sign.is_alert)
        if one.case.fresh or one.head.over_ms is None:
            _attach(connection, one)
            _update(connection, one, written, now_ms)
    return outages


def _end_lone_stretches(connection: Connection) -> None:
    """What stands for itself and is no outage is over when it ends."""
    connection.execute(
        update(IncidentRow)
        .where(_INCIDENTS.kind.in_(MINOR), _INCIDENTS.over_ms.is_(None), _INCIDENTS.ended_ms.is_not(None))
        .where(_INCIDENTS.outage == _INCIDENTS.id)
        .values(over_ms=_INCIDENTS.ended_ms)
    )


def _outages(connection: Connection, first_ms: int | None) -> list[_Outage]:
    """Those that last, and, unless it is None, those that may be reopened by what began at ``first_ms`` or later."""
    heads = _heads(connection, _INCIDENTS.over_ms.is_(None))
    if first_ms is not None:
        heads += _heads(connection, _INCIDENTS.over_ms >= first_ms - REOPEN_MS, limit=MOST_OVER)
    ids = [head.id for head in heads]
    alerts, stretches = defaultdict(list), defaultdict(list)
    for row in connection.execute(select(*_MEMBER).where(_ALERTS.incident.in_(ids))):
        alerts[row.incident].append(row)
    for row in connection.execute(select(*_STRETCH).where(_INCIDENTS.outage.in_(ids))):
        stretches[row.outage].append(row)
    found = []
    for head in heads:
        case = Case(head.started_ms, _signs(alerts[head.id], stretches[head.id]))
        found.append(_Outage(head, case, alerts[head.id], stretches[head.id]))
    return found


def _heads(connection: Connection, which: ColumnElement[bool], limit: int | None = None) -> list[_Head]:
    query = select(*(_INCIDENTS[name] for name in _Head._fields)).where(_INCIDENTS.kind.in_(OUTAGE), which)
    latest = query.order_by(_INCIDENTS.over_ms.desc(), _INCIDENTS.id.desc()).limit(limit)
    return [_Head(*row) for row in connection.execute(latest.where(_INCIDENTS.outage == _INCIDENTS.id))]


def _written(connection: Connection, head: int) -> set[LineKey]:
    rows = connection.execute(
        select(IncidentEntryRow.kind, IncidentEntryRow.time_ms, IncidentEntryRow.detail).where(
            IncidentEntryRow.incident == head, IncidentEntryRow.kind != "note"
        )
    )
    return {Line(kind, time_ms, "", "", detail).key for kind, time_ms, detail in rows}


def _signs(alerts: Iterable[Row[Any]], stretches: Iterable[Row[Any]]) -> list[Sign]:
    """The rows as signs; that of an outage made of alerts is none of its own."""
    found = []
    for row in alerts:
        times = (row.firing_ms, row.active_ms, row.firing_ms, row.resolved_ms)
        found.append(Sign(row.id, True, *times, grave=row.level >= GRAVE_LEVEL))
    for row in stretches:
        if row.kind != "alert":
            noted_ms = row.started_ms if row.detected_ms is None else row.detected_ms
            times = (row.started_ms, row.started_ms, noted_ms, row.ended_ms)
            found.append(Sign(row.id, False, *times, grave=row.kind in DOWN, minor=row.kind in MINOR))
    return found


def _begin(connection: Connection, first: Sign, alerts: Mapping[int, Row[Any]]) -> _Head:
    """The row of a new outage: its first stretch, or where an alert came first one of its own."""
    id = first.id
    if first.is_alert:
        alert = alerts[first.id]
        row = {
            "kind": "alert", "cause": alert.rule, "summary": alert.rule,
            "started_ms": first.began_ms, "detail": {}, "level": alert.level,
        }  # fmt: skip
        id = connection.execute(insert(IncidentRow).returning(IncidentRow.id), row).scalar_one()
        connection.execute(update(IncidentRow).where(_INCIDENTS.id == id).values(outage=id))
        log.warning("incident_begins", incident=id, cause=alert.rule)
    columns = (_INCIDENTS[name] for name in _Head._fields)
    return _Head(*connection.execute(select(*columns).where(_INCIDENTS.id == id)).one())


def _attach(connection: Connection, outage: _Outage) -> None:
    """Put what is new under its outage."""
    for table, name, is_alert in ((_ALERT_TABLE, "incident", True), (_INCIDENT_TABLE, "outage", False)):
        ids = [{"of": sign.id} for sign in outage.case.fresh if sign.is_alert == is_alert]
        if ids:
            query = update(table).where(table.c.id == bindparam("of")).values({name: outage.head.id})
            connection.execute(query, ids)


def _update(connection: Connection, outage: _Outage, written: _Written, now_ms: int) -> None:
    """Write what the row of an outage tells anew, and the lines that its timeline does not have yet."""
    head, case = outage.head, outage.case
    acks = [row.ack_ms for row in outage.alerts if row.ack_ms is not None]
    # What another server says of its alert may lie before all that is known here.
    noted = [max(sign.noted_ms, head.started_ms) for sign in case.fresh if not sign.minor]
    values: dict[str, Any] = {
        "over_ms": case.over_ms,
        "level": max([head.level, *(row.level for row in outage.alerts)]),
        "detected_ms": min([*noted, *([] if head.detected_ms is None else [head.detected_ms])], default=None),
        "acknowledged_ms": head.acknowledged_ms if head.acknowledged_ms is not None else min(acks, default=None),
    }
    if head.kind == "alert":
        values |= {"ended_ms": case.over_ms} | _explained(connection, outage)
    changed = {name: value for name, value in values.items() if value != getattr(head, name)}
    if changed:
        connection.execute(update(IncidentRow).where(_INCIDENTS.id == head.id).values(**changed))
    if head.id not in written:
        written[head.id] = _written(connection, head.id)
    news = news_of(outage.alerts, written[head.id])
    lines = list(lines_of(news, _words(connection, {one.alert.id for one in news}), now_ms))
    lines += [state_line("reopened", time_ms) for time_ms in case.reopened_ms]
    if case.over_ms is not None and "over_ms" in changed:
        lines.append(state_line("over", case.over_ms))
        log.info("incident_over", incident=head.id, seconds=(case.over_ms - head.started_ms) / 1000)
    if lines:
        connection.execute(insert(IncidentEntryRow), [{"incident": head.id, **line._asdict()} for line in lines])
    written[head.id].update(line.key for line in lines)


def _explained(connection: Connection, outage: _Outage) -> dict[str, Any]:
    """What an outage that began with an alert is put down to: the chronicle's word, else one of the alerts.

    Empty where that is what its row tells already.
    """
    down = [row for row in outage.stretches if row.kind in DOWN]
    if down:
        first = min(down, key=lambda row: (row.started_ms, row.id))
        return {"cause": first.cause, "summary": first.summary, "detail": {"stretch": first.id}}
    alert = explaining(outage.alerts)
    if alert is None or outage.head.detail.get("alert") == alert.id:
        return {}
    said = _words(connection, {alert.id})[alert.id]
    summaries = {name: text for name, text in said.annotations.items() if name.startswith("summary")}
    detail = {"alert": alert.id, "labels": said.labels, "annotations": summaries}
    return {"cause": alert.rule, "summary": summaries.get("summary") or alert.rule, "detail": detail}


def _words(connection: Connection, alerts: set[int]) -> dict[int, Row[Any]]:
    """What alerts say of themselves, by their ids."""
    found: dict[int, Row[Any]] = {}
    ids = sorted(alerts)
    for first in range(0, len(ids), 500):
        query = select(*_WORDS).where(_ALERTS.id.in_(ids[first : first + 500]))
        found |= {row.id: row for row in connection.execute(query)}
    return found
