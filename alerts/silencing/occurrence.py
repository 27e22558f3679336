"""When does a recurring window open next, and when does it close again?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from alerts.routing.calendar import TimeInterval, contains_any

#: How far ahead is looked: windows may be for one month of the year.
DAYS = 400
MINUTE_MS = 60_000
DAY_MS = 1440 * MINUTE_MS
_DAY = timedelta(days=1)


class Occurrence(NamedTuple):
    """A stretch of time in which a window is open, in UTC milliseconds; ``end_ms`` is None when it is far away."""

    start_ms: int
    end_ms: int | None


def next_occurrence(intervals: Sequence[TimeInterval], now_ms: int) -> Occurrence | None:
    """The stretch that ``now_ms`` lies in, begun at ``now_ms``, or the next one; None if none begins within a year."""
    start_ms = now_ms if contains_any(intervals, now_ms) else _first(intervals, now_ms, inside=True)
    return None if start_ms is None else Occurrence(start_ms, _first(intervals, start_ms, inside=False))


def _first(intervals: Sequence[TimeInterval], after_ms: int, *, inside: bool) -> int | None:
    """The first moment after ``after_ms`` at which one of them holds (or none does)."""
    before_ms = after_ms
    for edge_ms in _edges(intervals, after_ms):
        if contains_any(intervals, edge_ms) == inside:
            return _change(intervals, before_ms, edge_ms, inside=inside)
        before_ms = edge_ms
    return None


def _change(intervals: Sequence[TimeInterval], before_ms: int, edge_ms: int, *, inside: bool) -> int:
    """The minute after ``before_ms`` from which on it is as at ``edge_ms``: earlier where a clock was put forward."""
    low, high = before_ms // MINUTE_MS, edge_ms // MINUTE_MS
    while high - low > 1:
        middle = (low + high) // 2
        if contains_any(intervals, middle * MINUTE_MS) == inside:
            high = middle
        else:
            low = middle
    return high * MINUTE_MS


def _edges(intervals: Sequence[TimeInterval], after_ms: int) -> Iterator[int]:
    """Every moment after ``after_ms`` at which an interval may begin or end, in order: midnights and its times."""
    day = datetime.fromtimestamp(after_ms / 1000, UTC).date()
    for _ in range(DAYS):
        start_ms = int(datetime.combine(day, time(), UTC).timestamp() * 1000)
        near = (day - _DAY, day, day + _DAY)  # what is today in UTC is yesterday or tomorrow elsewhere
        found = {edge for interval in intervals for local in near for edge in _edges_of_day(interval, local)}
        yield from sorted(edge for edge in found if edge > after_ms and start_ms <= edge < start_ms + DAY_MS)
        day += _DAY


def _edges_of_day(interval: TimeInterval, day: date) -> Iterator[int]:
    minutes = {0} | {minute % 1440 for span in interval.times or () for minute in span}
    for minute in minutes:
        local = datetime.combine(day, time(minute // 60, minute % 60), interval.zone)
        for fold in (0, 1):  # a clock that is put back shows a time twice
            yield int(local.replace(fold=fold).timestamp() * 1000)
