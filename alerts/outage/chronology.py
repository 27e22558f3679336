"""The timeline of one incident as people read it: what was written as it happened, and what other tables know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from sqlalchemy import Connection, Engine, insert, select

from alerts.book import AlertBook
from alerts.outage.action_log import ActionEntry, ActionLog
from alerts.outage.joining import REOPEN_MS
from alerts.outage.line import Line
from alerts.state import Alert
from storage.incident import Incident, IncidentLog
from storage.tables import AlertRow, IncidentEntryRow, OutboxRow

#: Characters of a note.
MAX_NOTE = 2000
#: Lines of one incident that are told; of a storm, the first and the last halves.
MAX_LINES = 2000

_ALERTS = AlertRow.__table__.c


class Chronology:
    """Reads and adds to the timelines of incidents."""

    def __init__(self, database: Engine, incidents: IncidentLog) -> None:
        self._database = database
        self._incidents = incidents
        self._book = AlertBook(database)
        self._actions = ActionLog(database)

    def head(self, id: int) -> Incident | None:
        """The incident of this id, or the one that it is a part of."""
        found = self._incidents.find(id)
        if found is None or found.part_of is None:
            return found
        return self._incidents.find(found.part_of) or found

    def alerts(self, head: int) -> list[Alert]:
        """Its alerts, in the order in which they fired."""
        return self._book.of_incident(head)

    def note(self, head: int, author: str, text: str, now_ms: int) -> Line:
        """Add a person's note."""
        line = Line("note", now_ms, author, text, {})
        with self._database.begin() as connection:
            connection.execute(insert(IncidentEntryRow), {"incident": head, **line._asdict()})
        return line

    def lines(self, incident: Incident, parts: list[Incident], now_ms: int) -> list[Line]:
        """The whole timeline, oldest first. ``parts`` are its stretches, as :meth:`IncidentLog.parts` gives them."""
        over_ms = now_ms if incident.over_ms is None else incident.over_ms
        last_ms = max(over_ms, incident.ended_ms or 0) + REOPEN_MS
        with self._database.connect() as connection:
            alerts = set(connection.execute(select(_ALERTS.id).where(_ALERTS.incident == incident.id)).scalars())
            found = [
                *_written(connection, incident.id),
                *_stretches(parts),
                *_actions(self._actions.of_incident(incident.id)),
                *_notices(connection, incident.started_ms, last_ms, alerts),
            ]
        found.sort(key=lambda line: line.time_ms)
        if len(found) > MAX_LINES:
            notes = [line for line in found[MAX_LINES // 2 : -MAX_LINES // 2] if line.kind in ("note", "state")]
            found = [*found[: MAX_LINES // 2], *notes, *found[-MAX_LINES // 2 :]]
        return found


def _written(connection: Connection, head: int) -> Iterator[Line]:
    names = (IncidentEntryRow.kind, IncidentEntryRow.time_ms, IncidentEntryRow.actor, IncidentEntryRow.text)
    query = select(*names, IncidentEntryRow.detail).where(IncidentEntryRow.incident == head)
    for row in connection.execute(query.order_by(IncidentEntryRow.time_ms, IncidentEntryRow.id)):
        yield Line(*row)


def _stretches(parts: list[Incident]) -> Iterator[Line]:
    """When the service could not answer, and again could; what was done about the model, and whether it helped."""
    for one in parts:
        if one.kind == "alert":
            continue
        detail = {"incident": one.id, "cause": one.cause, "stretch": one.kind}
        if one.kind == "remedy":
            yield Line("action", one.started_ms, "", one.summary, detail | {"helped": one.detail.get("helped")})
            continue
        yield Line("state", one.started_ms, "", one.summary, detail | {"state": "began"})
        if one.ended_ms is not None:
            yield Line("state", one.ended_ms, "", one.summary, detail | {"state": "ended"})


def _actions(entries: list[ActionEntry]) -> Iterator[Line]:
    for entry in entries:
        detail = asdict(entry)
        yield Line("action", detail.pop("started_ms"), "", detail.pop("outcome"), detail)


def _notices(connection: Connection, start_ms: int, end_ms: int, alerts: set[int]) -> Iterator[Line]:
    """Notices about its alerts that were sent or given up, or wait."""
    columns = (
        OutboxRow.id, OutboxRow.channel, OutboxRow.title, OutboxRow.state, OutboxRow.created_ms, OutboxRow.sent_ms,
        OutboxRow.error, OutboxRow.message,
    )  # fmt: skip
    query = select(*columns).where(OutboxRow.created_ms.between(start_ms, end_ms)).order_by(OutboxRow.id)
    for row in connection.execute(query):
        about = {alert.get("id") for alert in (row.message or {}).get("alerts", ())}
        if row.message is not None and not about & alerts:
            continue
        detail = {"notice": row.id, "channel": row.channel, "state": row.state, "error": row.error}
        yield Line("notice", row.sent_ms or row.created_ms, "", row.title, detail)
