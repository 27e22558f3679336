"""Outages as they happen: alerts and stretches joined into incidents, with a timeline, whatever kills the process.

What is joined is told by the database alone, and each change is one transaction: a process that dies between two of
them leaves nothing half done, and the next one goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import structlog
from sqlalchemy import Connection, Engine, Row, Table, bindparam, insert, select, update

from alerts.outage.cause import explaining
from alerts.outage.joining import Case, Sign, arrange
from alerts.outage.line import Line, LineKey, lines_of, news_of, state_line
from alerts.state import Alert
from storage.incident import DOWN, MINOR, OUTAGE, IncidentLog
from storage.tables import AlertRow, IncidentEntryRow, IncidentRow

log = structlog.get_logger(__name__)

#: Alerts below this level make no incident: they are worth knowing, no more.
LEAST_LEVEL = 2

#: How often the database is asked though nothing seems to have changed.
SWEEP_MS = 60_000

_ALERT_TABLE, _INCIDENT_TABLE = cast(Table, AlertRow.__table__), cast(Table, IncidentRow.__table__)
_ALERTS, _INCIDENTS = _ALERT_TABLE.c, _INCIDENT_TABLE.c
_MEMBER = [
    _ALERTS[name] for name in ("id", "rule", "level", "active_ms", "firing_ms", "resolved_ms", "ack_by", "ack_ms")
]
#: What only new lines need: reading it of all alerts at every change would be most of the work.
_WORDS = [_ALERTS[name] for name in ("id", "labels", "annotations", "ack_reason")]
_STRETCH = [_INCIDENTS[name] for name in ("id", "kind", "cause", "summary", "started_ms", "ended_ms", "detected_ms")]

#: What decides whether there is anything to do: what the chronicle has written, the minute, and how every alert stands.
_Picture = tuple[int, int, tuple[tuple[int, int | None], ...]]


class _Head(NamedTuple):
    """The row that stands for an outage."""

    id: int
    kind: str
    level: int
    over_ms: int | None
    detected_ms: int | None
    acknowledged_ms: int | None


class Outages:
    """Joins alerts and stretches into incidents. Used by one thread, that of the tick."""

    def __init__(self, database: Engine, incidents: IncidentLog) -> None:
        self._database = database
        self._incidents = incidents
        self._seen: _Picture | None = None
        #: The lines of the timeline that the last outage has, so that none is written twice.
        self._written: tuple[int, set[LineKey]] = (0, set())

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
        written, self._written = self._written, (0, set())
        with self._database.begin() as connection:
            lasting, written = self._settle(connection, written, now_ms)
        self._written = written
        if lasting == {alert.id for alert in firing}:  # else the database has yet to hear of some of them
            self._seen = picture

    def _settle(
        self, connection: Connection, written: tuple[int, set[LineKey]], now_ms: int
    ) -> tuple[set[int], tuple[int, set[LineKey]]]:
        """Bring all up to date; returns which alerts last, and what is in the timeline of the last outage."""
        _end_lone_stretches(connection)
        head = _last_head(connection)
        members = [] if head is None else _members(connection, head.id)
        stretches = [] if head is None else _stretches(connection, head.id)
        fresh_alerts = connection.execute(
            select(*_MEMBER).where(
                _ALERTS.incident.is_(None), _ALERTS.firing_ms.is_not(None), _ALERTS.level >= LEAST_LEVEL
            )
        ).all()
        fresh_stretches = connection.execute(select(*_STRETCH).where(_INCIDENTS.outage.is_(None))).all()
        last = None
        if head is not None:
            started = next((one.started_ms for one in stretches if one.id == head.id), 0)
            last = Case(started, _signs(members, stretches))
        cases, alone = arrange(last, _signs(fresh_alerts, fresh_stretches))
        for sign in alone:
            connection.execute(
                update(IncidentRow)
                .where(_INCIDENTS.id == sign.id)
                .values(outage=_INCIDENTS.id, over_ms=_INCIDENTS.ended_ms)
            )
        known_alerts = {row.id: row for row in (*members, *fresh_alerts)}
        for case in cases:
            if case is not last:
                head = _begin(connection, case, known_alerts)
                members, written = [], (head.id, set())
            assert head is not None
            _attach(connection, head.id, case.fresh)
            joined = [known_alerts[sign.id] for sign in case.fresh if sign.is_alert]
            members = [*members, *joined]
            if written[0] != head.id:
                written = (head.id, _written(connection, head.id))
            _update(connection, head, case, members, _stretches(connection, head.id), written[1], now_ms)
        lasting = {row.id for row in known_alerts.values() if row.resolved_ms is None}
        return lasting, written


def _end_lone_stretches(connection: Connection) -> None:
    """What stands for itself and is no outage is over when it ends."""
    connection.execute(
        update(IncidentRow)
        .where(_INCIDENTS.kind.in_(MINOR), _INCIDENTS.over_ms.is_(None), _INCIDENTS.ended_ms.is_not(None))
        .where(_INCIDENTS.outage == _INCIDENTS.id)
        .values(over_ms=_INCIDENTS.ended_ms)
    )


def _last_head(connection: Connection) -> _Head | None:
    query = (
        select(*(_INCIDENTS[name] for name in _Head._fields))
        .where(_INCIDENTS.outage == _INCIDENTS.id, _INCIDENTS.kind.in_(OUTAGE))
        .order_by(_INCIDENTS.over_ms.is_not(None), _INCIDENTS.over_ms.desc(), _INCIDENTS.id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _Head(*row)


def _members(connection: Connection, head: int) -> Sequence[Row[Any]]:
    return connection.execute(select(*_MEMBER).where(_ALERTS.incident == head)).all()


def _stretches(connection: Connection, head: int) -> Sequence[Row[Any]]:
    return connection.execute(select(*_STRETCH).where(_INCIDENTS.outage == head)).all()


def _written(connection: Connection, head: int) -> set[LineKey]:
    rows = connection.execute(
        select(IncidentEntryRow.kind, IncidentEntryRow.time_ms, IncidentEntryRow.detail).where(
            IncidentEntryRow.incident == head, IncidentEntryRow.kind != "note"
        )
    )
    return {Line(kind, time_ms, "", "", detail).key for kind, time_ms, detail in rows}


def _signs(alerts: Iterable[Row[Any]], stretches: Iterable[Row[Any]]) -> list[Sign]:
    """The rows as signs; that of an outage made of alerts is none of its own."""
    found = [Sign(row.id, True, row.firing_ms, row.active_ms, row.firing_ms, row.resolved_ms) for row in alerts]
    for row in stretches:
        if row.kind != "alert":
            noted_ms = row.started_ms if row.detected_ms is None else row.detected_ms
            minor = row.kind in MINOR
            found.append(Sign(row.id, False, row.started_ms, row.started_ms, noted_ms, row.ended_ms, minor))
    return found


def _begin(connection: Connection, case: Case, alerts: dict[int, Row[Any]]) -> _Head:
    """The row of a new outage: its first stretch, or where an alert came first one of its own."""
    first = case.fresh[0]
    if not first.is_alert:
        kind, level = connection.execute(
            select(_INCIDENTS.kind, _INCIDENTS.level).where(_INCIDENTS.id == first.id)
        ).one()
        return _Head(first.id, kind, level, None, None, None)
    alert = alerts[first.id]
    row = {
        "kind": "alert", "cause": alert.rule, "summary": alert.rule,
        "started_ms": case.started_ms, "detail": {}, "level": alert.level,
    }  # fmt: skip
    id = connection.execute(insert(IncidentRow).returning(IncidentRow.id), row).scalar_one()
    connection.execute(update(IncidentRow).where(_INCIDENTS.id == id).values(outage=id))
    log.warning("incident_begins", incident=id, cause=alert.rule)
    return _Head(id, "alert", alert.level, None, None, None)


def _attach(connection: Connection, head: int, signs: Sequence[Sign]) -> None:
    """Put what is new under its outage."""
    alerts = [{"of": sign.id} for sign in signs if sign.is_alert]
    stretches = [{"of": sign.id} for sign in signs if not sign.is_alert]
    if alerts:
        query = update(_ALERT_TABLE).where(_ALERTS.id == bindparam("of")).values(incident=head)
        connection.execute(query, alerts)
    if stretches:
        query = update(_INCIDENT_TABLE).where(_INCIDENTS.id == bindparam("of")).values(outage=head)
        connection.execute(query, stretches)


def _update(
    connection: Connection,
    head: _Head,
    case: Case,
    members: Sequence[Row[Any]],
    stretches: Sequence[Row[Any]],
    written: set[LineKey],
    now_ms: int,
) -> None:
    """Write what the row of an outage tells, and the lines that its timeline does not have yet."""
    acks = [row.ack_ms for row in members if row.ack_ms is not None]
    noted = [sign.noted_ms for sign in case.fresh if not sign.minor]
    values: dict[str, Any] = {
        "over_ms": case.over_ms,
        "level": max([head.level, *(row.level for row in members)]),
        "detected_ms": min([*noted, *([] if head.detected_ms is None else [head.detected_ms])], default=None),
        "acknowledged_ms": head.acknowledged_ms if head.acknowledged_ms is not None else min(acks, default=None),
    }
    if head.kind == "alert":
        values |= {"ended_ms": case.over_ms} | _explained(connection, members, stretches)
    connection.execute(update(IncidentRow).where(_INCIDENTS.id == head.id).values(**values))
    news = news_of(members, written)
    lines = list(lines_of(news, _words(connection, {one.alert.id for one in news}), now_ms))
    lines += [state_line("reopened", time_ms) for time_ms in case.reopened_ms]
    if case.over_ms is not None and case.over_ms != head.over_ms:
        lines.append(state_line("over", case.over_ms))
    if lines:
        connection.execute(insert(IncidentEntryRow), [{"incident": head.id, **line._asdict()} for line in lines])
    written.update(line.key for line in lines)
    if case.over_ms is not None and case.over_ms != head.over_ms:
        log.info("incident_over", incident=head.id, seconds=(case.over_ms - case.started_ms) / 1000)


def _explained(connection: Connection, members: Sequence[Row[Any]], stretches: Sequence[Row[Any]]) -> dict[str, Any]:
    """What an outage that began with an alert is put down to: the chronicle's word, else one of the alerts."""
    down = [row for row in stretches if row.kind in DOWN]
    if down:
        first = min(down, key=lambda row: (row.started_ms, row.id))
        return {"cause": first.cause, "summary": first.summary, "detail": {"stretch": first.id}}
    alert = explaining(members)
    if alert is None:
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
