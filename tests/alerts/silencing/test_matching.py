"""Matchers are read, written and applied as Alertmanager 0.25 does it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.silencing.matching import LabelMatcher, MatcherError, match_all, parse_matcher, parse_matchers

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_PLAIN = st.builds(
    LabelMatcher, st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True), _TEXT, st.just(False), st.booleans()
)
_REGEX = st.builds(
    LabelMatcher,
    st.just("name"),
    st.sampled_from(["a.*", "a|b", r"\d+", r"eu-\w\"x", "", "x,y", "{a}", 'say "hi"', "a\nb", r"\\"]),
    st.just(True),
    st.booleans(),
)


@given(_PLAIN | _REGEX)
def test_a_matcher_that_is_written_is_read_back(matcher: LabelMatcher) -> None:
    assert parse_matcher(str(matcher)) == matcher


@given(st.lists(_PLAIN | _REGEX, max_size=5), st.booleans())
def test_a_list_that_is_written_is_read_back(matchers: list[LabelMatcher], braces: bool) -> None:
    text = ", ".join(map(str, matchers))
    assert parse_matchers(f"{{{text}}}" if braces or text.startswith("{") else text) == matchers


@given(_PLAIN | _REGEX)
def test_a_matcher_survives_the_api(matcher: LabelMatcher) -> None:
    assert LabelMatcher.from_dict(matcher.as_dict()) == matcher


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    with suppress(MatcherError):
        for matcher in parse_matchers(text):
            assert parse_matcher(str(matcher)) == matcher


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("foo=bar", LabelMatcher("foo", "bar")),
        ('foo!="bar"', LabelMatcher("foo", "bar", is_equal=False)),
        ("foo =~ ^a.*$ ", LabelMatcher("foo", "^a.*$", is_regex=True)),
        ('foo!~"a|b"', LabelMatcher("foo", "a|b", is_regex=True, is_equal=False)),
        ("foo=", LabelMatcher("foo", "")),
        ('foo=""', LabelMatcher("foo", "")),
        ("foo==x", LabelMatcher("foo", "=x")),
        ("a:b=c d", LabelMatcher("a:b", "c d")),
        ('foo="a\\nb\\"c\\\\d\\e"', LabelMatcher("foo", 'a\nb"c\\d\\e')),
        ("foo=\\", LabelMatcher("foo", "\\")),
        ('foo="line\nbreak"', LabelMatcher("foo", "line\nbreak")),
    ],
)
def test_one_matcher_is_read(text: str, wanted: LabelMatcher) -> None:
    assert parse_matcher(text) == wanted


def test_a_list_is_split_at_commas_outside_quotes_and_may_end_with_one() -> None:
    wanted = [LabelMatcher("a", "x,y"), LabelMatcher("b", "z}", is_equal=False)]
    assert parse_matchers('{a="x,y",b!="z}",}') == wanted
    assert parse_matchers("") == parse_matchers("{}") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "bad matcher format: "),
        ("foo", "bad matcher format: foo"),
        ("1a=b", "bad matcher format: 1a=b"),
        ("=b", "bad matcher format: =b"),
        ('foo="bar', 'matcher value contains unescaped double quote: "bar'),
        ('foo=bar"', 'matcher value contains unescaped double quote: bar"'),
        ('foo="b"ar"', 'matcher value contains unescaped double quote: "b"ar"'),
        ('foo="bar\\"', 'matcher value contains unescaped double quote: "bar\\"'),
        ('foo="', 'matcher value contains unescaped double quote: "'),
    ],
)
def test_what_is_no_matcher_is_refused_in_alertmanagers_words(text: str, reason: str) -> None:
    with pytest.raises(MatcherError) as caught:
        parse_matcher(text)
    assert str(caught.value) == reason


def test_an_empty_part_of_a_list_is_refused() -> None:
    with pytest.raises(MatcherError, match="bad matcher format"):
        parse_matchers("a=b,,c=d")


@pytest.mark.parametrize("pattern", ["(", "\\pL" * 51 + "(", "a(?=b)", "a{1001}", "*", "a)|(b"])
def test_a_pattern_that_re2_does_not_take_is_refused(pattern: str) -> None:
    with pytest.raises(MatcherError, match=r"is not valid|Unicode"):
        LabelMatcher("foo", pattern, is_regex=True)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(MatcherError, match="UTF-8"):
        parse_matcher("foo=\ud800")
    with pytest.raises(MatcherError, match="UTF-8"):
        LabelMatcher("foo", "\ud800", is_regex=True)


@pytest.mark.parametrize(
    ("text", "labels", "holds"),
    [
        ("a=b", {"a": "b"}, True),
        ("a=b", {}, False),
        ("a=", {}, True),
        ("a!=", {}, False),
        ("a!=b", {}, True),
        ("a=~b", {"a": "bb"}, False),  # the whole value
        ("a=~b+", {"a": "bb"}, True),
        ("a=~b|", {}, True),
        ("a=~.+", {}, False),
        ("a!~.+", {}, True),
        ("a!~b.*", {"a": "bc"}, False),
        ("a=~b.c", {"a": "b\nc"}, False),
        ("a=~(?i)B", {"a": "b"}, True),
    ],
)
def test_a_matcher_holds_for_labels(text: str, labels: dict[str, str], holds: bool) -> None:
    assert parse_matcher(text).matches(labels) is holds


def test_all_matchers_must_hold() -> None:
    matchers = parse_matchers('a="b", c=~"d|e"')
    assert match_all(matchers, {"a": "b", "c": "e"})
    assert not match_all(matchers, {"a": "b", "c": "f"})
