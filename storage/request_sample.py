"""Sums over the request log: of a window, exactly where it holds few requests, else of every n-th of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Engine, Row, func, select

from storage.tables import RequestRow

#: Requests that a sum goes over; of more, every n-th.
MOST = 100_000
#: Up to every tenth, the slowest are looked for among all of them nevertheless.
_ALL = 10


@dataclass(frozen=True, slots=True)
class Span:
    """Requests of a stretch of ``seconds`` from ``start_ms``."""

    start_ms: int
    count: int
    failed: int
    mean: float
    max: float


@dataclass(frozen=True, slots=True)
class Sum:
    """A window in numbers; seconds, ratios. ``every``: ``count`` is of all; so are ``max`` and the slowest of up to
    a million requests."""

    count: int
    every: int
    outcomes: dict[str, int]
    classes: dict[str, int]
    mean: float | None
    p95: float | None
    max: float | None
    hours: list[Span]
    slowest: list[dict[str, Any]]


class RequestSample:
    """Reads the table of requests. Any thread may ask."""

    def __init__(self, engine: Engine, most: int = MOST) -> None:
        self._engine = engine
        self._most = most

    def sum(
        self, start_ms: int, end_ms: int, shift_ms: int = 0, failed: Collection[str] = ("error", "oom", "timeout")
    ) -> Sum:
        """A window (both ends included) in numbers; hours begin where they do in a zone ``shift_ms`` before UTC."""
        window: ColumnElement[bool] = RequestRow.time_ms.between(start_ms, end_ms)
        with self._engine.connect() as connection:
            count = connection.execute(select(func.count()).where(window)).scalar_one()
            every = -(-count // self._most) or 1
            sample: list[ColumnElement[bool]] = [window] if every == 1 else [window, RequestRow.id % every == 0]
            outcomes, classes, hours, total = _grouped(connection, sample, shift_ms, frozenset(failed))
            counted = sum(outcomes.values())
            slowest = _slowest(connection, [window] if every <= _ALL else sample)
            return Sum(
                count=count,
                every=every,
                outcomes=_scaled(outcomes, every),
                classes=_scaled(classes, every),
                mean=total / counted if counted else None,
                p95=_quantile(connection, sample, counted, 0.95),
                max=slowest[0]["total_seconds"] if slowest else None,
                hours=[Span(one.start_ms, one.count * every, one.failed * every, one.mean, one.max) for one in hours],
                slowest=slowest,
            )

    def inputs(
        self, start_ms: int, end_ms: int, outcomes: Collection[str], most: int, fingerprint: str | None = None
    ) -> list[dict[str, Any]]:
        """What is known of inputs with one of ``outcomes``, ``most`` at most, evenly spread over the window."""
        where: list[ColumnElement[bool]] = [RequestRow.time_ms.between(start_ms, end_ms)]
        if fingerprint is None:
            where.append(RequestRow.outcome.in_(outcomes))
        else:
            where += [RequestRow.fingerprint == fingerprint, RequestRow.error.is_not(None)]
        with self._engine.connect() as connection:
            whole = connection.execute(select(func.count()).where(where[0])).scalar_one()
            query = select(RequestRow.input, RequestRow.route, RequestRow.model, RequestRow.version)
            found: list[Any] = []
            # Every n-th first, as if all requests were of this kind; then more and more of them.
            every = max(1, whole // most)
            while True:
                thinned = [*where, RequestRow.id % every == 0] if every > 1 else where
                rows = query.where(*thinned).order_by(RequestRow.time_ms.desc()).limit(most)
                if fingerprint is not None or "ok" not in outcomes:
                    rows = rows.where(RequestRow.error.is_not(None))
                    rows = rows.with_hint(RequestRow, "INDEXED BY requests_error", "sqlite")
                found = [*connection.execute(rows)]
                if len(found) * 2 > most or every == 1:
                    break
                every = max(1, every // 8)
        return [_known(row) for row in found]


def _known(row: Row[Any]) -> dict[str, Any]:
    facts = orjson.loads(row.input) if isinstance(row.input, (str, bytes)) else row.input
    beside = {"route": row.route, "version": row.version}
    return {**{name: value for name, value in beside.items() if value is not None}, **facts}


def _grouped(
    connection: Connection, sample: list[ColumnElement[bool]], shift_ms: int, bad: frozenset[str]
) -> tuple[Counter[str], Counter[str], list[Span], float]:
    """Counts by outcome and class, and hours; one pass, sorted by the database."""
    bucket = (RequestRow.time_ms + shift_ms) // 3_600_000
    query = (
        select(
            bucket.label("hour"),
            RequestRow.outcome,
            RequestRow.result_class,
            func.count().label("number"),
            func.sum(RequestRow.total_seconds).label("seconds"),
            func.max(RequestRow.total_seconds).label("longest"),
        )
        .where(*sample)
        .group_by("hour", RequestRow.outcome, RequestRow.result_class)
    )
    outcomes: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    hours: dict[int, tuple[int, int, float, float]] = {}
    total = 0.0
    for row in connection.execute(query):
        outcomes[row.outcome] += row.number
        if row.result_class is not None:
            classes[row.result_class] += row.number
        total += row.seconds
        count, failed, seconds, longest = hours.get(row.hour, (0, 0, 0.0, 0.0))
        failed += row.number if row.outcome in bad else 0
        hours[row.hour] = (count + row.number, failed, seconds + row.seconds, max(longest, row.longest))
    spans = [
        Span(number * 3_600_000 - shift_ms, count, failed, seconds / count, longest)
        for number, (count, failed, seconds, longest) in sorted(hours.items())
    ]
    return outcomes, classes, spans, total


def _quantile(connection: Connection, sample: list[ColumnElement[bool]], count: int, share: float) -> float | None:
    """The smallest duration that ``share`` of the sample do not exceed (nearest rank)."""
    if not count:
        return None
    rank = max(1, -(-count * round(share * 100) // 100))
    query = select(RequestRow.total_seconds).where(*sample).order_by(RequestRow.total_seconds.desc())
    return connection.execute(query.offset(count - rank).limit(1)).scalar_one_or_none()


def _slowest(connection: Connection, sample: list[ColumnElement[bool]]) -> list[dict[str, Any]]:
    wanted = ("request_id", "time_ms", "outcome", "result_class", "route", "total_seconds", "queue_seconds", "input")
    columns = [getattr(RequestRow, name) for name in wanted]
    query = select(*columns).where(*sample).order_by(RequestRow.total_seconds.desc()).limit(10)
    return [dict(row) for row in connection.execute(query).mappings()]


def _scaled(counts: Counter[str], every: int) -> dict[str, int]:
    return {name: count * every for name, count in counts.most_common(100)}
