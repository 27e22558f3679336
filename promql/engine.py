"""The engine: evaluates queries against a source, at one moment or over a range, within limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from collectors.sample import Series, Times, stale_mask
from promql.annotation import Annotations
from promql.error import QueryError
from promql.evaluate import Evaluation
from promql.function import vector
from promql.parse import Query, parse
from promql.selector import Budget
from promql.source import SeriesSource
from promql.value import Block, Matrix, RangeData, RawMatrix, Result, Row, Scalar, String, Value, Vector

#: Times beyond this are no times; it also keeps sums with ranges and offsets inside 64 bits.
_MAX_TIME_MS = 1 << 53


class Engine:
    """Answers queries over ``source``. It keeps no state between queries and may be shared by threads.

    ``lookback_ms``: how old a sample an instant selector may take. ``max_points``: steps of a range query.
    ``max_samples``: samples that one query may load and compute. ``default_step_ms``: the step of a subquery that names
    none. ``timeout_seconds``: None for no limit.
    """

    def __init__(
        self,
        source: SeriesSource,
        lookback_ms: int = 300_000,
        max_points: int = 11_000,
        max_samples: int = 50_000_000,
        default_step_ms: int = 60_000,
        timeout_seconds: float | None = None,
    ) -> None:
        self._source = source
        self._lookback_ms = lookback_ms
        self._max_points = max_points
        self._max_samples = max_samples
        self._default_step_ms = default_step_ms
        self._timeout_seconds = timeout_seconds

    def instant(self, query: Query | str, time_ms: int) -> Result:
        """The query's value at ``time_ms``; raises :class:`QueryError`."""
        _check_time(time_ms)
        times = np.array([time_ms], dtype=np.int64)
        value, notes = self._evaluate(query, times, time_ms, time_ms)
        return replace(_instant(value), warnings=notes.warnings, infos=notes.infos)

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
        times = start_ms + step_ms * np.arange(steps, dtype=np.int64)
        value, notes = self._evaluate(query, times, start_ms, end_ms)
        block = vector(value) if isinstance(value, Row) else value
        if not isinstance(block, Block):
            kind = "range vector" if isinstance(value, RangeData) else "string"
            raise QueryError(f"a range query needs a scalar or an instant vector, not a {kind}")
        block = block.without_absent()
        if block.labels != sorted(block.labels):
            block = block.take(sorted(range(len(block.labels)), key=block.labels.__getitem__))
        values = np.where(block.present, block.values, np.nan)
        return Matrix(times, block.labels, values, block.present, notes.warnings, notes.infos)

    def _evaluate(self, query: Query | str, times: Times, start_ms: int, end_ms: int) -> tuple[Value, Annotations]:
        parsed = parse(query) if isinstance(query, str) else query
        budget = Budget(self._max_samples, self._timeout_seconds)
        notes = Annotations(parsed.text)
        evaluation = Evaluation(self._source, budget, self._lookback_ms, self._default_step_ms, start_ms, end_ms, notes)
        try:
            with np.errstate(all="ignore"):
                return evaluation.value(parsed.expr, times), notes
        except RecursionError:
            raise QueryError("the query is nested too deeply") from None


def _instant(value: Value) -> Result:
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
        case RangeData():
            return RawMatrix(_raw(value))
        case _:
            return String(value)


def _raw(data: RangeData) -> list[Series]:
    """The samples in a range vector's one window, without stale markers."""
    series = []
    for one in data.series:
        stale = stale_mask(one.values)
        if stale.all():
            continue
        series.append(Series(one.labels, one.times[~stale], one.values[~stale]) if stale.any() else one)
    return series


def _check_time(time_ms: int) -> None:
    if abs(time_ms) > _MAX_TIME_MS:
        raise QueryError("the time is out of range")
