"""The outbox: notices kept in the database from the moment something happened until a service has taken them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from alerts.book import AlertBook
from alerts.delivery.entry import Entry, NoticeState, kind_of
from alerts.delivery.message import Message
from alerts.delivery.receipt import Receipt
from alerts.delivery.reporting import REPORT
from alerts.delivery.secret import without_links
from alerts.delivery.standing import Figures, LaneStatus, figures, lanes
from alerts.state import Alert
from storage.tables import OutboxRow

#: How a notice ended. Refused: one attempt failed, and others follow.
Outcome: TypeAlias = Literal["sent", "failed", "merged", "refused"]

_TABLE = OutboxRow.__table__
_COLUMNS = _TABLE.c
#: Made once: to build and compile it would be most of the work of a flood.
_INSERT = insert(OutboxRow).on_conflict_do_nothing(index_elements=["key"])
#: Characters of an error, and of the words that were sent, that are kept.
_MAX_ERROR = 500
_MAX_BODY = 20_000
#: Notices that are held whole where only their outlines are asked for: one may tell of a thousand alerts.
_ROWS_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Crowd:
    """The notices of one channel that wait and could be told in one: how many, and when the oldest was made."""

    count: int
    oldest_ms: int


class _Span:
    """The first and the last of some entries, how many they are, and when the oldest was made."""

    def __init__(self) -> None:
        self.first: Entry | None = None
        self.last: Entry | None = None
        self.count = 0
        self.created_ms = 0

    def follow(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self.first = self.first or entry
            self.last = entry
            self.count += 1
            self.created_ms = min(self.created_ms, entry.created_ms) if self.count > 1 else entry.created_ms
            yield entry


class Outbox:
    """Owns the outbox table. All methods may be called from any thread."""

    def __init__(self, database: Engine) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._totals: Counter[tuple[str, Outcome]] = Counter()

    # --- putting in ----------------------------------------------------------------------------------------------

    def enqueue(self, connection: Connection, key: str, channel: str, message: Message, now_ms: int) -> bool:
        """Add a notice through the caller's transaction; False if its key is there already."""
        self._count(channel, "sent", 0)
        return _insert(connection, key, channel, message, now_ms, now_ms)

    # --- taking out ----------------------------------------------------------------------------------------------

    def waiting_channels(self) -> list[str]:
        """The channels for which something waits, due or not."""
        with self._database.connect() as connection:
            query = select(_COLUMNS.channel).where(_COLUMNS.state == "waiting").distinct()
            return sorted(connection.execute(query).scalars())

    def head(self, channel: str) -> Entry | None:
        """The notice that is next for a channel, due or not: the oldest that waits."""
        query = select(_TABLE).where(_waits(channel)).order_by(_COLUMNS.id).limit(1)
        with self._database.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Entry(**row._mapping)

    def crowd(self, channel: str) -> Crowd:
        """What could be told in one. What a service may have taken already is not among it."""
        query = select(func.count(), func.min(_COLUMNS.created_ms)).where(_mergeable(channel))
        with self._database.connect() as connection:
            count, oldest_ms = connection.execute(query).one()
        return Crowd(count, oldest_ms or 0)

    def sent_times(self, channel: str, limit: int) -> list[int]:
        """When the channel was last asked to take something, as far as that is recorded; at most ``limit`` moments."""
        sent = select(_COLUMNS.sent_ms).where(_COLUMNS.channel == channel, _COLUMNS.state == "sent")
        begun = select(_COLUMNS.attempt_ms).where(_waits(channel), _COLUMNS.attempt_ms.is_not(None))
        with self._database.connect() as connection:
            moments = [
                *connection.execute(sent.order_by(_COLUMNS.id.desc()).limit(limit)).scalars(),
                *connection.execute(begun).scalars(),
            ]
        return sorted(moment for moment in moments if moment is not None)

    def begin(self, entry: Entry, now_ms: int) -> bool:
        """Write down that an attempt begins, before it does; False if somebody has taken the notice out meanwhile.

        Whoever finds it begun and not ended does not know whether the service has taken it.
        """
        return self._change(entry.id, attempt_ms=now_ms)

    def mark_sent(self, entry: Entry, receipt: Receipt, now_ms: int) -> None:
        """The service has taken it, in these words."""
        said = without_links(receipt.body)[:_MAX_BODY]
        words = {"title": receipt.title, "body": said} if entry.message is not None else {}
        attempts = entry.attempts + 1
        self._change(entry.id, state="sent", sent_ms=now_ms, attempts=attempts, error=None, attempt_ms=None, **words)
        self._count(entry.channel, "sent")

    def mark_retry(self, entry: Entry, next_ms: int, error: str, *, unclear: bool) -> None:
        """It was not taken, or nobody knows (``unclear``); nothing goes to the channel before ``next_ms``.

        A refusal says nothing of an attempt before it of which nobody knows.
        """
        values: dict[str, Any] = {} if unclear or entry.attempt_ms is not None else {"attempt_ms": None}
        self._change(entry.id, next_ms=next_ms, attempts=entry.attempts + 1, error=error[:_MAX_ERROR], **values)
        self._count(entry.channel, "refused")

    def mark_failed(self, entry: Entry, error: str, resume_ms: int | None = None) -> None:
        """Given up, after one more attempt; with ``resume_ms`` the next notice of the channel waits until then."""
        with self._database.begin() as connection:
            values = {"state": "failed", "attempts": entry.attempts + 1, "error": error[:_MAX_ERROR]}
            connection.execute(update(OutboxRow).where(_COLUMNS.id == entry.id).values(**values))
            if resume_ms is not None:
                following = select(func.min(_COLUMNS.id)).where(_waits(entry.channel)).scalar_subquery()
                connection.execute(update(OutboxRow).where(_COLUMNS.id == following).values(next_ms=resume_ms))
        self._count(entry.channel, "failed")

    def merge(self, channel: str, tell: Callable[[Iterable[Entry]], Message], now_ms: int) -> bool:
        """Put one notice, made by ``tell``, in the place of all that could be told in one.

        False if that changed meanwhile: the summary would come after what is newer than all that it tells.
        """
        query = select(_TABLE).where(_mergeable(channel)).order_by(_COLUMNS.id)
        span = _Span()
        # Read outside the transaction that writes, lest thousands of notices hold up every other writer.
        with self._database.connect() as connection:
            rows = connection.execute(query.execution_options(yield_per=100))
            message = tell(span.follow(Entry(**row._mapping) for row in rows))
        if span.first is None or span.last is None or span.first is span.last:
            return False
        now_there = select(func.count(), func.max(_COLUMNS.id)).where(_mergeable(channel))
        with self._database.begin() as connection:
            if connection.execute(now_there).one() != (span.count, span.last.id):
                return False
            connection.execute(update(OutboxRow).where(_mergeable(channel)).values(state="merged", error=None))
            key = f"summary-{channel}-{span.first.id}-{span.last.id}-{now_ms}"
            _insert(connection, key, channel, message, span.created_ms, now_ms, span.first.attempts)
        self._count(channel, "merged", span.count)
        return True

    def latest(self, fingerprints: Collection[str]) -> dict[str, Alert]:
        """How the alerts stand that notices are about: each label set's newest."""
        return AlertBook(self._database).latest(fingerprints)

    def set_back(self, back_ms: int, now_ms: int) -> None:
        """The clock was set back: what rests does so for no longer than it would have."""
        rests = and_(_COLUMNS.state == "waiting", _COLUMNS.next_ms > now_ms)
        earlier = func.max(_COLUMNS.next_ms - back_ms, now_ms)
        with self._database.begin() as connection:
            connection.execute(update(OutboxRow).where(rests).values(next_ms=earlier))

    def abandon(self, channels: Collection[str], error: str) -> int:
        """Give up everything that waits for ``channels``; returns how many notices that were."""
        abandoned = 0
        for channel in channels:
            query = update(OutboxRow).where(_waits(channel)).values(state="failed", error=error)
            with self._database.begin() as connection:
                count = connection.execute(query).rowcount
            self._count(channel, "failed", count)
            abandoned += count
        return abandoned

    # --- people --------------------------------------------------------------------------------------------------

    def find(self, entry_id: int) -> Entry | None:
        """One notice."""
        with self._database.connect() as connection:
            row = connection.execute(select(_TABLE).where(_COLUMNS.id == entry_id)).one_or_none()
        return None if row is None else Entry(**row._mapping)

    def retry(self, entry_id: int, now_ms: int) -> bool:
        """Have a notice that was given up, or that waits for its next attempt, sent now; False if it is neither."""
        changes = {"state": "waiting", "next_ms": now_ms, "attempts": 0}
        query = update(OutboxRow).where(_COLUMNS.id == entry_id, _COLUMNS.state.in_(("failed", "waiting")))
        with self._database.begin() as connection:
            return connection.execute(query.values(**changes)).rowcount == 1

    def discard(self, entry_id: int) -> bool:
        """Take out a notice that was given up or that waits; False if it is neither. It is never told."""
        query = delete(OutboxRow).where(_COLUMNS.id == entry_id, _COLUMNS.state.in_(("failed", "waiting")))
        with self._database.begin() as connection:
            return connection.execute(query).rowcount == 1

    def recent(self, limit: int = 100, *, state: NoticeState | None = None, channel: str | None = None) -> list[Entry]:
        """The latest notices, newest first, each with no more of its message than an outline."""
        newest = select(_COLUMNS.id).order_by(_COLUMNS.id.desc()).limit(limit)  # over an index: rows are large
        if state is not None:
            newest = newest.where(_COLUMNS.state == state)
        if channel is not None:
            newest = newest.where(_COLUMNS.channel == channel)
        query = select(_TABLE).where(_COLUMNS.id.in_(newest)).order_by(_COLUMNS.id.desc())
        with self._database.connect() as connection:
            rows = connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE))
            return [Entry(**row._mapping).outline() for row in rows]

    # --- how it stands -------------------------------------------------------------------------------------------

    def figures(self) -> Figures:
        """How delivery stands: one query over an index and what waits."""
        with self._database.connect() as connection:
            return figures(connection)

    def lanes(self, now_ms: int) -> list[LaneStatus]:
        """How delivery to each channel stands that the outbox knows of."""
        with self._database.connect() as connection:
            return lanes(connection, now_ms)

    def totals(self) -> dict[tuple[str, Outcome], int]:
        """By channel and outcome, how many notices ended how since this process began."""
        with self._lock:
            return dict(self._totals)

    def expire(self, before_ms: int) -> int:
        """Delete what is over and older than ``before_ms``; returns how many rows that were."""
        over = _COLUMNS.state.in_([state for state in get_args(NoticeState) if state != "waiting"])
        # What was last due before then was made before then: the index is by that.
        query = delete(OutboxRow).where(over, _COLUMNS.next_ms < before_ms, _COLUMNS.created_ms < before_ms)
        with self._database.begin() as connection:
            return connection.execute(query).rowcount

    def _change(self, entry_id: int, **values: Any) -> bool:
        query = update(OutboxRow).where(_COLUMNS.id == entry_id, _COLUMNS.state == "waiting")
        with self._database.begin() as connection:
            return connection.execute(query.values(**values)).rowcount == 1

    def _count(self, channel: str, outcome: Outcome, count: int = 1) -> None:
        with self._lock:
            for each in get_args(Outcome):  # a series that begins at 0 has a rate from its first notice on
                self._totals.setdefault((channel, each), 0)
            self._totals[channel, outcome] += count


def _insert(
    connection: Connection, key: str, channel: str, message: Message, created_ms: int, next_ms: int, attempts: int = 0
) -> bool:
    values = {
        "key": key,
        "channel": channel,
        "title": "",
        "body": "",
        "kind": kind_of(message),
        "state": "waiting",
        "created_ms": created_ms,
        "next_ms": next_ms,
        "attempts": attempts,
        "message": message.as_dict(),
        "group_key": message.group_key,
    }
    return connection.execute(_INSERT, values).rowcount == 1


def _waits(channel: str) -> ColumnElement[bool]:
    return and_(_COLUMNS.channel == channel, _COLUMNS.state == "waiting")


def _mergeable(channel: str) -> ColumnElement[bool]:
    """What waits as data and was certainly not taken yet; a report is told whole, however late."""
    is_report = func.coalesce(func.substr(_COLUMNS.group_key, 1, len(REPORT)), "") == REPORT
    is_data = func.substr(_COLUMNS.message, 1, 1) == "{"
    return and_(_waits(channel), _COLUMNS.attempt_ms.is_(None), is_data, ~is_report)
