"""What may follow an operand: a range or subquery in square brackets, ``offset`` and ``@``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from promql.literal import duration_ms, number, seconds_to_ms
from promql.node import Node, RangeSelector, Selector, Subquery
from promql.reader import Reader
from promql.support import REFUSED_DURATIONS, REFUSED_MODIFIERS
from promql.typecheck import Operand

#: Times beyond this are no times: sums with ranges and offsets stay inside 64 bits.
_MAX_TIME_MS = 1 << 53
_DURATION_WORDS = frozenset(["step", "range", "min", "max"])
_DURATION_OPERATORS = frozenset("+-*/%^")
_RANGE_CONTEXT = "subquery or range selector"


def modified(reader: Reader, operand: Operand) -> Operand:
    """The operand with everything that follows and belongs to it."""
    while True:
        if reader.sees("["):
            operand = _range(reader, operand)
        elif reader.sees("offset"):
            operand = _offset(reader, operand)
        elif reader.sees("@"):
            operand = _at(reader, operand)
        elif reader.sees("anchored", "smoothed"):
            token = reader.take()
            reader.refuse(token.span, f"the modifier {token.keyword} {REFUSED_MODIFIERS[token.keyword]}")
        else:
            return operand


def _range(reader: Reader, operand: Operand) -> Operand:
    bracket = reader.take()
    range_ms = _duration(reader, _RANGE_CONTEXT, "duration", positive=True)
    if reader.took(":"):
        step = None if reader.sees("]") else _duration(reader, "subquery selector", 'duration or "]"', positive=True)
        reader.expect("]", "subquery selector", '"]"')
        span = (operand.span[0], reader.end)
        if operand.type != "instant vector":
            kind = "matrix" if operand.type == "range vector" else operand.type
            reader.doubt(span, f"subquery is only allowed on instant vector, got {kind} instead")
        return Operand(Subquery(operand.node, range_ms, step, span=span), "range vector", span)
    reader.expect("]", "subquery or range", '":" or "]"')
    span = (operand.span[0], reader.end)
    node = operand.node
    problem = ""
    if not isinstance(node, Selector) or operand.enclosed:
        problem = "ranges only allowed for vector selectors"
    elif node.offset_ms:
        problem = "no offset modifiers allowed before range"
    elif node.at is not None:
        problem = "no @ modifiers allowed before range"
    if problem:
        reader.complain((bracket.start, reader.end), problem)
    selector = node if isinstance(node, Selector) else Selector(())
    return Operand(RangeSelector(selector, range_ms, span), "range vector", span)


def _offset(reader: Reader, operand: Operand) -> Operand:
    reader.take()
    sign = -1 if reader.sees("-") else 1
    if reader.sees("-", "+") and reader.after.kind in ("duration", "number"):
        reader.take()
    offset_ms = sign * _duration(reader, "offset", "duration", positive=False)

    def set_offset(node: Selector | Subquery) -> Selector | Subquery:
        if node.offset_ms:
            reader.complain(operand.span, "offset may not be set multiple times")
        return replace(node, offset_ms=offset_ms, span=(node.span[0], reader.end))

    return _set(reader, operand, "offset", set_offset)


def _at(reader: Reader, operand: Operand) -> Operand:
    reader.take()
    moment: int | Literal["start", "end"]
    if reader.sees("start", "end") and reader.after.text == "(":
        moment = "start" if reader.take().keyword == "start" else "end"
        reader.take()
        reader.expect(")", "@", '")"')
    else:
        moment = _moment(reader, operand)

    def set_at(node: Selector | Subquery) -> Selector | Subquery:
        if node.at is not None:
            reader.complain(operand.span, "@ <timestamp> may not be set multiple times")
        return replace(node, at=moment, span=(node.span[0], reader.end))

    return _set(reader, operand, "@", set_at)


def _moment(reader: Reader, operand: Operand) -> int:
    """The time after ``@`` in ms."""
    sign = -1.0 if reader.sees("-") else 1.0
    start = reader.token.start
    if reader.sees("-", "+"):
        reader.take()
    token = reader.token
    if token.kind not in ("number", "duration") and token.keyword not in ("inf", "nan"):
        reader.unexpected("@", "timestamp")
    reader.take()
    try:
        seconds = sign * (duration_ms(token.text) / 1000 if token.kind == "duration" else number(token.text))
    except ValueError as error:
        reader.fail(token.span, str(error))
    if not abs(seconds) * 1000 <= _MAX_TIME_MS:
        reader.complain((start, token.end), f"timestamp out of bounds for @ modifier: {_shown(seconds)}")
        return 0
    if seconds < 0:
        reader.complain((start, token.end), "a time after @ must not be negative")
    return math.floor(seconds * 1000 + 0.5)


def _set(
    reader: Reader, operand: Operand, what: str, change: Callable[[Selector | Subquery], Selector | Subquery]
) -> Operand:
    node: Node = operand.node
    span = (operand.span[0], reader.end)
    if operand.enclosed or not isinstance(node, Selector | RangeSelector | Subquery):
        kinds = "an instant vector selector or range vector selector or a subquery"
        reader.complain(operand.span, f"{what} modifier must be preceded by {kinds}")
        return operand
    if isinstance(node, RangeSelector):
        selector = change(node.selector)
        assert isinstance(selector, Selector)
        return Operand(replace(node, selector=selector, span=span), operand.type, span)
    return Operand(change(node), operand.type, span)


def _duration(reader: Reader, context: str, expected: str, positive: bool) -> int:
    """A duration in ms: a literal or plain seconds."""
    token = reader.token
    if reader.sees("(") or (reader.sees(*_DURATION_WORDS) and reader.after.text == "("):
        reader.reject(token.span, REFUSED_DURATIONS)
    if reader.sees("-", "+") and (reader.after.kind in ("duration", "number") or reader.after.text == "("):
        reader.reject(token.span, REFUSED_DURATIONS)
    if token.kind not in ("duration", "number"):
        reader.unexpected(context, expected)
    reader.take()
    if positive and reader.sees(*_DURATION_OPERATORS):  # inside square brackets
        reader.reject(reader.token.span, REFUSED_DURATIONS)
    try:
        length = duration_ms(token.text) if token.kind == "duration" else seconds_to_ms(number(token.text))
    except ValueError as error:
        reader.fail(token.span, str(error))
    if positive and length <= 0:
        reader.fail(token.span, "duration must be greater than 0")
    return length


def _shown(seconds: float) -> str:
    return "NaN" if math.isnan(seconds) else f"{seconds:+f}".title() if math.isinf(seconds) else f"{seconds:f}"
