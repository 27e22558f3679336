"""Parsing: what is understood, and what is refused by name. Mistakes are in ``test_mistake``."""

from __future__ import annotations

import re

import pytest

from collectors.sample import Matcher
from promql import Query, QueryError, parse
from promql.lexer import MAX_OPERATORS
from promql.node import Aggregate, Binary, Call, Negation, Node, Number, RangeSelector, Selector, Subquery, Text

#: The expressions of a rule file as a user brought it from Prometheus.
RULES = [
    'up{job="ai-service"} == 0',
    "gpu_memory_allocated_bytes / (24 * 1024 * 1024 * 1024) > 0.9",
    'rate(image_generation_total{status="failed"}[5m])\n/ rate(image_generation_total[5m]) > 0.1\n',
    "histogram_quantile(0.95, rate(image_generation_latency_seconds_bucket[5m])) > 60",
]


def outline(node: Node) -> str:
    """A tree with a parenthesis around everything that has parts."""
    match node:
        case Number(value):
            return f"{value:g}"
        case Text(value):
            return repr(value)
        case Selector(matchers, offset_ms, at):
            shown = "".join(f"|{name}{op}{value}" for name, op, value in matchers[1:])
            return matchers[0].value + shown + _modifiers(offset_ms, at)
        case RangeSelector(selector, range_ms):
            return f"{outline(selector)}[{range_ms}]"
        case Subquery(expr, range_ms, step_ms, offset_ms, at):
            return f"({outline(expr)})[{range_ms}:{step_ms}]{_modifiers(offset_ms, at)}"
        case Negation(expr):
            return f"(-{outline(expr)})"
        case Binary(op, lhs, rhs, matching, return_bool):
            words = [op] + ["bool"] * return_bool
            if matching.on or matching.labels:
                words.append(f"{'on' if matching.on else 'ignoring'}({','.join(matching.labels)})")
            if matching.many:
                words.append(f"group_{matching.many}({','.join(matching.include)})")
            return f"({outline(lhs)} {' '.join(words)} {outline(rhs)})"
        case Aggregate(op, expr, param, labels, without):
            inside = outline(expr) if param is None else f"{outline(param)}, {outline(expr)}"
            return f"{op}{' without' if without else ''}({','.join(labels)})({inside})"
        case Call(name, args):
            return f"{name}({', '.join(map(outline, args))})"


def _modifiers(offset_ms: int, at: int | str | None) -> str:
    return (f"@{at}" if at is not None else "") + (f"~{offset_ms}" if offset_ms else "")


@pytest.mark.parametrize("text", RULES)
def test_it_keeps_the_text_of_a_query_as_written(text: str) -> None:
    assert parse(text).text == text


