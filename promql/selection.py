"""Reads selectors (``name{label="value", …}``) and the lists of labels of aggregations and vector matching."""

from __future__ import annotations

from collectors.sample import METRIC_NAME, Matcher, MatchOp
from promql.error import QueryError, short
from promql.lexer import Token
from promql.literal import unquote
from promql.node import Selector
from promql.pattern import compile_pattern
from promql.reader import Reader
from promql.typecheck import Operand

#: Instructions that a query's regular expressions may compile to, all together: tens of milliseconds at worst.
MAX_PROGRAM = 20_000

_MATCH_OPS: tuple[MatchOp, ...] = ("=", "!=", "=~", "!~")


class Selection:
    """Reads selectors; keeps count of what their regular expressions weigh."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._program = 0

    def selector(self, name: Token | None) -> Operand:
        """The rest of a selector whose metric ``name`` may stand before its braces."""
        reader = self._reader
        start = reader.token.start if name is None else name.start
        matchers = [] if name is None else [Matcher(METRIC_NAME, "=", name.text)]
        if name is None or reader.sees("{"):
            matchers += self._braces()
        span = (start, reader.end)
        named = [matcher.value for matcher in matchers if matcher.name == METRIC_NAME]
        if name is not None and len(named) > 1:
            reader.doubt(span, f'metric name must not be set twice: "{short(named[0])}" or "{short(named[1])}"')
        if all(_matches_empty(matcher) for matcher in matchers):
            reader.doubt(span, "vector selector must contain at least one non-empty matcher")
        return Operand(Selector(tuple(matchers), span=span), "instant vector", span)

    def _braces(self) -> list[Matcher]:
        reader = self._reader
        reader.take()
        matchers: list[Matcher] = []
        while not reader.took("}"):
            matchers.append(self._matcher())
            if not reader.took(",") and not reader.sees("}"):
                reader.unexpected("label matching", '"," or "}"')
        return matchers

    def _matcher(self) -> Matcher:
        reader = self._reader
        token = reader.token
        if token.kind not in ("word", "string"):
            reader.unexpected("label matching", 'identifier or "}"')
        reader.take()
        name = text_of(reader, token) if token.kind == "string" else token.text
        if token.kind == "string" and reader.sees(",", "}"):
            return Matcher(METRIC_NAME, "=", name)
        if token.kind == "string" and not name:
            reader.fail(token.span, "a label's name must not be empty")
        op = next((op for op in _MATCH_OPS if reader.sees(op)), None)
        if op is None:
            reader.unexpected("label matching", "label matching operator")
        reader.take()
        if reader.token.kind != "string":
            reader.unexpected("label matching", "string")
        value = reader.take()
        matcher = Matcher(name, op, text_of(reader, value))
        if op in ("=~", "!~"):
            self._weigh(matcher.value, value)
        return matcher

    def _weigh(self, pattern: str, token: Token) -> None:
        try:
            self._program += compile_pattern(pattern).programsize
        except QueryError as error:
            self._reader.fail(token.span, str(error))
        if self._program > MAX_PROGRAM:
            self._reader.fail(token.span, "the query's regular expressions are too large")


def text_of(reader: Reader, token: Token) -> str:
    """The value of a string token."""
    try:
        return unquote(token.text)
    except ValueError as error:
        reader.fail(token.span, str(error))


def label_names(reader: Reader) -> tuple[str, ...]:
    """A list of labels in parentheses; a comma may follow the last one."""
    reader.expect("(", "grouping opts", '"("')
    names: list[str] = []
    while not reader.took(")"):
        token = reader.token
        if not _is_label(token):
            reader.unexpected("grouping opts", "label")
        reader.take()
        names.append(text_of(reader, token) if token.kind == "string" else token.text)
        if not names[-1]:
            reader.fail(token.span, "a label's name must not be empty")
        if not reader.took(",") and not reader.sees(")"):
            reader.unexpected("grouping opts", '"," or ")"')
    return tuple(names)


def _is_label(token: Token) -> bool:
    if token.kind == "word":
        return ":" not in token.text and token.keyword not in ("inf", "nan")
    return token.kind == "string"


def _matches_empty(matcher: Matcher) -> bool:
    if matcher.op in ("=", "!="):
        return (matcher.value == "") == (matcher.op == "=")
    return (compile_pattern(matcher.value).fullmatch("") is not None) == (matcher.op == "=~")
