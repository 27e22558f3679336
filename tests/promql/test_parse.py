"""Parsing: what is understood, what is refused by name, and that hostile text is answered fast and calmly."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.sample import Matcher
from promql import Query, QueryError, parse
from promql.lexer import MAX_LENGTH, MAX_OPERATORS

#: The expressions of a rule file as a user brought it from Prometheus.
RULES = [
    'up{job="ai-service"} == 0',
    "gpu_memory_allocated_bytes / (24 * 1024 * 1024 * 1024) > 0.9",
    'rate(image_generation_total{status="failed"}[5m])\n/ rate(image_generation_total[5m]) > 0.1\n',
    "histogram_quantile(0.95, rate(image_generation_latency_seconds_bucket[5m])) > 60",
]

#: Seconds in which any text must be answered; a loaded machine may take several times what an idle one does.
PATIENCE = 1.0


@pytest.mark.parametrize("text", RULES)
def test_it_keeps_the_text_of_a_query_as_written(text: str) -> None:
    assert parse(text).text == text


def test_it_lists_the_selectors_of_a_query_from_left_to_right() -> None:
    query = parse('rate(a{b=~"c"}[5m]) / on(x) sum(d) + max_over_time(e[5m:1m]) > scalar(f)')
    assert [matchers[0].value for matchers in query.selectors()] == ["a", "d", "e", "f"]
    assert query.selectors()[0] == (Matcher("__name__", "=", "a"), Matcher("b", "=~", "c"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x{a=`b\\d`}", "b\\d"),
        ('x{a="b\\\\d"}', "b\\d"),
        ("x{a='it\\'s \"it\"'}", 'it\'s "it"'),
        ('x{a="\\u4f60\\xe5\\xa5\\xbd\\041"}', "你好!"),
        ('x{a="# no comment"} # a "comment"', "# no comment"),
        ('x{a="𝄞"}', "𝄞"),
    ],
)
def test_it_reads_strings_as_go_does(text: str, value: str) -> None:
    assert parse(text).selectors()[0][1].value == value


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("histogram_avg(x)", "histogram_avg"),
        ("info(x)", "info"),
        ("limitk(2, x)", "limitk"),
        ("limit_ratio(0.5, x)", "limit_ratio"),
        ("rate(x[5m] anchored)", "anchored"),
        ("x smoothed", "smoothed"),
        ("a + fill(0) b", "fill"),
        ("ts_of_max_over_time(x[5m])", "ts_of_max_over_time"),
    ],
)
def test_it_refuses_by_name_what_it_does_not_support(text: str, name: str) -> None:
    with pytest.raises(QueryError, match=name) as caught:
        parse(text)
    assert caught.value.kind == "unsupported"
    assert caught.value.permanent


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x{",
        "sum(",
        "1 == 2",
        "rate(x)",
        "x[5m][5m]",
        'x{a="b" or c="d"}',
        "x @ -10",
        "x @ 1e20",
        "x @ NaN",
        "x offset 1e20",
        "x[1e20]",
        "x[5m:1e20]",
        "x[0s]",
        '"unterminated',
        '"\\q"',
        '"\\xff"',
        'x{a=~"("}',
        'x{a=~"(?<look>behind"}',
        '{a=~".*"}',
        "unknown_function(x)",
        'topk("a", x)',
        "x offset 5m offset 5m",
        "\ud800",
        "\ue0000.",
        "x" * (MAX_LENGTH + 1),
        "x + " * 5000 + "x",
        "-" * 5000 + "x",
        "(" * 5000 + "x" + ")" * 5000,
        "(" * 200 + "x" + ")" * 200,
        "^".join(["x"] * 300),
        "abs(" * 110 + "x" + ")" * 110,
        "[" * 100_000,
        'x{a=~"' + "a{1000}" * 2000 + '"}',
        'x{a=~"(a{1000}){1000}"}',
        "{" + ",".join(f'a{n}=~"\\\\pL{{{n}}}"' for n in range(1, 100)) + "}",
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_it_answers_bad_text_with_an_error_at_once(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert time.perf_counter() - started < PATIENCE
    assert caught.value.kind == "bad_data"
    assert len(str(caught.value)) < 20_000


def test_it_counts_operators_outside_strings_and_comments_only() -> None:
    parse('x{a="' + "+(" * 2000 + '"} # ' + "-[" * 2000)


def test_a_long_chain_within_the_limit_is_evaluable() -> None:
    assert isinstance(parse("+".join(["x"] * MAX_OPERATORS)), Query)


_WORDS = r"""
    x up sum by without on ignoring group_left bool and or unless offset @ start() end() rate( abs( topk( ( ) [ ] { } ,
    5m 1h30m -5m 1 0x1f 1e99 Inf NaN "a" 'b' `c` "\x" == != =~ !~ > < >= <= + - * / % ^ atan2 : [5m] [5m:] [5m:1m] #
    {a="b"} {a=~"b|c"} {a!~"("} label_replace( quantile_over_time( 0.5 histogram_quantile( 💥 \ " ' `
"""
_PIECES = st.sampled_from([*_WORDS.split(), "\n"])


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=60).map(" ".join), st.binary(max_size=99).map(str)))
@example("x[5m] offset 1e308")
@example("x @ 1e308")
@example("x @ 99999999999999")
def test_no_text_crashes_or_stalls_it(text: str) -> None:
    started = time.perf_counter()
    try:
        assert parse(text).text == text
    except QueryError as error:
        assert str(error)  # noqa: PT017 - either outcome is fine
    assert time.perf_counter() - started < PATIENCE
