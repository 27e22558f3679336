"""How delivery stands: how many notices are in which state, and how each channel does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, get_args

from sqlalchemy import Connection, func, select

from alerts.delivery.entry import NoticeState
from storage.tables import OutboxRow

_COLUMNS = OutboxRow.__table__.c
DAY_MS = 86_400_000


class Figures(NamedTuple):
    """How many notices are in each state, and when the oldest of those that wait was made; None when none waits."""

    counts: Mapping[NoticeState, int]
    oldest_waiting_ms: int | None


class LaneStatus(NamedTuple):
    """How delivery to one channel stands. ``resting_until_ms`` is None unless it waits for another attempt."""

    channel: str
    waiting: int
    failed: int
    sent_24h: int
    resting_until_ms: int | None
    last_error: str | None


def figures(connection: Connection) -> Figures:
    """Counts by state, over an index, and the oldest of what waits."""
    oldest = select(func.min(_COLUMNS.created_ms)).where(_COLUMNS.state == "waiting").scalar_subquery()
    rows = connection.execute(select(_COLUMNS.state, func.count(), oldest).group_by(_COLUMNS.state)).all()
    found = {str(state): int(count) for state, count, _ in rows}
    counts: dict[NoticeState, int] = {state: found.get(state, 0) for state in get_args(NoticeState)}
    return Figures(counts, rows[0][2] if rows else None)


def lanes(connection: Connection, now_ms: int) -> list[LaneStatus]:
    """Every channel for which there are notices, by name."""
    counted = select(_COLUMNS.channel, _COLUMNS.state, func.count()).group_by(_COLUMNS.channel, _COLUMNS.state)
    counts: dict[str, Counter[str]] = {}
    for channel, state, count in connection.execute(counted).all():
        counts.setdefault(channel, Counter())[state] = count
    # What was sent was due shortly before: the index is by that.
    sent = select(_COLUMNS.channel, func.count()).where(
        _COLUMNS.state == "sent", _COLUMNS.next_ms > now_ms - 2 * DAY_MS, _COLUMNS.sent_ms > now_ms - DAY_MS
    )
    lately = {row.channel: int(row[1]) for row in connection.execute(sent.group_by(_COLUMNS.channel))}
    return [
        LaneStatus(
            channel, count["waiting"], count["failed"], lately.get(channel, 0), *_standing(connection, channel, now_ms)
        )
        for channel, count in sorted(counts.items())
    ]


def _standing(connection: Connection, channel: str, now_ms: int) -> tuple[int | None, str | None]:
    """Until when a channel rests, and the last error that it gave."""
    found = select(_COLUMNS.next_ms, _COLUMNS.error).where(_COLUMNS.channel == channel)
    head = found.where(_COLUMNS.state == "waiting").order_by(_COLUMNS.id).limit(1)
    next_ms, error = connection.execute(head).one_or_none() or (0, None)
    if error is None:
        last = connection.execute(found.where(_COLUMNS.state == "failed").order_by(_COLUMNS.id.desc()).limit(1))
        error = last.scalars("error").first()
    return (next_ms if next_ms > now_ms else None), error
