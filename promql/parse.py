"""From a query's text to its syntax tree: climbs operators by precedence and remembers where everything stands.

Complaints are worded and placed as Prometheus words and places them. Those about meaning (types, numbers of arguments)
wait until the whole text has been read, so that a mistake in form comes first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from collectors.sample import Matcher
from promql.error import QueryError, Span, short
from promql.lexer import Token
from promql.literal import duration_ms, number
from promql.modifier import modified
from promql.node import Aggregate, Binary, Call, Matching, Negation, Node, Number, Selector, Text, children
from promql.reader import Reader
from promql.selection import Selection, label_names, text_of
from promql.support import (
    AGGREGATIONS,
    FUNCTIONS,
    REFUSED_AGGREGATIONS,
    REFUSED_FUNCTIONS,
    REFUSED_MODIFIERS,
)
from promql.typecheck import Operand, check_binary, check_call, check_sign, check_type

#: Levels of brackets, calls and right-hand operands; keeps recursion far from Python's own limit.
MAX_DEPTH = 120

_PRECEDENCE = {
    "or": 1,
    **dict.fromkeys(["and", "unless"], 2),
    **dict.fromkeys(["==", "!=", "<", "<=", ">", ">="], 3),
    **dict.fromkeys(["+", "-"], 4),
    **dict.fromkeys(["*", "/", "%", "atan2"], 5),
    "^": 6,
}
_POWER = _PRECEDENCE["^"]
#: Keywords that are no metric's name.
_RESERVED = frozenset(["atan2", "bool", "group_left", "group_right", "ignoring", "on"])
_NO_MATCHING = Matching(False, (), None, ())


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
    reader = Reader(text)
    if reader.token.kind == "end":
        reader.fail((0, 0), "no expression found in input")
    try:
        operand = _Parser(reader).expression()
    except RecursionError:
        raise QueryError("the query is nested too deeply") from None
    reader.finish()
    return Query(text, operand.node)


class _Parser:
    """The grammar: one method per kind of expression."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._selection = Selection(reader)
        self._depth = 0

    def expression(self, lowest: int = 1) -> Operand:
        """An expression of operators that bind at least as tightly as ``lowest``."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            message = f"the query is nested more than {MAX_DEPTH} levels deep"
            raise QueryError(message, position=self._reader.token.span)
        lhs = self._signed()
        while (precedence := self._precedence()) >= lowest:
            op = self._reader.take()
            matching, return_bool = self._matching()
            op_span = (op.start, self._reader.end)
            rhs = self.expression(precedence if op.text == "^" else precedence + 1)
            lhs = self._binary(op.keyword, (lhs, rhs), matching, return_bool, op_span)
        self._depth -= 1
        return lhs

    def _precedence(self) -> int:
        token = self._reader.token
        return _PRECEDENCE.get(token.keyword, 0) if token.kind in ("operator", "word") else 0

    def _binary(
        self, op: str, sides: tuple[Operand, Operand], matching: Matching, return_bool: bool, op_span: Span
    ) -> Operand:
        check_binary(self._reader, op, sides, matching, return_bool, op_span)
        span = (sides[0].span[0], sides[1].span[1])
        is_vector = "instant vector" in (sides[0].type, sides[1].type)
        node = Binary(op, sides[0].node, sides[1].node, matching, return_bool, span)
        return Operand(node, "instant vector" if is_vector else "scalar", span)

    def _matching(self) -> tuple[Matching, bool]:
        """What may follow a binary operator: ``bool``, ``on(…)`` or ``ignoring(…)``, ``group_left(…)`` …"""
        reader = self._reader
        return_bool = reader.took("bool")
        matching = _NO_MATCHING
        if reader.sees("on", "ignoring"):
            on = reader.take().keyword == "on"
            labels = label_names(reader)
            many: Literal["left", "right"] | None = None
            include: tuple[str, ...] = ()
            if reader.sees("group_left", "group_right"):
                many = "left" if reader.take().keyword == "group_left" else "right"
                include = label_names(reader) if reader.sees("(") else ()
            matching = Matching(on, labels, many, include)
        while reader.sees("fill", "fill_left", "fill_right") and reader.after.text == "(":
            token = reader.token
            reader.reject(token.span, f"the modifier {token.keyword} {REFUSED_MODIFIERS[token.keyword]}")
        return matching, return_bool

    def _signed(self) -> Operand:
        """An operand with the signs before it, which bind less tightly than ``^``."""
        reader = self._reader
        signs: list[Token] = []
        while reader.sees("+", "-"):
            signs.append(reader.take())
        if not signs:
            return self._operand()
        operand = self.expression(_POWER)
        span = (signs[0].start, operand.span[1])
        check_sign(reader, operand, span)
        minuses = sum(sign.text == "-" for sign in signs)
        node = operand.node
        if isinstance(node, Number) and not operand.enclosed:
            return Operand(Number(-node.value if minuses % 2 else node.value, span), operand.type, span)
        # Two minuses keep the value, yet drop the metric's name as one does.
        for _ in range(2 - minuses % 2 if minuses else 0):
            node = Negation(node, span)
        return Operand(node, operand.type, span)

    def _operand(self) -> Operand:
        """A literal, selector, call or parenthesis, with its range, offset and ``@``."""
        token = self._reader.token
        match token.kind:
            case "number" | "duration":
                operand = self._number()
            case "string":
                self._reader.take()
                operand = Operand(Text(text_of(self._reader, token), token.span), "string", token.span)
            case "word" if token.keyword in ("inf", "nan"):
                operand = self._number()
            case "word" if token.keyword not in _RESERVED:
                operand = self._named()
            case "operator" if token.text == "(":
                operand = self._parenthesis()
            case "operator" if token.text == "{":
                operand = self._selection.selector(None)
            case _:
                self._reader.unexpected()
        return modified(self._reader, operand)

    def _number(self) -> Operand:
        """A number, or a duration as one of seconds."""
        token = self._reader.take()
        try:
            value = duration_ms(token.text) / 1000 if token.kind == "duration" else number(token.text)
        except ValueError as error:
            self._reader.fail(token.span, str(error))
        return Operand(Number(value, token.span), "scalar", token.span)

    def _parenthesis(self) -> Operand:
        start = self._reader.take().start
        inner = self.expression()
        if not self._reader.took(")"):
            self._reader.unexpected()
        return Operand(inner.node, inner.type, (start, self._reader.end), enclosed=True)

    def _named(self) -> Operand:
        """What starts with a word: an aggregation, a call or a selector."""
        reader = self._reader
        token = reader.take()
        word = token.keyword
        if (word in AGGREGATIONS or word in REFUSED_AGGREGATIONS) and reader.sees("(", "by", "without"):
            return self._aggregate(token)
        if reader.sees("(") and ":" not in token.text:
            return self._call(token)
        return self._selection.selector(token)

    def _aggregate(self, token: Token) -> Operand:
        reader, op = self._reader, token.keyword
        grouping = self._grouping()
        args = self._arguments("aggregation")
        grouping = grouping or self._grouping() or ((), False)
        span = (token.start, reader.end)
        nothing = Operand(Selector(()), "instant vector", span)
        if op in REFUSED_AGGREGATIONS:
            reader.refuse(token.span, f"the aggregation {op} {REFUSED_AGGREGATIONS[op]}")
            return nothing
        param_type = AGGREGATIONS[op]
        wanted = 1 if param_type is None else 2
        if not args:
            reader.complain(span, "no arguments for aggregate expression provided")
            return nothing
        if len(args) != wanted:
            message = "wrong number of arguments for aggregate expression provided"
            reader.complain(span, f"{message}, expected {wanted}, got {len(args)}")
            return nothing
        check_type(reader, args[-1], "instant vector", "aggregation expression")
        if param_type is not None:
            check_type(reader, args[0], param_type, "aggregation parameter")
        param = None if param_type is None else args[0].node
        return Operand(Aggregate(op, args[-1].node, param, *grouping, span), "instant vector", span)

    def _grouping(self) -> tuple[tuple[str, ...], bool] | None:
        if not self._reader.sees("by", "without"):
            return None
        without = self._reader.take().keyword == "without"
        return label_names(self._reader), without

    def _call(self, token: Token) -> Operand:
        reader, name = self._reader, token.text
        args = self._arguments()
        span = (token.start, reader.end)
        node = Call(name, tuple(argument.node for argument in args), span)
        signature = FUNCTIONS.get(name)
        if signature is not None:
            check_call(reader, name, signature, args, span)
            return Operand(node, signature.result, span)
        if name in REFUSED_FUNCTIONS:
            reader.refuse(token.span, f"the function {name} {REFUSED_FUNCTIONS[name]}")
        else:
            reader.complain(token.span, f'unknown function with name "{short(name)}"')
        return Operand(node, "instant vector", span)

    def _arguments(self, context: str = "") -> list[Operand]:
        reader = self._reader
        reader.expect("(", context)
        args: list[Operand] = []
        if reader.took(")"):
            return args
        while True:
            args.append(self.expression())
            comma = reader.token
            if not reader.took(","):
                break
            if reader.sees(")"):
                reader.fail(comma.span, "trailing commas not allowed in function call args")
        if not reader.took(")"):
            reader.unexpected()
        return args
