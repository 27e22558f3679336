"""The outbox: notices kept in the database from the moment something happened until a service has taken them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import aliased

from storage.tables import OutboxRow

NoticeKind: TypeAlias = Literal["info", "success", "warning", "failure"]
NoticeState: TypeAlias = Literal["waiting", "sent", "failed"]

_COLUMNS = OutboxRow.__table__.c
_EARLIER = aliased(OutboxRow)
#: Characters of an error that are kept.
_MAX_ERROR = 500


class Notice(NamedTuple):
    """A notice to one channel. ``key`` is the same for the same notice, so that it is enqueued once only.

    Up to its first ``-``, the key says what the notice is about: notices about the same thing stay in their order.
    """

    key: str
    channel: str
    title: str
    body: str
    kind: NoticeKind


@dataclass(frozen=True, slots=True)
class Entry:
    """A notice in the outbox and how its delivery stands."""

    id: int
    key: str
    channel: str
    title: str
    body: str
    kind: NoticeKind
    state: NoticeState
    created_ms: int
    next_ms: int
    sent_ms: int | None
    attempts: int
    error: str | None
    message: Mapping[str, Any] | None = None
    group_key: str | None = None
    attempt_ms: int | None = None


class Figures(NamedTuple):
    """How many notices are in each state, and when the oldest of those that wait was made; None when none waits."""

    counts: Mapping[NoticeState, int]
    oldest_waiting_ms: int | None


class Outbox:
    """Owns the outbox table."""

    def __init__(self, database: Engine) -> None:
        self._database = database

    def enqueue(self, connection: Connection, notice: Notice, now_ms: int) -> bool:
        """Add a notice through the caller's transaction; False if its key is there already."""
        values = {**notice._asdict(), "state": "waiting", "created_ms": now_ms, "next_ms": now_ms, "attempts": 0}
        result = connection.execute(insert(OutboxRow).values(**values).on_conflict_do_nothing(index_elements=["key"]))
        return result.rowcount == 1

    def waiting_channels(self) -> list[str]:
        """The channels for which something waits, due or not."""
        with self._database.connect() as connection:
            query = select(_COLUMNS.channel).where(_COLUMNS.state == "waiting").distinct()
            return sorted(connection.execute(query).scalars())

    def next_due(self, channel: str, now_ms: int, longest_wait_ms: int) -> Entry | None:
        """The notice that has been due for longest, without those that follow one about the same thing that waits.

        A wait beyond ``longest_wait_ms`` means that the clock was set back, so such a notice is due as well.
        """
        is_due = or_(_COLUMNS.next_ms <= now_ms, _COLUMNS.next_ms > now_ms + longest_wait_ms)
        earlier = select(_EARLIER.id).where(
            _EARLIER.state == "waiting",
            _EARLIER.channel == channel,
            _EARLIER.id < _COLUMNS.id,
            _subject(_EARLIER.key) == _subject(_COLUMNS.key),
        )
        query = (
            select(OutboxRow.__table__)
            .where(_COLUMNS.channel == channel, _COLUMNS.state == "waiting", is_due, ~earlier.exists())
            .order_by(_COLUMNS.next_ms, _COLUMNS.id)
            .limit(1)
        )
        with self._database.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _entry(row)

    def mark_sent(self, entry: Entry, now_ms: int) -> None:
        """The service has taken it."""
        self._change(entry.id, state="sent", sent_ms=now_ms, attempts=entry.attempts + 1, error=None)

    def mark_retry(self, entry: Entry, next_ms: int, error: str) -> None:
        """The service has not taken it; try again at ``next_ms``."""
        self._change(entry.id, next_ms=next_ms, attempts=entry.attempts + 1, error=error[:_MAX_ERROR])

    def mark_failed(self, entry: Entry, error: str) -> None:
        """Given up, after one more attempt."""
        self._change(entry.id, state="failed", attempts=entry.attempts + 1, error=error[:_MAX_ERROR])

    def abandon(self, channels: Collection[str], error: str) -> int:
        """Give up everything that waits for ``channels``; returns how many notices that were."""
        query = update(OutboxRow).where(_COLUMNS.channel.in_(channels), _COLUMNS.state == "waiting")
        with self._database.begin() as connection:
            return connection.execute(query.values(state="failed", error=error)).rowcount

    def recent(self, limit: int = 100) -> list[Entry]:
        """The latest notices, newest first."""
        query = select(OutboxRow.__table__).order_by(_COLUMNS.id.desc()).limit(limit)
        with self._database.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def figures(self) -> Figures:
        """How delivery stands; one query over an index and what waits."""
        oldest = select(func.min(_COLUMNS.created_ms)).where(_COLUMNS.state == "waiting").scalar_subquery()
        query = select(_COLUMNS.state, func.count(), oldest).group_by(_COLUMNS.state)
        with self._database.connect() as connection:
            rows = connection.execute(query).all()
        found = {str(state): int(count) for state, count, _ in rows}
        counts: dict[NoticeState, int] = {state: found.get(state, 0) for state in get_args(NoticeState)}
        return Figures(counts, rows[0][2] if rows else None)

    def expire(self, before_ms: int) -> int:
        """Delete what was sent or given up and is older than ``before_ms``; returns how many rows that were."""
        query = delete(OutboxRow).where(_COLUMNS.state != "waiting", _COLUMNS.created_ms < before_ms)
        with self._database.begin() as connection:
            return connection.execute(query).rowcount

    def _change(self, entry_id: int, **values: Any) -> None:
        with self._database.begin() as connection:
            connection.execute(update(OutboxRow).where(_COLUMNS.id == entry_id).values(**values))


def _subject(key: Any) -> ColumnElement[str]:
    """What a notice is about, as its key begins."""
    return func.substr(key, 1, func.instr(key, "-"))


def _entry(row: Row[Any]) -> Entry:
    return Entry(**row._mapping)