def test_it_lists_the_selectors_of_a_query_from_left_to_right() -> None:
    query = parse('rate(a{b=~"c"}[5m]) / on(x) sum(d) + max_over_time(e[5m:1m]) > scalar(f)')
    assert [matchers[0].value for matchers in query.selectors()] == ["a", "d", "e", "f"]
    assert query.selectors()[0] == (Matcher("__name__", "=", "a"), Matcher("b", "=~", "c"))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a or b and c == d + e * f ^ g", "(a or (b and (c == (d + (e * (f ^ g))))))"),
        ("a ^ b * c + d == e and f or g", "((((((a ^ b) * c) + d) == e) and f) or g)"),
        ("a or b unless c or d", "((a or (b unless c)) or d)"),
        ("a - b - c", "((a - b) - c)"),
        ("2 ^ 3 ^ 2", "(2 ^ (3 ^ 2))"),
        ("a < b < c", "((a < b) < c)"),
        ("-x ^ 2", "(-(x ^ 2))"),
        ("-2 ^ -x * 3", "((-(2 ^ (-x))) * 3)"),
        ("-x * 2 + +y", "(((-x) * 2) + y)"),
        ("- - x", "(-(-x))"),
        ("-1 - -(2)", "(-1 - (-2))"),
        ("x % y atan2 z / 2", "(((x % y) atan2 z) / 2)"),
        ("a + b offset 5m", "(a + b~300000)"),
        ("-x offset -5", "(-x~-5000)"),
        ("x @ 5 offset 1m", "x@5000~60000"),
        ("x offset 1m @ 1.5", "x@1500~60000"),
        ("x @ 1m40s", "x@100000"),
        ("x @ start()", "x@start"),
        ("rate(x[5m] offset 0s @ end())", "rate(x@end[300000])"),
        ("max_over_time(sum(x)[1h:] @ 9 offset 2)", "max_over_time((sum()(x))[3600000:None]@9000~2000)"),
        ("x[1d1h1m1s1ms]", "x[90061001]"),
        ("x[0.5]", "x[500]"),
        ("vector(1)[1y:1w]", "(vector(1))[31536000000:604800000]"),
        ("1h30m", "5400"),
        ("0x1F + 0X_f + 017 + 08 + 1_000", "((((31 + 15) + 15) + 8) + 1000)"),
        (".5 + 5. + 1e3 + 1E-2 + 1_0.5e+1", "((((0.5 + 5) + 1000) + 0.01) + 105)"),
        ("Inf + inF + -INF + NaN", "(((inf + inf) + -inf) + nan)"),
        ("sum by (a, b,) (x)", "sum(a,b)(x)"),
        ("sum(x) without (a)", "sum without(a)(x)"),
        ("SUM BY() (x)", "sum()(x)"),
        ('topk by ("a.b") (2, x)', "topk(a.b)(2, x)"),
        ('count_values("v", x)', "count_values()('v', x)"),
        ("sum without (by, on, bool, and, offset, sum, group_left, start, atan2, without) (x)",
         "sum without(by,on,bool,and,offset,sum,group_left,start,atan2,without)(x)"),
        ("a * on(x) group_left(y, z,) b", "(a * on(x) group_left(y,z) b)"),
        ("a * ignoring(x) group_right b", "(a * ignoring(x) group_right() b)"),
        ("a == bool on() b", "(a == bool on() b)"),
        ("a AND ON (x) b Unless c", "((a and on(x) b) unless c)"),
        ("sum + by + offset + start + step", "((((sum + by) + offset) + start) + step)"),
        ("fill + limitk offset 1", "(fill + limitk~1000)"),
        ("and and and", "(and and and)"),
        ('x{a="1", b!="2", c=~"3", d!~"4",}', "x|a=1|b!=2|c=~3|d!~4"),
        ('{"a.b", "c d"="e", sum="f"}', "a.b|c d=e|sum=f"),
        ("{__name__='x', __name__=~`y`}", "x|__name__=~y"),
        ("a:b:c + :d", "(a:b:c + :d)"),
        ("x # or y\n + z # the end", "(x + z)"),
        ("(((x)))[5m:1m]", "(x)[300000:60000]"),
        ("label_join(x, 'a', ',', 'b', 'c')", "label_join(x, 'a', ',', 'b', 'c')"),
        ("round(x) + round(x, 2) + hour() + hour(x)", "(((round(x) + round(x, 2)) + hour()) + hour(x))"),
    ],
)  # fmt: skip
def test_it_reads_the_language_as_prometheus_does(text: str, tree: str) -> None:
    assert outline(parse(text).expr) == tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x{a=`b\\d`}", "b\\d"),
        ('x{a="b\\\\d"}', "b\\d"),
        ("x{a='it\\'s \"it\"'}", 'it\'s "it"'),
        ('x{a="\\u4f60\\xe5\\xa5\\xbd\\041\\U0001d11e"}', "你好!𝄞"),
        ('x{a="# no comment"} # a "comment"', "# no comment"),
        ('x{a="𝄞 \ue000 \0"}', "𝄞 \ue000 \0"),
    ],
)
def test_it_reads_strings_as_go_does(text: str, value: str) -> None:
    assert parse(text).selectors()[0][1].value == value


@pytest.mark.parametrize(
    ("text", "words", "place"),
    [
        ("1 + histogram_avg(x)", "the function histogram_avg works on native histograms", (4, 17)),
        ("info(x)", "the function info is experimental", (0, 4)),
        ("limitk(2, x)", "the aggregation limitk is experimental", (0, 6)),
        ("limit_ratio by (a) (0.5, x)", "the aggregation limit_ratio is experimental", (0, 11)),
        ("rate(x[5m] anchored)", "the modifier anchored is experimental", (11, 19)),
        ("x smoothed", "the modifier smoothed is experimental", (2, 10)),
        ("a + fill(0) b", "the modifier fill is experimental", (4, 8)),
        ("a + on(c) group_left fill_right (0) b", "the modifier fill_right is experimental", (21, 31)),
        ("ts_of_max_over_time(x[5m])", "the function ts_of_max_over_time is experimental", (0, 19)),
        ("histogram_quantiles(x, 'q', 0.5)", "the function histogram_quantiles is experimental", (0, 19)),
        ("step() + range()", "the function step is experimental", (0, 4)),
        ("x[step()]", "arithmetic with durations is experimental", (2, 6)),
        ("x[5m * 2]", "arithmetic with durations is experimental", (5, 6)),
        ("x[-5m]", "arithmetic with durations is experimental", (2, 3)),
        ("x offset (5m)", "arithmetic with durations is experimental", (9, 10)),
        ("x offset min(5m, 1m)", "arithmetic with durations is experimental", (9, 12)),
        ("holt_winters(x[5m], 0.1, 0.1)", "it is called double_exponential_smoothing now", (0, 12)),
    ],
)
def test_it_refuses_by_name_what_it_does_not_support(text: str, words: str, place: tuple[int, int]) -> None:
    with pytest.raises(QueryError, match=re.escape(words)) as caught:
        parse(text)
    assert caught.value.kind == "unsupported"
    assert caught.value.permanent
    assert caught.value.position == place


def test_it_counts_operators_outside_strings_and_comments_only() -> None:
    parse('x{a="' + "+(" * 2000 + '"} # ' + "-[" * 2000)


def test_a_long_chain_within_the_limit_is_evaluable() -> None:
    assert isinstance(parse("+".join(["x"] * MAX_OPERATORS)), Query)
