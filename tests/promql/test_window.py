"""Range functions against slow and obvious ones: every window on its own, sample by sample."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.sample import STALE, Labels
from promql import Engine, Matrix, RawMatrix, cut, portion, reduction, window
from tests.promql.memory import MemorySource

Window = list[tuple[int, float]]
X: Labels = (("__name__", "x"),)


def _extrapolated(points: Window, end: int, span: int, counter: bool, per_second: bool) -> float | None:
    if len(points) < 2:
        return None
    (first_time, first), (last_time, last) = points[0], points[-1]
    gain = last - first
    if counter:
        gain += sum(a for (_, a), (_, b) in itertools.pairwise(points) if b < a)
    sampled = (last_time - first_time) / 1000
    typical = sampled / (len(points) - 1)
    before, after = (first_time - (end - span)) / 1000, (end - last_time) / 1000
    if before >= typical * 1.1:
        before = typical / 2
    if counter and gain > 0 and first >= 0:
        before = min(before, sampled * first / gain)
    if after >= typical * 1.1:
        after = typical / 2
    factor = (sampled + before + after) / sampled
    return gain * factor / (span / 1000 if per_second else 1)


def _quantile(q: float, values: list[float]) -> float:
    ordered = sorted(values)
    rank = q * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] * (1 - (rank - low)) + ordered[high] * (rank - low)


def _slope(points: Window) -> float | None:
    if len(points) < 2:
        return None
    xs = [(time - points[0][0]) / 1000 for time, _ in points]
    ys = [value for _, value in points]
    x, y = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    return math.fsum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / math.fsum((a - x) ** 2 for a in xs)


def _smoothed(points: Window) -> float | None:
    if len(points) < 2:
        return None
    values = [value for _, value in points]
    level, slope, before = values[0], values[1] - values[0], 0.0
    for position, value in enumerate(values[1:], start=1):
        if position > 1:
            slope = 0.4 * (level - before) + 0.6 * slope
        before, level = level, 0.3 * value + 0.7 * (level + slope)
    return level


def _variance(points: Window) -> float:
    values = [value for _, value in points]
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / len(values)


def _some(function: Callable[[list[float]], float]) -> Callable[[Window, int, int], float | None]:
    return lambda points, end, span: function([value for _, value in points]) if points else None


REFERENCES: dict[str, Callable[[Window, int, int], float | None]] = {
    "rate(x[{}])": lambda points, end, span: _extrapolated(points, end, span, True, True),
    "increase(x[{}])": lambda points, end, span: _extrapolated(points, end, span, True, False),
    "delta(x[{}])": lambda points, end, span: _extrapolated(points, end, span, False, False),
    "sum_over_time(x[{}])": _some(math.fsum),
    "avg_over_time(x[{}])": _some(lambda values: math.fsum(values) / len(values)),
    "min_over_time(x[{}])": _some(min),
    "max_over_time(x[{}])": _some(max),
    "count_over_time(x[{}])": _some(len),
    "last_over_time(x[{}])": _some(lambda values: values[-1]),
    "first_over_time(x[{}])": _some(lambda values: values[0]),
    "quantile_over_time(0.3, x[{}])": _some(lambda values: _quantile(0.3, values)),
    "stdvar_over_time(x[{}])": lambda points, end, span: _variance(points) if points else None,
    "deriv(x[{}])": lambda points, end, span: _slope(points),
    "double_exponential_smoothing(x[{}], 0.3, 0.4)": lambda points, end, span: _smoothed(points),
    "changes(x[{}])": _some(lambda values: sum(a != b for a, b in itertools.pairwise(values))),
    "resets(x[{}])": _some(lambda values: sum(a > b for a, b in itertools.pairwise(values))),
    "idelta(x[{}])": _some(lambda values: values[-1] - values[-2] if len(values) > 1 else math.nan),
}

_SERIES = st.lists(
    st.tuples(st.integers(1, 4000), st.one_of(st.integers(0, 50).map(float), st.just(STALE))), min_size=0, max_size=60
)


def _points(gaps: list[tuple[int, float]]) -> Window:
    time, points = 0, []
    for gap, value in gaps:
        time += gap
        points.append((time, value))
    return points


def _is_stale(value: float) -> bool:
    return np.float64(value).tobytes() == np.float64(STALE).tobytes()


@settings(max_examples=150, deadline=None)
@given(
    gaps=st.lists(_SERIES, min_size=1, max_size=4),
    together=st.booleans(),
    generous=st.booleans(),
    span=st.integers(1, 30_000),
    step=st.integers(1, 9000),
    start=st.integers(0, 60_000),
    batch=st.sampled_from([1, 17, 2_000_000]),
    long=st.sampled_from([0, 1000]),
)
def test_range_functions_agree_with_a_sample_by_sample_reference(
    gaps: list[list[tuple[int, float]]],
    together: bool,
    generous: bool,
    span: int,
    step: int,
    start: int,
    batch: int,
    long: int,
) -> None:
    if together:  # as the series of one source do
        gaps = [[(gap, value) for (gap, _), (_, value) in zip(gaps[0], one, strict=False)] for one in gaps]
    series = {(("__name__", "x"), ("n", str(n))): _points(one) for n, one in enumerate(gaps)}
    engine = Engine(MemorySource(series.items(), generous=generous))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "BATCH_SAMPLES", batch)
        patch.setattr(portion, "PORTION_ELEMENTS", batch)
        patch.setattr(reduction, "LONG", long)
        patch.setattr(cut, "FEW", long)
        patch.setattr(reduction, "OVERLAP", long)
        for text, reference in REFERENCES.items():
            matrix = engine.range(text.format(f"{span}ms"), start, start + 6 * step, step)
            rows = {dict(labels)["n"]: row for row, labels in enumerate(matrix.labels)}
            for labels, points in series.items():
                for column, end in enumerate(range(start, start + 6 * step + 1, step)):
                    inside = [(t, v) for t, v in points if end - span < t <= end and not _is_stale(v)]
                    wanted = reference(inside, end, span)
                    if wanted is not None and math.isnan(wanted):
                        wanted = None
                    row = rows.get(dict(labels)["n"])
                    there = row is not None and bool(matrix.present[row, column])
                    assert there == (wanted is not None), (text, labels, end)
                    if row is not None and wanted is not None:
                        assert matrix.values[row, column] == pytest.approx(wanted, rel=1e-9, abs=1e-9), (text, end)


@settings(max_examples=100, deadline=None)
@given(
    gaps=_SERIES,
    generous=st.booleans(),
    start=st.integers(0, 60_000),
    step=st.integers(1, 9000),
    lookback=st.integers(1, 20_000),
)
def test_an_instant_selector_takes_the_last_sample_unless_it_is_stale(
    gaps: list[tuple[int, float]], generous: bool, start: int, step: int, lookback: int
) -> None:
    points = _points(gaps)
    engine = Engine(MemorySource([(X, points)], generous=generous), lookback_ms=lookback)
    matrix = engine.range("x", start, start + 5 * step, step)
    for column, time in enumerate(range(start, start + 5 * step + 1, step)):
        inside = [value for at, value in points if time - lookback < at <= time]
        wanted = inside[-1] if inside and not _is_stale(inside[-1]) else None
        found = matrix.values[0, column] if matrix.labels and matrix.present[0, column] else None
        assert found == wanted


@settings(max_examples=60, deadline=None)
@given(gaps=st.lists(_SERIES, min_size=1, max_size=3), generous=st.booleans(), time=st.integers(0, 90_000))
def test_an_instant_query_is_one_step_of_a_range_query(
    gaps: list[list[tuple[int, float]]], generous: bool, time: int
) -> None:
    series = (((("__name__", "x"), ("n", str(n))), _points(one)) for n, one in enumerate(gaps))
    engine = Engine(MemorySource(series, generous=generous))
    for text in (
        "x > 10",
        "sum(x)",
        "topk(1, x)",
        "x or vector(1)",
        "absent(x)",
        "avg_over_time(x[9s])",
        "sum(rate(x[9s]))",
    ):
        matrix: Matrix = engine.range(text, time - 1000, time + 1000, 1000)
        vector = engine.instant(text, time)
        rows = {matrix.labels[row]: matrix.values[row, 1] for row in np.flatnonzero(matrix.present[:, 1])}
        assert rows == pytest.approx(dict(zip(vector.labels, vector.values, strict=True)))  # type: ignore[union-attr]


def test_windows_are_open_on_the_left() -> None:
    engine = Engine(MemorySource([(X, [(0, 1.0), (1000, 2.0), (2000, 3.0)])]))
    for start, counts in ((2000, 2), (2001, 2), (1999, 2), (1000, 2)):
        matrix = engine.range("count_over_time(x[2s])", start, start, 1)
        assert matrix.values[0, 0] == counts
    assert engine.instant("count_over_time(x[1s])", 2000).values[0] == 1.0  # type: ignore[union-attr]


def test_a_nan_that_is_no_stale_marker_is_a_value() -> None:
    engine = Engine(MemorySource([(X, [(0, math.nan)]), ((("__name__", "x"), ("s", "1")), [(0, STALE)])]))
    matrix = engine.range("x", 0, 1000, 1000)
    assert matrix.labels == [X]
    assert matrix.present.all()
    assert np.isnan(matrix.values).all()


def test_a_range_vector_holds_only_what_lies_in_its_window() -> None:
    points = [(0, 1.0), (1000, 2.0), (2000, STALE), (3000, 4.0), (4000, 5.0)]
    engine = Engine(MemorySource([(X, points)], generous=True))
    raw = engine.instant("x[3s]", 3000)
    assert isinstance(raw, RawMatrix)
    assert raw.series[0].times.tolist() == [1000, 3000]
    assert raw.series[0].values.tolist() == [2.0, 4.0]
    assert engine.instant("x[1s]", 2000) == RawMatrix([])


def test_windows_that_cancel_out_are_summed_exactly() -> None:
    values = [1e16, 1.0, -1e16, 3.0] * 500
    engine = Engine(MemorySource([(X, [(1000 * i, value) for i, value in enumerate(values)])]))
    assert engine.instant("sum_over_time(x[2000s])", 1_999_000).values.tolist() == [2000.0]  # type: ignore[union-attr]


def test_infinities_and_nan_are_reduced_as_they_are() -> None:
    values = [math.inf, 1.0, math.nan, -math.inf, 2.0]
    engine = Engine(MemorySource([(X, [(1000 * i, value) for i, value in enumerate(values)])]))
    wanted = {
        "sum": [math.inf, math.inf, math.nan, math.nan, -math.inf],
        "max": [math.inf, math.inf, 1.0, -math.inf, 2.0],
    }
    for name, expected in wanted.items():
        found = engine.range(f"{name}_over_time(x[2s])", 0, 4000, 1000).values[0]
        np.testing.assert_array_equal(found, expected)
