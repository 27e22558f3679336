"""How far each source was read, in the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from storage.engine import Database
from storage.tables import LogSourceRow
from targets.logfile.source import Count

Key = tuple[str, str]
#: What is not followed any more is remembered for so long, so that it goes on where it was when it comes back.
KEPT_MS = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Stored:
    """What one row holds."""

    position: dict[str, Any]
    count: Count
    counters: dict[str, Any]


def load(database: Database, key: Key) -> Stored | None:
    """What was committed of a source last. Raises :class:`storage.error.StorageError`."""
    with database.connect() as connection:
        row = connection.execute(
            select(LogSourceRow).where(LogSourceRow.target == key[0], LogSourceRow.source == key[1])
        ).one_or_none()
    if row is None:
        return None
    return Stored(row.position, Count(row.lines, row.bytes, row.position.get("gaps", 0)), row.counters)


def save(
    connection: Connection, key: Key, position: dict[str, Any], count: Count, counters: dict[str, Any], now_ms: int
) -> None:
    """Write it, inside the caller's transaction."""
    values = {
        "position": {**position, "gaps": count.gaps},
        "lines": count.lines,
        "bytes": count.bytes,
        "counters": counters,
        "updated_ms": now_ms,
    }
    statement = insert(LogSourceRow).values(target=key[0], source=key[1], **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["target", "source"], set_=values))


def forget(connection: Connection, followed: Collection[Key], now_ms: int) -> None:
    """Drop what was not followed for a month."""
    old: Iterable[Any] = connection.execute(
        select(LogSourceRow.target, LogSourceRow.source).where(LogSourceRow.updated_ms < now_ms - KEPT_MS)
    )
    for target, source in list(old):
        if (target, source) not in followed:
            connection.execute(delete(LogSourceRow).where(LogSourceRow.target == target, LogSourceRow.source == source))
