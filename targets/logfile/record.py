"""What patterns have found, as the database has it: to be searched, and to be forgotten after a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Engine, or_, select

from storage.tables import LogEventRow


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for: those with a line between both times (UTC ms, both included)."""

    start_ms: int
    end_ms: int
    target: str | None = None
    pattern: str | None = None
    level: int | None = None
    text: str | None = None
    limit: int = 200


class Found(NamedTuple):
    """Events, those with the newest line first; ``more``: there are others beyond the limit."""

    events: list[dict[str, Any]]
    more: bool


def search(database: Engine, wanted: Wanted) -> Found:
    """The events that are asked for."""
    row = LogEventRow
    query = select(row.__table__).where(row.last_ms >= wanted.start_ms, row.first_ms <= wanted.end_ms)
    if wanted.target is not None:
        query = query.where(row.target == wanted.target)
    if wanted.pattern is not None:
        query = query.where(row.pattern == wanted.pattern)
    if wanted.level is not None:
        query = query.where(row.level == wanted.level)
    if wanted.text:
        words = wanted.text
        query = query.where(
            or_(row.text.icontains(words, autoescape=True), row.pattern.icontains(words, autoescape=True))
        )
    query = query.order_by(row.last_ms.desc(), row.id.desc()).limit(wanted.limit + 1)
    with database.connect() as connection:
        events = [_told(dict(one)) for one in connection.execute(query).mappings()]
    return Found(events[: wanted.limit], len(events) > wanted.limit)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"raised": row["raised_ms"] is not None}
