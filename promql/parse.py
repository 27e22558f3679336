"""From a query's text to its syntax tree: guarded, through ``promql_parser``, into nodes of our own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NoReturn

import promql_parser

from collectors.sample import METRIC_NAME, Matcher, MatchOp
from promql.error import QueryError
from promql.guard import Guarded, guard
from promql.node import (
    Aggregate,
    At,
    Binary,
    Call,
    Matching,
    Negation,
    Node,
    Number,
    RangeSelector,
    Selector,
    Subquery,
    Text,
    children,
)
from promql.pattern import compile_pattern
from promql.support import AGGREGATIONS, FUNCTIONS

#: Levels of calls, aggregations and right-hand operands; keeps recursion far from Python's own limit.
MAX_DEPTH = 120
#: Instructions that a query's regular expressions may compile to, all together: tens of milliseconds at worst.
MAX_PROGRAM = 40_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MATCH_OPS: tuple[tuple[Any, MatchOp], ...] = (
    (promql_parser.MatchOp.Equal, "="),
    (promql_parser.MatchOp.NotEqual, "!="),
    (promql_parser.MatchOp.Re, "=~"),
    (promql_parser.MatchOp.NotRe, "!~"),
)
#: Words of newer PromQL that the parser trips over; named in the refusal instead of a bare syntax error.
_REFUSED_WORDS = ("anchored", "smoothed")


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query: its ``text`` as written and its syntax tree."""

    text: str
    expr: Node = field(repr=False)

    def selectors(self) -> list[tuple[Matcher, ...]]:
        """The matchers of every selector in the query, left to right."""
        found: list[tuple[Matcher, ...]] = []
        stack = [self.expr]
        while stack:
            node = stack.pop()
            if isinstance(node, Selector):
                found.append(node.matchers)
            stack.extend(reversed(children(node)))
        return found


def parse(text: str) -> Query:
    """Parse ``text``; raises :class:`QueryError`: ``bad_data``, or ``unsupported`` for what is refused by name."""
    guarded = guard(text)
    try:
        tree: Any = promql_parser.parse(guarded.text)
        expr = _Conversion(guarded).node(tree, 0)
    except ValueError as error:
        _complain(str(error), guarded)
    except RecursionError:
        raise QueryError("the query is nested too deeply") from None
    except BaseException as error:
        # The parser's panics derive from BaseException; only those become errors of the query.
        if type(error).__name__ != "PanicException":
            raise
        raise QueryError(f"the query cannot be parsed: {guarded.restore(str(error))}") from None
    return Query(text, expr)


def _complain(message: str, guarded: Guarded) -> NoReturn:
    if message.startswith("invalid promql query"):
        for word in _REFUSED_WORDS:
            if word in guarded.words:
                raise QueryError(f"{word!r} is not supported", "unsupported") from None
    raise QueryError(f"parse error: {guarded.restore(message)}") from None


