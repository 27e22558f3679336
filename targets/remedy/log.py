"""What was done about targets, as the database has it. Each row is written before the deed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Select, func, insert, select, update

from storage.tables import LogEventRow, RemedyRow, TargetOutageRow

#: ``started`` while it is under way, or while a standby takes the traffic; ``skipped`` if it was never begun.
RemedyState = Literal["started", "done", "failed", "skipped", "dry_run"]
#: The rung of what a person did by hand.
BY_HAND = -1
STANDBY = "standby"
#: Characters of an outcome that are kept.
MAX_OUTCOME = 500

_ROWS = RemedyRow.__table__.c
_OUTAGES, _EVENTS = TargetOutageRow.__table__.c, LogEventRow.__table__.c


@dataclass(frozen=True, slots=True)
class RemedyEntry:
    """One remedy as it is kept. Times in UTC milliseconds; ``helped`` is None while, or if, that is not known.

    ``rung`` is its place in the ladder, from 0, or :data:`BY_HAND`.
    """

    id: int
    target: str
    rung: int
    kind: str
    state: RemedyState
    why: str
    started_ms: int
    ended_ms: int | None
    outcome: str
    helped: bool | None


class RemedyLog:
    """Reads and writes the table of remedies. Raises :class:`storage.error.StorageError`."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def begin(
        self, target: str, rung: int, kind: str, why: str, now_ms: int, *, state: RemedyState, outcome: str = ""
    ) -> int:
        """Write that something is about to be done, or is not; returns the row's id."""
        values = {
            "target": target, "rung": rung, "kind": kind, "state": state, "why": why, "started_ms": now_ms,
            "ended_ms": None if state == "started" else now_ms, "outcome": outcome[:MAX_OUTCOME],
        }  # fmt: skip
        with self._database.begin() as connection:
            return int(connection.execute(insert(RemedyRow).returning(_ROWS.id), values).scalar_one())

    def end(self, id: int, state: RemedyState, outcome: str, now_ms: int) -> None:
        """Write what came of it."""
        with self._database.begin() as connection:
            _change(connection, id, state=state, outcome=outcome[:MAX_OUTCOME], ended_ms=now_ms)

    def judge(self, id: int, helped: bool) -> None:
        """Write whether it helped."""
        with self._database.begin() as connection:
            _change(connection, id, helped=helped)

    def count_since(self, target: str, rung: int, kind: str, since_ms: int) -> int:
        """How often a rung was taken after a moment, or would have been."""
        query = select(func.count()).where(
            _ROWS.target == target, _ROWS.rung == rung, _ROWS.kind == kind,
            _ROWS.state != "skipped", _ROWS.started_ms > since_ms,
        )  # fmt: skip
        with self._database.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def of(self, target: str, since_ms: int = 0, limit: int = 1000) -> list[RemedyEntry]:
        """What was done about a target since then, the oldest first; of too many, the newest."""
        query = select(RemedyRow.__table__).where(_ROWS.target == target, _ROWS.started_ms >= since_ms)
        return self._read(query.order_by(_ROWS.id.desc()).limit(limit))[::-1]

    def open(self) -> list[RemedyEntry]:
        """What has begun and not ended."""
        return self._read(select(RemedyRow.__table__).where(_ROWS.state == "started").order_by(_ROWS.id))

    def trouble_since(self, target: str, patterns: Iterable[str]) -> int | None:
        """Since when a target has been in the trouble in which it is: an outage that lasts, or a raised pattern."""
        down = select(func.min(_OUTAGES.started_ms)).where(_OUTAGES.target == target, _OUTAGES.ended_ms.is_(None))
        raised = (
            select(func.max(_EVENTS.raised_ms))
            .where(_EVENTS.target == target, _EVENTS.pattern.in_(list(patterns)))
            .group_by(_EVENTS.pattern)
        )
        with self._database.connect() as connection:
            found = [connection.execute(down).scalar(), *connection.execute(raised).scalars()]
        return min((one for one in found if one is not None), default=None)

    def _read(self, query: Select[Any]) -> list[RemedyEntry]:
        with self._database.connect() as connection:
            return [RemedyEntry(**row) for row in connection.execute(query).mappings()]


def _change(connection: Connection, id: int, **values: Any) -> None:
    connection.execute(update(RemedyRow).where(_ROWS.id == id).values(**values))
