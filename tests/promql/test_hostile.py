"""Hostile and made-up text: an answer or an error of its own, whatever it is. ``fuzz`` is the same without an end."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from promql import Engine, QueryError, parse
from promql.lexer import MAX_LENGTH, MAX_NESTING, MAX_OPERATORS
from promql.relabel import MAX_CHARACTERS
from tests.promql.fuzz import probe, probe_parser, run
from tests.promql.generator import Generator, source
from tests.promql.memory import MemorySource

MINUTE = 60_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(" * 100_000, "bytes long"),
        ("([{" * 33_000, "bytes long"),
        ("x" * (MAX_LENGTH + 1), "bytes long"),
        ("é" * MAX_LENGTH, "bytes long"),
        ("x+" * 5000 + "x", "more than 500 operators"),
        ("-" * 5000 + "x", "more than 500 operators"),
        ("x @ 5" + " @ 5" * 2000, "more than 500 operators"),
        ("(" * 5000 + "x" + ")" * 5000, "nests brackets more than 100 deep"),
        ("abs(" * 110 + "x" + ")" * 110, "nests brackets more than 100 deep"),
        ("{" * 5000, "unexpected left brace"),
        ("x" + "[" * 5000, "unexpected left bracket"),
        ("^".join(["x"] * 300), "nested more than 120 levels"),
        ("(-" * 90 + "x" + ")" * 90, "nested more than 120 levels"),
        ("x" + "[5m:1m]" * 90, "subquery is only allowed on instant vector"),
        ('x{a=~"(?<look>behind"}', "bad regular expression"),
        ('x{a=~"' + "a{1000}" * 2000 + '"}', "bad regular expression"),
        ('x{a=~"(a{1000}){1000}"}', "bad regular expression"),
        ("{" + ",".join(f'a{n}=~"\\\\pL{{{n}}}"' for n in range(1, 100)) + "}", "regular expressions are too large"),
        ('x{a=~"' + r"\\PL" * 4000 + '"}', "more than 50 Unicode classes"),
        ("x @ -10", "must not be negative"),
        ("x @ 1e308", "out of bounds"),
        ("x @ NaN", "out of bounds"),
        ("x @ 9007199254741", "out of bounds"),
        ("x offset 1e20", "duration out of range"),
        ("x offset -" + "9" * 9000 + "y", "duration out of range"),
        ("x[300y]", "duration out of range"),
        ("x[5m:1e20]", "duration out of range"),
        ("x[0.0001]", "duration must be greater than 0"),
        ("x[" + "1s" * 4000 + "]", "not a valid duration string"),
        ("x[" + ":" * 10_000 + "]", 'unexpected ":"'),
        ("x[" + "a:" * 5000 + "]", 'unexpected identifier "a"'),
        ("9" * 10_000, "out of range"),
        ("0x" + "f" * 10_000, "out of range"),
        ("1e" + "9" * 10_000, "out of range"),
        ("1_" * 8000, "bad number or duration syntax"),
        ("1e+" * 5000, "bad number or duration syntax"),
        ("", "no expression found"),
        (" \n" * 8000, "no expression found"),
        ("#(" * 8000, "no expression found"),
        ("x\0", "unexpected character: '\\x00'"),
        ("\ud800", "not valid UTF-8"),
        ("\ue000", "unexpected character"),
        ("\u00a0x", "unexpected character"),
        ('"' + "\\" * 16_000, "unterminated quoted string"),
        ('"\\q"', "unknown escape sequence"),
        ('"\\xff"', "not valid UTF-8"),
        ('"\\400"', "invalid Unicode code point"),
        ('"\\ud800"', "invalid Unicode code point"),
        ("'" * 16_000, "unexpected string"),
        ('x{""="a"}', "must not be empty"),
        ("by without on " * 1000, "unexpected <without>"),
    ],
    ids=lambda value: ascii(value[:20]),
)
def test_it_answers_hostile_text_with_an_error_of_its_own(text: str, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert said in str(caught.value)
    assert caught.value.kind == "bad_data"
    assert len(str(caught.value)) < 1000
    start, end = caught.value.position or (0, 0)
    assert 0 <= start <= end <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        "+".join(["a"] * MAX_OPERATORS),
        " or ".join(["a"] * MAX_OPERATORS),
        "-" * (MAX_OPERATORS - 1) + "a",
        "(" * (MAX_NESTING - 1) + "a" + ")" * (MAX_NESTING - 1),
        "abs(" * MAX_NESTING + "a" + ")" * MAX_NESTING,
        "sum by (n) (" * (MAX_NESTING // 2) + "a" + ")" * (MAX_NESTING // 2),
        "^".join(["a"] * 119),
        "max_over_time(" * 90 + "a" + "[30s:15s])" * 90,
        "a" + "#(((\n" * 3000,
        "{" + ",".join(f'n=~"(a+)+{n}|[12]+"' for n in range(300)) + "}",
        'label_replace(a, "m", "' + "$1" * 7000 + '", "n", "((((a*)*)*)*.*)")',
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_what_is_within_the_limits_is_evaluated(text: str) -> None:
    assert probe(text, source()) in ("answered", "failed")


def _nested(depth: int) -> str:
    text = "a"
    for _ in range(depth):
        text = f'label_replace({text}, "n", "$0$0$0$0", "n", ".*")'
    return text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_nested(60), f"writes more than {MAX_CHARACTERS} characters"),
        (
            'label_join(label_replace(c, "l", "' + "$0" * 7000 + '", "long", ".*"), "l", "", "l", "l")',
            "writes more than",
        ),
        ("topk(1e9, a)", ""),
        ("topk(1e300, a)", "too large"),
        ("topk(NaN, a)", "NaN"),
        ('count_values("", a)', "invalid label name"),
        ('label_replace(a, "", "", "", "")', "invalid destination label name"),
        ('label_replace(a, "m", "", "n", "(")', "invalid regular expression"),
        ("a[290y:1ms]", "steps"),
        ("max_over_time(vector(1)[200y:1ms])", "steps"),
        ("a @ 9007199254740 offset -290y", ""),
    ],
    ids=lambda value: ascii(value[:20]),
)
def test_what_would_grow_without_end_is_refused(text: str, said: str) -> None:
    engine = Engine(source(), max_samples=1_000_000)
    if said:
        with pytest.raises(QueryError, match=said):
            engine.instant(text, MINUTE)
    else:
        engine.instant(text, MINUTE)


def test_a_value_per_series_and_step_is_too_much_for_count_values() -> None:
    samples = MemorySource()
    for number in range(100):
        samples.add(
            (("__name__", "x"), ("n", str(number))), [(time * 1000, number + time / 1e6) for time in range(300)]
        )
    with pytest.raises(QueryError, match="samples"):
        Engine(samples, max_samples=500_000).range('count_values("v", x)', 0, 299_000, 1000)


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_made_up_query_has_an_answer_or_an_error_of_its_own(made: random.Random) -> None:
    probe(Generator(made).query(), source())


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.text(max_size=200), st.binary(max_size=99).map(lambda data: data.decode("utf-8", "surrogateescape")))
)
@example("x[5m] offset 1e308")
@example("x @ 99999999999999")
def test_any_text_has_a_tree_or_an_error_of_its_own(text: str) -> None:
    probe_parser(text)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_made_up_queries_for_ten_minutes_find_nothing() -> None:
    assert run(seconds=600, seed=random.randrange(1 << 30), parse_only=False) == 0
