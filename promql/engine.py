"""The engine: evaluates queries against a source, at one moment or over a range, within limits."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import replace
from functools import lru_cache

import numpy as np

from collectors.sample import Times
from promql.annotation import Annotations
from promql.budget import Budget
from promql.error import QueryError
from promql.evaluate import Evaluation, block_of
from promql.function import vector
from promql.node import RangeSelector, Subquery, Text
from promql.parse import Query, parse
from promql.selector import raw
from promql.source import SeriesSource
from promql.value import Block, Matrix, RangeData, RawMatrix, Result, Row, Scalar, String, Vector

#: Times beyond this are no times; it also keeps sums with ranges and offsets inside 64 bits.
_MAX_TIME_MS = 1 << 53
#: Parsed queries that are kept, of texts up to this length: panels and rules ask the same again and again.
_KEPT_QUERIES = 512
_KEPT_LENGTH = 1024


class Engine:
    """Answers queries over ``source``. It keeps nothing between queries but their syntax; threads may share it.

    ``lookback_ms``: how old a sample an instant selector may take. ``max_points``: steps of a range query.
    ``max_samples``: samples, of the source and computed, that one query may hold at once. ``max_read``: samples that it
    may read in all. ``default_step_ms``: the step of a subquery that names none. ``timeout_seconds``: None for no
    limit.
    """

    def __init__(
        self,
        source: SeriesSource,
        lookback_ms: int = 300_000,
        max_points: int = 11_001,
        max_samples: int = 50_000_000,
        default_step_ms: int = 60_000,
        timeout_seconds: float | None = None,
        max_read: int = 2_000_000_000,
    ) -> None:
        self._source = source
        self._lookback_ms = lookback_ms
        self._max_points = max_points
        self._max_samples = max_samples
        self._max_read = max_read
        self._default_step_ms = default_step_ms
        self._timeout_seconds = timeout_seconds
        self._kept = lru_cache(_KEPT_QUERIES)(parse)

    def adjusted(self, *, lookback_ms: int | None = None, timeout_seconds: float | None = None) -> Engine:
        """The same engine for a caller who asks for another lookback, or for less time than the limit."""
        engine = copy(self)
        if lookback_ms is not None:
            engine._lookback_ms = lookback_ms
        if timeout_seconds is not None:
            engine._timeout_seconds = min(timeout_seconds, self._timeout_seconds or math.inf)
        return engine

    def instant(self, query: Query | str, time_ms: int) -> Result:
        """The query's value at ``time_ms``; raises :class:`QueryError`."""
        _check_time(time_ms)
        times = np.array([time_ms], dtype=np.int64)
        value, evaluation = self._evaluate(self._parsed(query), times, time_ms, time_ms)
        notes = evaluation.notes
        return replace(_instant(value), warnings=notes.warnings, infos=notes.infos, selected=evaluation.selected)

    def range(self, query: Query | str, start_ms: int, end_ms: int, step_ms: int) -> Matrix:
        """The query's values at ``start_ms``, ``start_ms + step_ms`` … up to ``end_ms``; raises :class:`QueryError`.

        Series are sorted by their labels.
        """
        _check_time(start_ms)
        _check_time(end_ms)
        if step_ms <= 0:
            raise QueryError("the step must be greater than zero")
        if end_ms < start_ms:
            raise QueryError("the end must not be before the start")
        steps = (end_ms - start_ms) // step_ms + 1
        if steps > self._max_points:
            raise QueryError(
                f"the range holds {steps} steps; at most {self._max_points} are allowed: choose a longer step"
            )
        parsed = self._parsed(query)
        if isinstance(parsed.expr, RangeSelector | Subquery | Text):
            kind = "string" if isinstance(parsed.expr, Text) else "range vector"
            raise QueryError(f"a range query needs a scalar or an instant vector, not a {kind}")
        times = start_ms + step_ms * np.arange(steps, dtype=np.int64)
        value, evaluation = self._evaluate(parsed, times, start_ms, end_ms)
        notes = evaluation.notes
        block = (vector(value) if isinstance(value, Row) else block_of(value)).without_absent()
        if block.labels != sorted(block.labels):
            block = block.take(sorted(range(len(block.labels)), key=block.labels.__getitem__))
        values = np.where(block.present, block.values, np.nan)
        return Matrix(times, block.labels, values, block.present, notes.warnings, notes.infos, evaluation.selected)

    def _parsed(self, query: Query | str) -> Query:
        if isinstance(query, Query):
            return query
        return self._kept(query) if len(query) <= _KEPT_LENGTH else parse(query)

    def _evaluate(
        self, query: Query, times: Times, start_ms: int, end_ms: int
    ) -> tuple[Block | Row | RawMatrix | str, Evaluation]:
        budget = Budget(self._max_samples, self._max_read, self._timeout_seconds)
        notes = Annotations(query.text)
        evaluation = Evaluation(self._source, budget, self._lookback_ms, self._default_step_ms, start_ms, end_ms, notes)
        try:
            with np.errstate(all="ignore"):
                value = evaluation.value(query.expr, times)
                if not isinstance(value, RangeData):
                    return value, evaluation
                samples = raw(value, budget)
                evaluation.count(len(samples))
                return RawMatrix(samples), evaluation
        except RecursionError:
            raise QueryError("the query is nested too deeply") from None


def _instant(value: Block | Row | RawMatrix | str) -> Result:
    """What callers get of a value at a single step."""
    match value:
        case Block():
            present = value.present[:, 0]
            if present.all():
                return Vector(value.labels, value.values[:, 0])
            rows = np.flatnonzero(present)
            return Vector([value.labels[row] for row in rows], value.values[rows, 0])
        case Row():
            return Scalar(float(value.values[0]))
        case RawMatrix():
            return value
        case _:
            return String(value)


def _check_time(time_ms: int) -> None:
    if abs(time_ms) > _MAX_TIME_MS:
        raise QueryError("the time is out of range")
