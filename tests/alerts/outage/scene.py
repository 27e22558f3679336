"""A night at a server: alerts that fire and resolve, stretches without an answer, and who follows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine as Database
from sqlalchemy import select

from alerts.book import AlertBook
from alerts.outage.outage import Outages
from alerts.state import Alert
from storage.incident import OUTAGE, Incident, IncidentLog
from storage.tables import AlertRow, IncidentEntryRow

T0 = 1_795_000_000_000
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000


class Scene:
    """Writes what the engine and the chronicle would; times are milliseconds after ``T0``."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.incidents = IncidentLog(database)
        self.outages = Outages(database, self.incidents)
        self.book = AlertBook(database)
        self.alerts: dict[int, Alert] = {}

    def fire(
        self, rule: str, at: int, *, after: int = 0, level: int = 2, labels: Mapping[str, str] | None = None
    ) -> int:
        """An alert fires whose condition began ``after`` ms before; returns its id."""
        alert = Alert(
            id=0, fingerprint=f"{rule}-{at}", rule=rule, group="g", state="firing", severity="warning", level=level,
            labels={"alertname": rule, **(labels or {})},
            annotations={"summary": f"{rule} fires", "summary_zh": "告警"},
            value=1.0, active_ms=T0 + at - after, firing_ms=T0 + at, resolved_ms=None, seen_ms=T0 + at,
        )  # fmt: skip
        with self.database.begin() as connection:
            id = self.book.add(connection, alert)
        self.alerts[id] = replace(alert, id=id)
        return id

    def change(self, id: int, **values: Any) -> Alert:
        alert = replace(self.alerts[id], **values)
        with self.database.begin() as connection:
            self.book.change(connection, alert)
        if alert.state == "resolved":
            del self.alerts[id]
        else:
            self.alerts[id] = alert
        return alert

    def resolve(self, id: int, at: int) -> None:
        self.change(id, state="resolved", resolved_ms=T0 + at)

    def acknowledge(self, id: int, at: int, by: str = "li") -> None:
        self.change(id, state="acknowledged", ack_by=by, ack_reason="on it", ack_ms=T0 + at)

    def stretch(self, kind: str, cause: str, start: int, end: int | None, noted: int | None = None) -> int:
        noted_ms = T0 + (start if noted is None else noted)
        return self.incidents.add(
            kind, cause, f"it was {cause}", T0 + start, None if end is None else T0 + end, {}, noted_ms
        )

    def follow(self, at: int) -> None:
        self.outages.follow(list(self.alerts.values()), T0 + at)

    def restart(self) -> None:
        """Another process takes up what is in the database."""
        self.outages = Outages(self.database, self.incidents)

    # --- what came of it ------------------------------------------------------------------------------------------

    def heads(self) -> list[Incident]:
        """The incidents that stand for outages, oldest first."""
        found = sorted(self.incidents.recent(10_000), key=lambda one: (one.started_ms, one.id))
        return [one for one in found if one.outage == one.id and one.kind in OUTAGE]

    def members(self) -> dict[int, int | None]:
        """Which incident each alert that fired belongs to."""
        query = select(AlertRow.id, AlertRow.incident).where(AlertRow.firing_ms.is_not(None))
        with self.database.connect() as connection:
            return {row.id: row.incident for row in connection.execute(query)}

    def lines(self, incident: int) -> list[tuple[str, int, str]]:
        """Its timeline as (kind, ms after T0, text)."""
        columns = (IncidentEntryRow.kind, IncidentEntryRow.time_ms, IncidentEntryRow.text)
        query = select(*columns).where(IncidentEntryRow.incident == incident)
        with self.database.connect() as connection:
            rows = connection.execute(query.order_by(IncidentEntryRow.time_ms, IncidentEntryRow.id)).all()
        return [(kind, time_ms - T0, text) for kind, time_ms, text in rows]
