"""The engine's surface: kinds of results, limits, and the rules users bring."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from collectors.sample import Hints, Labels, Matcher, Series, Values
from promql import Engine, Matrix, Query, QueryError, RawMatrix, Scalar, String, Vector, parse, trend, window
from tests.promql.memory import MemorySource
from tests.promql.notation import parse_labels
from tests.promql.test_parse import RULES

MINUTE = 60_000


def _series(name: str, values: Sequence[float], step_ms: int = MINUTE) -> tuple[Labels, list[tuple[int, float]]]:
    return parse_labels(name)[0], [(i * step_ms, float(value)) for i, value in enumerate(values)]


def test_it_gives_each_kind_of_result_its_own_type() -> None:
    engine = Engine(MemorySource([_series("x", [1, 2, 3])]))
    assert engine.instant("1 + 1", 0) == Scalar(2.0)
    assert engine.instant('"text"', 0) == String("text")
    vector = engine.instant("x", 2 * MINUTE)
    assert isinstance(vector, Vector)
    assert vector.labels == [(("__name__", "x"),)]
    assert vector.values.tolist() == [3.0]
    raw = engine.instant("x[2m]", 2 * MINUTE)
    assert isinstance(raw, RawMatrix)
    assert raw.series[0].times.tolist() == [MINUTE, 2 * MINUTE]
    assert raw.series[0].values.tolist() == [2.0, 3.0]


def test_a_range_query_over_a_scalar_is_a_series_without_labels() -> None:
    matrix = Engine(MemorySource()).range("time()", 0, 2000, 1000)
    assert matrix.labels == [()]
    assert matrix.times.tolist() == [0, 1000, 2000]
    assert matrix.values.tolist() == [[0.0, 1.0, 2.0]]


def test_a_matrix_holds_nan_and_says_so_where_nothing_is_present() -> None:
    engine = Engine(MemorySource([_series("x", [1, 5, 1])]))
    matrix = engine.range("x > 2", 0, 2 * MINUTE, MINUTE)
    assert matrix.present.tolist() == [[False, True, False]]
    assert np.isnan(matrix.values[0, [0, 2]]).all()


def test_it_sorts_the_series_of_a_matrix_by_their_labels() -> None:
    engine = Engine(MemorySource([_series('x{a="2"}', [1]), _series('x{a="1"}', [1])]))
    assert [dict(labels)["a"] for labels in engine.range("x", 0, 0, 1).labels] == ["1", "2"]


def test_it_asks_the_source_for_no_more_than_the_windows_touch() -> None:
    asked: list[tuple[Sequence[Matcher], Hints]] = []

    class Source:
        def stream(self, matchers: Sequence[Matcher], hints: Hints) -> list[Series]:
            asked.append((matchers, hints))
            return []

    engine = Engine(Source(), lookback_ms=10_000)
    engine.range("x + rate(x[1m] offset 5s)", 100_000, 200_000, 1000)
    engine.instant("sum_over_time(x[1m:10s] @ 50)", 100_000)
    name = (Matcher("__name__", "=", "x"),)
    assert asked == [
        (name, Hints(100_000, 200_000, 1000, 10_000)),
        (name, Hints(95_000, 195_000, 1000, 60_000, "rate")),
        (name, Hints(0, 50_000, 10_000, 10_000)),
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("x[5m]", "bad_data"), ('"text"', "bad_data"), ("x * on(a) x", "execution"), ("topk(NaN, x)", "execution")],
)
def test_it_names_the_kind_of_an_error(text: str, kind: str) -> None:
    engine = Engine(MemorySource([_series('x{b="1"}', [1]), _series('x{b="2"}', [1])]))
    with pytest.raises(QueryError) as caught:
        engine.range(text, 0, 1000, 1000)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("start", "end", "step", "message"),
    [
        (0, 1000, 0, "step"),
        (1000, 0, 1, "end"),
        (0, 11_001, 1, "11001"),
        (-(1 << 62), 0, 1 << 60, "out of range"),
        (0, 1 << 62, 1 << 60, "out of range"),
    ],
)
def test_it_refuses_impossible_ranges(start: int, end: int, step: int, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        Engine(MemorySource()).range("1", start, end, step)


@pytest.mark.parametrize("text", ["x", "rate(x[10m])", "sum_over_time(x[10m:1ms])", "vector(1)[200y:1ms]"])
def test_it_stops_a_query_that_needs_too_much(text: str) -> None:
    engine = Engine(MemorySource([_series("x", [1] * 50)]), max_samples=20)
    with pytest.raises(QueryError, match=r"at most|more than") as caught:
        engine.range(text, 0, 40 * MINUTE, MINUTE) if "[200y" not in text else engine.instant(text, 0)
    assert caught.value.kind == "execution"


class _Long:
    """Ten series of a thousand samples each, made when they are asked for; knows how many are alive at most."""

    def __init__(self) -> None:
        self.made: list[weakref.ref[Values]] = []
        self.alive = 0

    def stream(self, matchers: Sequence[Matcher], hints: Hints) -> Iterator[Series]:
        times = np.arange(1000, dtype=np.int64) * 1000
        for number in range(10):
            values = np.arange(1000.0)
            self.made.append(weakref.ref(values))
            self.alive = max(self.alive, sum(one() is not None for one in self.made))
            yield Series((("__name__", "x"), ("n", str(number))), times, values)


@pytest.mark.parametrize("text", ["x", "sum(x)", "sum(rate(x[1s]))", "sum(rate(x[10s]))", "stddev_over_time(x[10s])"])
def test_it_holds_samples_of_few_series_at_a_time(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "BATCH_SAMPLES", 1000)
    source = _Long()
    matrix = Engine(source, max_samples=4000).range(text, 0, 990_000, 10_000)
    assert matrix.present.any() or "1s" in text
    assert source.alive <= 3  # the one that is made, the one that waits, and the one that is being computed


def test_it_ends_a_query_that_reads_too_much_as_soon_as_it_does() -> None:
    source = _Long()
    with pytest.raises(QueryError, match="reads more than 3500 samples") as caught:
        Engine(source, max_read=3500).range("sum(x)", 0, 990_000, 10_000)
    assert caught.value.kind == "execution"
    assert len(source.made) == 4


def test_only_what_is_needed_later_counts_as_held() -> None:
    engine = Engine(
        _Long(), max_samples=3500
    )  # each operand has 10 series of 100 steps, and reads 1000 samples at once
    assert engine.range("+".join(["x"] * 50), 0, 990_000, 10_000).values[0, 5] == 50 * 50
    with pytest.raises(QueryError, match="3500 samples at once"):
        engine.range("x + (x + x)", 0, 990_000, 10_000)


def test_it_refuses_as_many_series_as_there_are_values() -> None:
    engine = Engine(_Long(), max_samples=20_000)
    with pytest.raises(QueryError, match="samples at once"):
        engine.range('count_values("v", x)', 0, 990_000, 1000)


def test_it_stops_a_query_that_takes_too_long() -> None:
    engine = Engine(MemorySource([_series("x", [1])]), timeout_seconds=-1.0)
    with pytest.raises(QueryError) as caught:
        engine.instant("x", 0)
    assert caught.value.kind == "timeout"
    assert not caught.value.permanent


@pytest.mark.parametrize(
    "text",
    [
        "quantile_over_time(0.5, x[1000s])",
        "sum_over_time(x[1000s])",
        "double_exponential_smoothing(x[1000s], 0.5, 0.5)",
    ],
)
def test_it_looks_at_the_clock_while_it_computes_over_one_series(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trend, "_CHECK_EVERY", 100)
    values = [1e300, 1.0, -1e300, 0.0] * 500  # sums that are redone exactly, one by one
    source = MemorySource([_series("x", values, step_ms=1000)])
    looks = itertools.count()
    monkeypatch.setattr("promql.budget.time.monotonic", lambda: next(looks))
    with pytest.raises(QueryError, match="too long"):
        Engine(source, timeout_seconds=5.0).range(text, 1_000_000, 1_990_000, 1000)


def test_it_parses_a_text_that_it_is_asked_again_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def note(text: str) -> Query:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr("promql.engine.parse", note)
    engine = Engine(MemorySource([_series("x", [1, 2])]))
    for _ in range(3):
        assert engine.instant("x", 0).values.tolist() == [1.0]  # type: ignore[union-attr]
        with pytest.raises(QueryError):
            engine.instant("x +", 0)
    assert parsed.count("x") == 1
    assert parsed.count("x +") == 3


def test_a_query_parsed_once_can_be_asked_again() -> None:
    engine = Engine(MemorySource([_series("x", [1, 2])]))
    query = parse("x * 2")
    assert [engine.instant(query, time).values[0] for time in (0, MINUTE)] == [2.0, 4.0]  # type: ignore[union-attr]


def test_a_chain_of_hundreds_of_operators_is_computed() -> None:
    engine = Engine(MemorySource([_series("x", [1])]))
    assert engine.instant("+".join(["x"] * 400), 0).values[0] == 400.0  # type: ignore[union-attr]


def test_deep_nesting_within_the_limit_is_computed() -> None:
    engine = Engine(MemorySource([_series("x", [1])]))
    assert engine.instant("abs(" * 99 + "x" + ")" * 99, 0).values[0] == 1.0  # type: ignore[union-attr]


def _service(up: float, memory: float, failed: float, slow: float) -> MemorySource:
    """Ten minutes of a service whose counters grow by the given amounts per minute."""
    minutes = range(11)
    return MemorySource(
        [
            _series('up{job="ai-service"}', [up] * 11),
            _series("gpu_memory_allocated_bytes", [memory * 2**30] * 11),
            _series('image_generation_total{status="success"}', [60 * minute for minute in minutes]),
            _series('image_generation_total{status="failed"}', [failed * minute for minute in minutes]),
            _series('image_generation_latency_seconds_bucket{le="30"}', [(60 - slow) * minute for minute in minutes]),
            _series('image_generation_latency_seconds_bucket{le="120"}', [60 * minute for minute in minutes]),
            _series('image_generation_latency_seconds_bucket{le="+Inf"}', [60 * minute for minute in minutes]),
        ]
    )


def _firing(source: MemorySource, rule: str) -> int:
    result = Engine(source).instant(rule, 10 * MINUTE)
    assert isinstance(result, Vector)
    return len(result.labels)


@pytest.mark.parametrize("rule", RULES)
def test_a_users_rules_are_quiet_while_all_is_well(rule: str) -> None:
    assert _firing(_service(up=1, memory=8, failed=0, slow=0), rule) == 0


@pytest.mark.parametrize("rule", RULES)
def test_a_users_rules_fire_when_something_is_wrong(rule: str) -> None:
    # The failure rate divides failed by failed, matched one to one: any failure makes it 1.
    assert _firing(_service(up=0, memory=23, failed=1, slow=30), rule) == 1


def test_a_matrix_is_what_a_range_query_gives() -> None:
    assert isinstance(Engine(MemorySource()).range("nothing", 0, 0, 1), Matrix)


@pytest.mark.parametrize(
    ("query", "selected"),
    [
        ("1 + 1", None),
        ("time()", None),
        ("x", 2),
        ("x > 100", 2),
        ("x[3m]", 2),
        ("rate(x[10m])", 2),
        ("rate(x[1s])", 0),  # the last samples lie before the window
        ("max_over_time(x[5m:1m])", 2),
        ("timestamp(x)", 2),
        ('x{a="1"} or gone', 1),
        ("gone > 1", 0),
        ("sum(rate(gone[5m]))", 0),
        ("absent(gone)", 0),
        ("absent_over_time(gone[5m])", 0),
        ("scalar(gone)", 0),
    ],
)
def test_an_answer_tells_in_how_many_series_its_selectors_found_samples(query: str, selected: int | None) -> None:
    engine = Engine(MemorySource([_series('x{a="1"}', [1, 2, 3]), _series('x{a="2"}', [1, 2, 3])]))
    assert engine.instant(query, 2 * MINUTE + 2_000).selected == selected
