"""Writes what is told, with what its group then knows, in one transaction: a crash leaves both or neither."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import structlog
from sqlalchemy import Connection, Engine

from alerts.delivery.message import Action, Fact, Message
from alerts.routing.book import GroupBook
from alerts.routing.flush import Telling
from alerts.routing.group import Group
from alerts.routing.tree import labels_text
from alerts.state import Alert

log = structlog.get_logger(__name__)


class Enqueue(Protocol):
    """Where notices go: the outbox."""

    def enqueue(self, connection: Connection, key: str, channel: str, message: Message, now_ms: int) -> bool:
        """Add a notice through the caller's transaction; False if its key is there already."""
        ...


class Writer:
    """Puts notices into the outbox and groups into their tables, together."""

    def __init__(
        self, database: Engine, book: GroupBook, outbox: Enqueue, actions: Callable[[Alert], Sequence[Action]]
    ) -> None:
        self._database = database
        self._book = book
        self._outbox = outbox
        self._actions = actions

    def write(
        self,
        before: Mapping[str, Group],
        groups: Sequence[Group],
        tellings: Mapping[str, Sequence[Telling]],
        now_ms: int,
    ) -> list[Group]:
        """Write groups, and what is told of them by their keys, in one transaction; returns them as they are then.

        Nothing is written of a group that told nothing and has not changed but for its next time.
        """
        worth = [group for group in groups if tellings.get(group.key) or _has_changed(before.get(group.key), group)]
        after = {group.key: group for group in groups}
        if worth:
            with self._database.begin() as connection:
                for group in worth:
                    told = tellings.get(group.key, ())
                    for number, telling in enumerate(told, group.sequence + 1):
                        self._enqueue(connection, group, telling, number, now_ms)
                    after[group.key] = replace(group, sequence=group.sequence + len(told))
                self._book.save(connection, [(before.get(group.key), after[group.key]) for group in worth])
        return list(after.values())

    def _enqueue(self, connection: Connection, group: Group, telling: Telling, number: int, now_ms: int) -> None:
        message = Message(
            kind=telling.kind,
            receiver=telling.receiver,
            group_key=f"{group.route.key}:{labels_text(group.labels)}",
            labels=group.labels,
            alerts=tuple(Fact.of(alert, self._actions(alert)) for alert in telling.alerts),
            time_ms=now_ms,
        )
        digest = hashlib.sha256(f"{group.key}\0{telling.channel}".encode()).hexdigest()[:16]
        key = f"{digest}-{telling.kind}-{now_ms}-{number}"
        if not self._outbox.enqueue(connection, key, telling.channel, message, now_ms):
            log.warning("notice_known", channel=telling.channel, key=key)


def _has_changed(before: Group | None, after: Group) -> bool:
    """Whether the database must know. A flush that told nothing simply comes again after a start."""
    if before is None or before.members.keys() != after.members.keys():
        return True
    if (before.flushed_ms is None) != (after.flushed_ms is None):
        return True
    same = replace(before, next_ms=after.next_ms, flushed_ms=after.flushed_ms, members=after.members)
    return same != after
