"""The tables dispatch_groups and dispatch_log: groups written and read back with what their channels were told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects.sqlite import Insert, insert

from alerts.routing.group import Group, Told
from storage.tables import DispatchGroupRow, DispatchLogRow

_GROUPS = DispatchGroupRow.__table__.c
_LOG = DispatchLogRow.__table__.c


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """A group as the database has it; its route may be gone from the routing."""

    key: str
    route: str
    labels: Mapping[str, str]
    members: tuple[str, ...]
    created_ms: int
    next_ms: int
    flushed_ms: int | None
    told: Mapping[str, Told]
    acks: Mapping[str, int]
    since_ms: int | None
    climbed: int
    sequence: int


class GroupBook:
    """Owns both tables. Writing takes the caller's connection, so that it shares a transaction with the outbox."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def load(self) -> list[StoredGroup]:
        """Every group, in the order of their keys."""
        with self._database.connect() as connection:
            log: dict[str, dict[str, Told]] = {}
            for row in connection.execute(select(DispatchLogRow.__table__)).mappings():
                told = Told(frozenset(row["firing"]), frozenset(row["resolved"]), row["time_ms"])
                log.setdefault(row["group_key"], {})[row["channel"]] = told
            rows = connection.execute(select(DispatchGroupRow.__table__).order_by(_GROUPS.key)).mappings().all()
        return [_stored(row, log.get(row["key"], {})) for row in rows]

    def save(self, connection: Connection, changes: Sequence[tuple[Group | None, Group]]) -> None:
        """Write groups, each as it was before and is now, and what differs in what their channels were told."""
        entries = []
        for before, after in changes:
            known = before.told if before is not None else {}
            entries += [
                _entry(after.key, channel, told) for channel, told in after.told.items() if known.get(channel) != told
            ]
            gone = known.keys() - after.told.keys()
            if gone:
                here = _LOG.group_key == after.key
                connection.execute(delete(DispatchLogRow).where(here, _LOG.channel.in_(sorted(gone))))
        if changes:
            connection.execute(_SAVE_GROUP, [_values(after) for _, after in changes])
        if entries:
            connection.execute(_SAVE_ENTRY, entries)

    def remove(self, connection: Connection, keys: Collection[str]) -> None:
        """Delete groups and what was told of them."""
        for chunk in _chunks(sorted(keys), 500):
            connection.execute(delete(DispatchGroupRow).where(_GROUPS.key.in_(chunk)))
            connection.execute(delete(DispatchLogRow).where(_LOG.group_key.in_(chunk)))


def _upsert(row: type[DispatchGroupRow] | type[DispatchLogRow], *keys: str) -> Insert:
    """A statement that writes a row over the one with equal keys."""
    statement = insert(row)
    others = {column.name: statement.excluded[column.name] for column in row.__table__.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


_SAVE_GROUP = _upsert(DispatchGroupRow, "key")
_SAVE_ENTRY = _upsert(DispatchLogRow, "group_key", "channel")


def _entry(key: str, channel: str, told: Told) -> dict[str, Any]:
    return {
        "group_key": key,
        "channel": channel,
        "firing": sorted(told.firing),
        "resolved": sorted(told.resolved),
        "time_ms": told.time_ms,
    }


def _values(group: Group) -> dict[str, Any]:
    return {
        "key": group.key,
        "route": group.route.id,
        "labels": dict(group.labels),
        "members": sorted(group.members),
        "created_ms": group.created_ms,
        "next_ms": group.next_ms,
        "flushed_ms": group.flushed_ms,
        "escalation": {
            "acks": dict(group.acks),
            "since_ms": group.since_ms,
            "climbed": group.climbed,
            "sequence": group.sequence,
        },
    }


def _stored(row: Mapping[Any, Any], told: Mapping[str, Told]) -> StoredGroup:
    escalation = row["escalation"]
    return StoredGroup(
        key=row["key"],
        route=row["route"],
        labels=row["labels"],
        members=tuple(row["members"]),
        created_ms=row["created_ms"],
        next_ms=row["next_ms"],
        flushed_ms=row["flushed_ms"],
        told=told,
        acks=escalation["acks"],
        since_ms=escalation["since_ms"],
        climbed=escalation["climbed"],
        sequence=escalation["sequence"],
    )


def _chunks(keys: list[str], size: int) -> Iterable[list[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
