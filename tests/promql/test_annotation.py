"""What an answer comes with: warnings and infos, each once, with their places in the query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from collectors.sample import Hints, Matcher
from promql import Engine, Matrix, Result, Vector
from promql.annotation import MAX_SHOWN
from tests.promql.memory import MemorySource
from tests.promql.notation import parse_labels

MINUTE = 60_000


class Coarse(MemorySource):
    """A source that has something to say about itself."""

    def remarks(self, matchers: Sequence[Matcher], hints: Hints) -> Iterable[str]:
        if hints.start_ms - hints.range_ms < 0:
            yield f"{matchers[0].value}: samples before 1970 are kept by the minute"


def source(*series: str, kind: type[MemorySource] = MemorySource) -> MemorySource:
    """Series with ten samples each, a minute apart."""
    found = kind()
    for text in series:
        labels, first = parse_labels(text)
        found.add(labels, [(minute * MINUTE, float(first or 0) + minute) for minute in range(10)])
    return found


def ask(query: str, *series: str) -> Result:
    return Engine(source(*(series or ("gauge",)))).instant(query, 9 * MINUTE)


@pytest.mark.parametrize(
    ("query", "info"),
    [
        ("rate(gauge[5m])", '"gauge" (1:6)'),
        ("increase(gauge[5m])", '"gauge" (1:10)'),
        ("2 *\n  sum(rate(gauge[5m]))", '"gauge" (2:12)'),
        ('rate({"gauge"}[5m])', '"gauge" (1:6)'),
    ],
)
def test_it_tells_that_a_metric_may_be_no_counter(query: str, info: str) -> None:
    told = "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
    assert ask(query).infos == (told + info,)
    assert ask(query).warnings == ()


@pytest.mark.parametrize(
    "query", ["rate(x_total[5m])", "irate(gauge[5m])", "rate(gauge[30s])", "rate((gauge - 1)[5m:1m])", "rate(none[5m])"]
)
def test_it_keeps_quiet_about_counters_and_about_what_has_no_name_or_no_result(query: str) -> None:
    result = ask(query, "gauge", "x_total")
    assert result.infos == () == result.warnings


@pytest.mark.parametrize(
    ("query", "warnings"),
    [
        ("quantile(2, gauge)", ["got 2 (1:10)"]),
        ("quantile(-0.5, gauge)", ["got -0.5 (1:10)"]),
        ("quantile(NaN, gauge)", ["got NaN (1:10)"]),
        ("quantile_over_time(+Inf, gauge[5m])", ["got +Inf (1:20)"]),
        ("histogram_quantile(1.5, gauge_bucket)", ["got 1.5 (1:20)"]),
        ("quantile(scalar(gauge) - 8.5, gauge)", []),
    ],
)
def test_it_warns_of_what_is_no_quantile(query: str, warnings: list[str]) -> None:
    result = ask(query, "gauge", 'gauge_bucket{le="1"}', 'gauge_bucket{le="+Inf"}')
    assert list(result.warnings) == [f"PromQL warning: quantile value should be between 0 and 1, {w}" for w in warnings]


def test_it_warns_of_a_quantile_that_is_none_at_some_step() -> None:
    matrix = Engine(source("gauge")).range("quantile(scalar(gauge), gauge)", 0, 2 * MINUTE, MINUTE)
    assert isinstance(matrix, Matrix)
    assert matrix.warnings == ("PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)",)


def test_it_warns_of_buckets_without_a_bound() -> None:
    result = ask("histogram_quantile(0.5, b)", 'b{le="1"}', 'b{le="+Inf"} 3', 'b{le="wide"}', "b")
    said = 'PromQL warning: bucket label "le" is missing or has a malformed value of'
    assert result.warnings == (
        f'{said} "wide" for metric name "b" (1:25)',
        f'{said} "" for metric name "b" (1:25)',
    )
    assert isinstance(result, Vector)
    assert len(result.labels) == 1


def test_it_tells_that_buckets_had_to_be_mended() -> None:
    told = ask("histogram_quantile(0.5, b)", 'b{le="1"} 9', 'b{le="2"} 5', 'b{le="+Inf"} 10').infos
    assert len(told) == 1
    assert told[0].startswith("PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see ")
    assert told[0].endswith(" (1:25)")
    assert ask("histogram_quantile(0.5, b)", 'b{le="1"} 5', 'b{le="+Inf"} 10').infos == ()


def test_it_says_a_thing_once_and_no_more_than_ten_things() -> None:
    names = [f'gauge{number}{{n="{number}"}}' for number in range(MAX_SHOWN + 3)]
    infos = ask('rate({__name__=~"gauge.*"}[5m])', *names, 'gauge0{a="b"}').infos
    assert len(infos) == MAX_SHOWN + 1
    assert len(set(infos)) == len(infos)
    assert infos[-1] == "3 more info annotations omitted"


def test_a_source_may_say_something_about_its_answer() -> None:
    engine = Engine(source("gauge", "other", kind=Coarse))
    assert engine.instant("gauge", 9 * MINUTE).infos == ()
    assert engine.instant("gauge + other + gauge", MINUTE).infos == (
        "PromQL info: gauge: samples before 1970 are kept by the minute",
        "PromQL info: other: samples before 1970 are kept by the minute",
    )
    matrix = engine.range("max_over_time(gauge[1h])", 0, MINUTE, MINUTE)
    assert len(matrix.infos) == 1
    assert matrix.warnings == ()
