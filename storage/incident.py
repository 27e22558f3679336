"""Stretches of time in which the service did not do its work, each with its cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Select, insert, or_, select, update

from storage.tables import IncidentRow


@dataclass(frozen=True, slots=True)
class Incident:
    """One stretch; it still lasts while ``ended_ms`` is None. ``cause`` is for programs, ``summary`` for people."""

    id: int
    kind: str  #: process, power or model
    cause: str
    summary: str
    started_ms: int
    ended_ms: int | None
    detail: dict[str, Any]


class IncidentLog:
    """The incidents of the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(
        self, kind: str, cause: str, summary: str, started_ms: int, detail: Mapping[str, Any] | None = None
    ) -> int:
        """Begin an incident that still lasts; returns its id for :meth:`close`."""
        return self.add(kind, cause, summary, started_ms, None, detail)

    def close(self, id: int, ended_ms: int) -> bool:
        """End an incident; False when it was not open any more. It never ends before it started."""
        query = (
            update(IncidentRow)
            .where(IncidentRow.id == id, IncidentRow.ended_ms.is_(None), IncidentRow.started_ms <= ended_ms)
            .values(ended_ms=ended_ms)
        )
        at_once = (
            update(IncidentRow)
            .where(IncidentRow.id == id, IncidentRow.ended_ms.is_(None))
            .values(ended_ms=IncidentRow.started_ms)
        )
        with self._engine.begin() as connection:
            return bool(connection.execute(query).rowcount or connection.execute(at_once).rowcount)

    def add(
        self,
        kind: str,
        cause: str,
        summary: str,
        started_ms: int,
        ended_ms: int | None,
        detail: Mapping[str, Any] | None = None,
    ) -> int:
        """Record an incident, usually one that is over; returns its id."""
        row = {
            "kind": kind,
            "cause": cause,
            "summary": summary,
            "started_ms": started_ms,
            "ended_ms": ended_ms,
            "detail": dict(detail or {}),
        }
        with self._engine.begin() as connection:
            id: int = connection.execute(insert(IncidentRow).returning(IncidentRow.id), row).scalar_one()
        return id

    def between(self, start_ms: int, end_ms: int) -> list[Incident]:
        """The incidents of which any part lies in the window (inclusive), oldest first."""
        still_there = or_(IncidentRow.ended_ms.is_(None), IncidentRow.ended_ms >= start_ms)
        query = select(*_COLUMNS).where(IncidentRow.started_ms <= end_ms, still_there)
        return self._read(query.order_by(IncidentRow.started_ms, IncidentRow.id))

    def recent(self, limit: int) -> list[Incident]:
        """The newest incidents, newest first."""
        return self._read(select(*_COLUMNS).order_by(IncidentRow.started_ms.desc(), IncidentRow.id.desc()).limit(limit))

    def unfinished(self) -> list[Incident]:
        """The incidents that still last, oldest first: what a new process finds open at its start."""
        query = select(*_COLUMNS).where(IncidentRow.ended_ms.is_(None))
        return self._read(query.order_by(IncidentRow.started_ms, IncidentRow.id))

    def _read(self, query: Select[Any]) -> list[Incident]:
        with self._engine.connect() as connection:
            return [Incident(**row) for row in connection.execute(query).mappings()]


_COLUMNS = (
    IncidentRow.id,
    IncidentRow.kind,
    IncidentRow.cause,
    IncidentRow.summary,
    IncidentRow.started_ms,
    IncidentRow.ended_ms,
    IncidentRow.detail,
)
