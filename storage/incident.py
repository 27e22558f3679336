"""Stretches of time in which the service did not do its work, each with its cause."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Engine, Select, Table, func, insert, or_, select, update

from storage.fact import note_fact, read_number
from storage.tables import IncidentRow

#: Kinds of stretches in which the service could not answer, and nobody had asked for that.
DOWN = ("process", "power", "model")
#: Kinds that an outage may begin with: those, and alerts without any of them.
OUTAGE = (*DOWN, "alert")
#: Kinds that belong to an outage and make none: restarts that were asked for, what was done about the model.
MINOR = ("planned", "remedy")
#: Incidents read at once where all of a long window are wanted.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Incident:
    """One stretch; it still lasts while ``ended_ms`` is None. ``cause`` is for programs, ``summary`` for people.

    Stretches of one outage are joined: ``outage`` is the id of the first of them, its own if it is that one, None
    while nobody has looked. ``over_ms``, of the first: when all of them and their alerts were over. ``detected_ms`` is
    when it was noticed, ``acknowledged_ms`` when a person first took on an alert of it.
    """

    id: int
    kind: str  #: process, power, planned, model, remedy or alert
    cause: str
    summary: str
    started_ms: int
    ended_ms: int | None
    detail: dict[str, Any]
    level: int = 3
    detected_ms: int | None = None
    acknowledged_ms: int | None = None
    outage: int | None = None
    over_ms: int | None = None

    @property
    def part_of(self) -> int | None:
        """The incident that it belongs to; None if it stands for itself."""
        return None if self.outage in (None, self.id) else self.outage


class IncidentLog:
    """The incidents of the database. ``changes`` counts what this object has written."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.changes = 0

    def open(
        self,
        kind: str,
        cause: str,
        summary: str,
        started_ms: int,
        detail: Mapping[str, Any] | None = None,
        detected_ms: int | None = None,
    ) -> int:
        """Begin an incident that still lasts; returns its id for :meth:`close`."""
        return self.add(kind, cause, summary, started_ms, None, detail, detected_ms)

    def close(self, id: int, ended_ms: int) -> bool:
        """End an incident; False when it was not open any more. It never ends before it started."""
        query = (
            update(IncidentRow)
            .where(IncidentRow.id == id, IncidentRow.ended_ms.is_(None))
            .values(ended_ms=func.max(IncidentRow.started_ms, ended_ms))
        )
        with self._engine.begin() as connection:
            closed = bool(connection.execute(query).rowcount)
        self.changes += 1
        return closed

    def add(
        self,
        kind: str,
        cause: str,
        summary: str,
        started_ms: int,
        ended_ms: int | None,
        detail: Mapping[str, Any] | None = None,
        detected_ms: int | None = None,
    ) -> int:
        """Record an incident, usually one that is over; returns its id."""
        row = {
            "kind": kind,
            "cause": cause,
            "summary": summary,
            "started_ms": started_ms,
            "ended_ms": ended_ms,
            "detail": dict(detail or {}),
            "detected_ms": detected_ms,
            "level": 1 if kind in MINOR else 3,
        }
        with self._engine.begin() as connection:
            id: int = connection.execute(insert(IncidentRow).returning(IncidentRow.id), row).scalar_one()
        self.changes += 1
        return id

    def find(self, id: int) -> Incident | None:
        """One incident by its id."""
        if id >= 1 << 63:  # more than SQLite can hold
            return None
        return next(iter(self._read(select(*_COLUMNS).where(IncidentRow.id == id))), None)

    def parts(self, id: int) -> list[Incident]:
        """All stretches of one outage, the first one included, oldest first."""
        query = select(*_COLUMNS).where(or_(IncidentRow.outage == id, IncidentRow.id == id))
        return self._read(query.order_by(IncidentRow.started_ms, IncidentRow.id))

    def between(self, start_ms: int, end_ms: int, kinds: Collection[str] | None = None) -> list[Incident]:
        """The incidents of which any part lies in the window (inclusive), oldest first."""
        still_there = or_(IncidentRow.ended_ms.is_(None), IncidentRow.ended_ms >= start_ms)
        query = select(*_COLUMNS).where(IncidentRow.started_ms <= end_ms, still_there)
        if kinds is not None:
            query = query.where(IncidentRow.kind.in_(kinds))
        return self._read(query.order_by(IncidentRow.started_ms, IncidentRow.id))

    def outages(self, start_ms: int, end_ms: int) -> Iterator[Incident]:
        """As :meth:`between`, and all of each outage that reaches into the window; as noted, few in memory at once."""
        lasts = or_(_head.c.over_ms.is_(None), _head.c.over_ms >= start_ms)
        reaching = select(_head.c.id).where(_head.c.outage == _head.c.id, _head.c.started_ms <= end_ms, lasts)
        touching = or_(
            IncidentRow.ended_ms.is_(None), IncidentRow.ended_ms >= start_ms, IncidentRow.outage.in_(reaching)
        )
        last = 0
        while True:
            query = select(*_COLUMNS).where(IncidentRow.started_ms <= end_ms, touching, IncidentRow.id > last)
            page = self._read(query.order_by(IncidentRow.id).limit(_PAGE))
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1].id

    def recent(self, limit: int) -> list[Incident]:
        """The newest incidents, newest first."""
        return self._read(select(*_COLUMNS).order_by(IncidentRow.started_ms.desc(), IncidentRow.id.desc()).limit(limit))

    def unfinished(self) -> list[Incident]:
        """Those that still last, oldest first, but for those made of alerts: what a new process finds open."""
        query = select(*_COLUMNS).where(IncidentRow.ended_ms.is_(None), IncidentRow.kind != "alert")
        return self._read(query.order_by(IncidentRow.started_ms, IncidentRow.id))

    def note_first_start(self, time_ms: int) -> None:
        """Remember since when there is a service; the first word counts."""
        with self._engine.connect() as connection:
            if read_number(connection, "first_start_ms"):
                return
        with self._engine.begin() as connection:
            oldest = connection.execute(select(func.min(IncidentRow.started_ms))).scalar()
            note_fact(connection, "first_start_ms", max(1, min(time_ms, time_ms if oldest is None else oldest)))

    def first_start_ms(self) -> int | None:
        """Since when there is a service; None where nobody has noted it."""
        with self._engine.connect() as connection:
            return read_number(connection, "first_start_ms") or None

    def _read(self, query: Select[Any]) -> list[Incident]:
        with self._engine.connect() as connection:
            return [Incident(**row) for row in connection.execute(query).mappings()]


_head = cast(Table, IncidentRow.__table__).alias("head")
_COLUMNS = (
    IncidentRow.id,
    IncidentRow.kind,
    IncidentRow.cause,
    IncidentRow.summary,
    IncidentRow.started_ms,
    IncidentRow.ended_ms,
    IncidentRow.detail,
    IncidentRow.level,
    IncidentRow.detected_ms,
    IncidentRow.acknowledged_ms,
    IncidentRow.outage,
    IncidentRow.over_ms,
)
