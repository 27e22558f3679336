"""Where probes stand, in the database: what a restart takes up, and the stretches in which targets were down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert

from storage.tables import Base, ProbeRow, TargetOutageRow
from targets.probe.flip import Standing, State

Key = tuple[str, str]  #: target and probe


@dataclass
class Stretch:
    """A time in which a probe said that its target is down; open while ``ended_ms`` is None. ``id`` once written."""

    target: str
    probe: str
    reason: str
    started_ms: int
    detected_ms: int
    ended_ms: int | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A probe as it is kept. ``seen_ms`` is 0 where nothing was seen yet; ``alive_ms`` is when somebody last looked."""

    target: str
    probe: str
    standing: Standing
    first_ms: int
    seen_ms: int
    alive_ms: int
    reason: str  # why it is down, or what a last look brought
    detail: dict[str, Any] = field(default_factory=dict)
    certificate_ends_ms: int | None = None


class Kept(NamedTuple):
    """What an earlier process has left: probes, and the stretches that were open."""

    records: dict[Key, Record]
    stretches: dict[Key, Stretch]


def load(connection: Connection) -> Kept:
    """Read all that is kept."""
    records = {(row.target, row.probe): _record(row) for row in connection.execute(select(*_columns(ProbeRow))).all()}
    is_open = TargetOutageRow.ended_ms.is_(None)
    found = connection.execute(select(*_columns(TargetOutageRow)).where(is_open).order_by(TargetOutageRow.id))
    stretches: dict[Key, Stretch] = {}
    for row in found.all():
        stretches[row.target, row.probe] = Stretch(
            row.target, row.probe, row.reason, row.started_ms, row.detected_ms, None, row.id
        )
    return Kept(records, stretches)


def save(connection: Connection, records: Iterable[Record], stretches: Iterable[Stretch]) -> list[int | None]:
    """Write them; returns the stretches' ids, in their order."""
    rows = [_row(record) for record in records]
    if rows:
        statement = insert(ProbeRow)
        new = {name: statement.excluded[name] for name in rows[0] if name not in ("target", "probe")}
        connection.execute(statement.on_conflict_do_update(index_elements=["target", "probe"], set_=new), rows)
    return [_save_stretch(connection, stretch) for stretch in stretches]


def _save_stretch(connection: Connection, stretch: Stretch) -> int | None:
    if stretch.id is not None:
        known = TargetOutageRow.id == stretch.id
        connection.execute(update(TargetOutageRow).where(known).values(ended_ms=stretch.ended_ms))
        return stretch.id
    values = {
        "target": stretch.target,
        "probe": stretch.probe,
        "reason": stretch.reason,
        "started_ms": stretch.started_ms,
        "detected_ms": stretch.detected_ms,
        "ended_ms": stretch.ended_ms,
    }
    inserted = connection.execute(insert(TargetOutageRow).values(**values)).inserted_primary_key
    return None if inserted is None else int(inserted[0])


def _columns(table: type[Base]) -> list[Any]:
    return list(table.__table__.columns)


def _row(record: Record) -> dict[str, Any]:
    standing = record.standing
    return {
        "target": record.target,
        "probe": record.probe,
        "state": standing.state,
        "since_ms": standing.since_ms,
        "first_ms": record.first_ms,
        "seen_ms": record.seen_ms,
        "streak": standing.streak,
        "reason": record.reason,
        "detail": {
            "against_ms": standing.against_ms,
            "failures": standing.failures,
            "blind": standing.blind,
            "last_reason": standing.reason,
            "alive_ms": record.alive_ms,
            "seen": record.detail,
            "certificate_ends_ms": record.certificate_ends_ms,
        },
    }


def _record(row: Any) -> Record:
    """A row as it was written. What is no such (another version's) counts as little as it can."""
    kept = row.detail if isinstance(row.detail, dict) else {}
    state = row.state if row.state in ("up", "down", "unknown") else "unknown"
    standing = Standing(
        cast(State, state),
        row.since_ms,
        row.streak,
        int(kept.get("against_ms", row.since_ms)),
        int(kept.get("failures", 0)),
        int(kept.get("blind", 0)),
        str(kept.get("last_reason", row.reason)),
    )
    seen = kept.get("seen", {})
    alive_ms = int(kept.get("alive_ms", row.seen_ms))
    ends_ms = kept.get("certificate_ends_ms")
    return Record(row.target, row.probe, standing, row.first_ms, row.seen_ms, alive_ms, row.reason, dict(seen), ends_ms)