class _Conversion:
    """Turns one tree of the parser's into ours, restoring its string literals."""

    def __init__(self, guarded: Guarded) -> None:
        self._restore = guarded.restore
        self._program = 0

    def node(self, tree: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise QueryError(f"the query is nested more than {MAX_DEPTH} levels deep")
        tree, signs = _unwrap(tree)
        match tree:
            case promql_parser.NumberLiteral():
                return Number(-tree.val if signs % 2 else tree.val)
            case promql_parser.StringLiteral():
                node: Node = Text(self._restore(tree.val))
            case promql_parser.VectorSelector():
                node = self._selector(tree)
            case promql_parser.MatrixSelector():
                node = RangeSelector(self._selector(tree.vector_selector), _milliseconds(tree.range))
            case promql_parser.SubqueryExpr():
                step = None if tree.step is None else _milliseconds(tree.step)
                range_ms = 0 if tree.range is None else _milliseconds(tree.range)
                expr = self.node(tree.expr, depth + 1)
                node = Subquery(expr, range_ms, step, _offset(tree.offset), _at(tree.at))
            case promql_parser.BinaryExpr():
                node = self._binary(tree, depth)
            case promql_parser.AggregateExpr():
                node = self._aggregate(tree, depth)
            case promql_parser.Call():
                node = self._call(tree, depth)
            case _:
                raise QueryError(f"{type(tree).__name__} is not supported", "unsupported")
        for _ in range(2 - signs % 2 if signs else 0):
            node = Negation(node)  # twice keeps the value, yet drops the metric's name as once does
        return node

    def _selector(self, tree: Any) -> Selector:
        if tree.matchers.or_matchers:
            raise QueryError("'or' between label matchers is not supported", "unsupported")
        matchers = [] if tree.name is None else [Matcher(METRIC_NAME, "=", tree.name)]
        matchers += [self._matcher(matcher) for matcher in tree.matchers.matchers]
        if all(_matches_empty(matcher) for matcher in matchers):
            raise QueryError("a selector must contain at least one matcher that does not match the empty string")
        return Selector(tuple(matchers), _offset(tree.offset), _at(tree.at))

    def _matcher(self, tree: Any) -> Matcher:
        op = next(ours for theirs, ours in _MATCH_OPS if tree.op == theirs)
        matcher = Matcher(self._restore(tree.name), op, self._restore(tree.value))
        if op in ("=~", "!~"):
            self._program += compile_pattern(matcher.value).programsize
            if self._program > MAX_PROGRAM:
                raise QueryError("the query's regular expressions are too large")
        return matcher

    def _binary(self, tree: Any, depth: int) -> Node:
        spine = []  # chains like a + b + c lean to the left; walked in a loop, they cost no depth
        while isinstance(tree, promql_parser.BinaryExpr):
            spine.append(tree)
            tree = tree.lhs
            if isinstance(tree, promql_parser.ParenExpr):
                inner, signs = _unwrap(tree)
                tree = tree if signs else inner
        node = self.node(tree, depth + 1)
        for one in reversed(spine):
            matching, return_bool = self._matching(one.modifier)
            node = Binary(str(one.op).lower(), node, self.node(one.rhs, depth + 1), matching, return_bool)
        return node

    def _matching(self, tree: Any) -> tuple[Matching, bool]:
        if tree is None:
            return Matching(False, (), None, ()), False
        if tree.fill_values is not None and (tree.fill_values.lhs is not None or tree.fill_values.rhs is not None):
            raise QueryError("'fill' is not supported", "unsupported")
        many: Literal["left", "right"] | None = None
        if tree.card == promql_parser.VectorMatchCardinality.ManyToOne:
            many = "left"
        elif tree.card == promql_parser.VectorMatchCardinality.OneToMany:
            many = "right"
        on = tree.matching is not None and tree.matching.type == promql_parser.LabelModifierType.Include
        labels = () if tree.matching is None else self._names(tree.matching.labels)
        return Matching(on, labels, many, self._names(tree.group_labels or ())), tree.return_bool

    def _aggregate(self, tree: Any, depth: int) -> Aggregate:
        op = str(tree.op).lower()
        if op not in AGGREGATIONS:
            raise QueryError(f"the aggregation {op!r} is not supported", "unsupported")
        param = None if tree.param is None else self.node(tree.param, depth + 1)
        modifier = tree.modifier
        without = modifier is not None and modifier.type == promql_parser.AggModifierType.Without
        labels = () if modifier is None else self._names(modifier.labels)
        return Aggregate(op, self.node(tree.expr, depth + 1), param, labels, without)

    def _call(self, tree: Any, depth: int) -> Call:
        if tree.func.name not in FUNCTIONS:
            raise QueryError(f"the function {tree.func.name}() is not supported", "unsupported")
        return Call(tree.func.name, tuple(self.node(argument, depth + 1) for argument in tree.args))

    def _names(self, names: Any) -> tuple[str, ...]:
        return tuple(self._restore(name) for name in names)


def _unwrap(tree: Any) -> tuple[Any, int]:
    """Peel parentheses and minus signs off in a loop; tells how many signs there were."""
    signs = 0
    while True:
        if isinstance(tree, promql_parser.UnaryExpr):
            signs += 1
        elif not isinstance(tree, promql_parser.ParenExpr):
            return tree, signs
        tree = tree.expr


def _matches_empty(matcher: Matcher) -> bool:
    if matcher.op in ("=", "!="):
        return (matcher.value == "") == (matcher.op == "=")
    return (compile_pattern(matcher.value).fullmatch("") is not None) == (matcher.op == "=~")


def _milliseconds(duration: timedelta) -> int:
    return duration // _MILLISECOND


def _offset(duration: timedelta | None) -> int:
    return 0 if duration is None else _milliseconds(duration)


def _at(tree: Any) -> At:
    if tree is None:
        return None
    if tree.type == promql_parser.AtModifierType.Start:
        return "start"
    if tree.type == promql_parser.AtModifierType.End:
        return "end"
    try:
        moment: datetime = tree.at
    except (OverflowError, ValueError):
        raise QueryError("the time after @ is out of range") from None
    milliseconds = (moment - _EPOCH) / _MILLISECOND
    return math.floor(milliseconds + 0.5)
