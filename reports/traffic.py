"""What was asked of the model in a period: how much, when, how fast, with what result. From the table of requests.

The table is the truth here, not the counters: a counter knows nothing of what came between its last sample and the end
of its process. SQLite does the counting, a day at a time, so that no reading transaction is long.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Engine

from reports.period import Period, local

#: Outcomes that are failures of ours, as the stock rules have it.
FAILED = ("error", "oom", "timeout")
#: Outcomes that never reached the model, or whose caller did not wait: they say nothing of how fast it is.
REFUSED = ("rejected", "bad_input", "canceled")
#: Zones are apart by quarters of an hour.
_QUARTER_MS = 900_000
_HOUR_MS = 3_600_000
_TOP = 10
_COUNTS = (
    "SELECT time_ms / 900000, outcome, count(*), sum(total_seconds > ?) FROM requests"
    " WHERE time_ms >= ? AND time_ms < ? GROUP BY 1, 2"
)
_CLASSES = (
    "SELECT result_class, count(*) FROM requests WHERE time_ms >= ? AND time_ms < ? AND result_class IS NOT NULL"
    " GROUP BY 1"
)
_SECONDS = (
    "SELECT total_seconds FROM requests WHERE time_ms >= ? AND time_ms < ?"
    " AND outcome NOT IN ('rejected', 'bad_input', 'canceled')"
)
_ERRORS = (
    "SELECT coalesce(fingerprint, error, ''), outcome, count(*), min(time_ms), max(time_ms), max(error) FROM requests"
    " WHERE time_ms >= ? AND time_ms < ? AND outcome IN ('error', 'oom', 'timeout', 'bad_input') GROUP BY 1, 2"
)

Durations = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from arrival to answer, by nearest rank; None of nothing. ``count`` are the requests that count."""

    count: int
    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Slot:
    """One stretch of the chart: an hour of a day, or a day of what is longer."""

    start_ms: int
    requests: int
    failed: int
    p95: float | None


@dataclass(frozen=True, slots=True)
class BusyHour:
    """An hour of the day (0 to 23), all days together."""

    hour: int
    requests: int


@dataclass(frozen=True, slots=True)
class TopError:
    """Failures of one kind. ``text`` is one of them, masked where it is shown to people outside."""

    fingerprint: str
    outcome: str
    text: str
    count: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """``heat`` counts requests by weekday (Monday first) and hour, shape (7, 24). Shares are None of nothing."""

    requests: int
    failed: int
    failed_share: float | None
    slow: int
    outcomes: Mapping[str, int]
    classes: Mapping[str, int]
    latency: Latency
    slots: tuple[Slot, ...]
    heat: tuple[tuple[int, ...], ...]
    busiest: tuple[BusyHour, ...]
    errors: tuple[TopError, ...]


def traffic(database: Engine, period: Period, until_ms: int, zone: tzinfo | None, slow_seconds: float) -> Traffic:
    """The requests of ``[period.start_ms, until_ms)``."""
    outcomes: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    heat = [[0] * 24 for _ in range(7)]
    slots: list[Slot] = []
    parts: list[Durations] = []
    slow = 0
    for start_ms, end_ms in edges(period, until_ms):
        with database.connect() as connection:
            counted, slower = _counts(connection, start_ms, end_ms, slow_seconds, heat, zone)
            rows = connection.exec_driver_sql(_CLASSES, (start_ms, end_ms))
            classes.update({row[0]: row[1] for row in rows})
            seconds = _seconds(connection, start_ms, end_ms)
        outcomes += counted
        slow += slower
        parts.append(seconds)
        slots.append(Slot(start_ms, counted.total(), _failed(counted), rank(np.sort(seconds), 0.95)))
    total, failed = outcomes.total(), _failed(outcomes)
    return Traffic(
        requests=total,
        failed=failed,
        failed_share=failed / total if total else None,
        slow=slow,
        outcomes=dict(outcomes.most_common()),
        classes=dict(sorted(classes.items(), key=lambda pair: (-pair[1], pair[0]))),
        latency=latency(np.concatenate(parts) if parts else np.empty(0)),
        slots=tuple(slots),
        heat=tuple(tuple(row) for row in heat),
        busiest=_busiest(heat),
        errors=_errors(database, period.start_ms, until_ms),
    )


def edges(period: Period, until_ms: int) -> list[tuple[int, int]]:
    """The stretches of the chart as far as they have begun: hours of a day, days of what is longer."""
    if period.kind == "day":
        starts: Iterable[int] = range(period.start_ms, period.end_ms, _HOUR_MS)
    else:
        starts = [day.start_ms for day in period.days]
    begun = [*(start for start in starts if start < until_ms), until_ms]
    return [pair for pair in pairwise(begun) if pair[0] < pair[1]]


def latency(seconds: Durations) -> Latency:
    """What durations amount to; the mean is that of the sum without rounding errors."""
    if not len(seconds):
        return Latency(0, None, None, None, None, None)
    ordered = np.sort(seconds)
    mean = math.fsum(ordered.tolist()) / len(ordered)
    return Latency(len(ordered), mean, rank(ordered, 0.5), rank(ordered, 0.95), rank(ordered, 0.99), float(ordered[-1]))


def rank(ordered: Durations, share: float) -> float | None:
    """The smallest value that at least a share of them does not exceed; None of nothing."""
    if not len(ordered):
        return None
    return float(ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)])


def _counts(
    connection: Connection, start_ms: int, end_ms: int, slow_seconds: float, heat: list[list[int]], zone: tzinfo | None
) -> tuple[Counter[str], int]:
    found: Counter[str] = Counter()
    slow = 0
    for quarter, outcome, count, slower in connection.exec_driver_sql(_COUNTS, (slow_seconds, start_ms, end_ms)):
        moment = local(quarter * _QUARTER_MS, zone)
        heat[moment.weekday()][moment.hour] += count
        found[outcome] += count
        slow += slower
    return found, slow


def _seconds(connection: Connection, start_ms: int, end_ms: int) -> Durations:
    rows = connection.exec_driver_sql(_SECONDS, (start_ms, end_ms))
    return np.fromiter((row[0] for row in rows), dtype=np.float64)


def _errors(database: Engine, start_ms: int, end_ms: int) -> tuple[TopError, ...]:
    with database.connect() as connection:
        rows = connection.exec_driver_sql(_ERRORS, (start_ms, end_ms)).all()
    found = [
        TopError(str(key), outcome, text or "", count, first_ms, last_ms)
        for key, outcome, count, first_ms, last_ms, text in rows
    ]
    return tuple(sorted(found, key=lambda one: (-one.count, -one.last_ms, one.fingerprint))[:_TOP])


def _failed(outcomes: Mapping[str, int]) -> int:
    return sum(outcomes.get(name, 0) for name in FAILED)


def _busiest(heat: Sequence[Sequence[int]]) -> tuple[BusyHour, ...]:
    """The three hours of the day with the most requests."""
    hours = [BusyHour(hour, sum(row[hour] for row in heat)) for hour in range(24)]
    return tuple(sorted((one for one in hours if one.requests), key=lambda one: (-one.requests, one.hour))[:3])
