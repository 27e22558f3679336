"""Evaluates a syntax tree over evaluation steps: one walk for instant queries (a single step) and range queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from collectors.sample import Hints, Matcher, Series, Times, Values
from promql import calendar, function, reach, relabel
from promql.absence import absent
from promql.aggregate import aggregate
from promql.annotation import Annotations
from promql.binary import binary
from promql.bucketed import BUCKETED, over_buckets
from promql.budget import Budget
from promql.error import QueryError
from promql.histogram import histogram_quantile
from promql.label import drop_names
from promql.node import (
    Aggregate,
    Binary,
    Call,
    Negation,
    Node,
    Number,
    RangeSelector,
    Selector,
    Subquery,
    Text,
)
from promql.rangefunction import KEEPS_NAME, window_function
from promql.selector import align, to_series
from promql.source import SeriesSource, gives_remarks, has_buckets
from promql.support import CALENDAR, COUNTER, MATH, RANGE
from promql.value import Block, RangeData, Row, Value, merge_same_labels
from promql.window import over_windows


class Evaluation:
    """One query's walk over its tree. ``start_ms`` and ``end_ms`` are what ``@ start()`` and ``@ end()`` mean."""

    def __init__(
        self,
        source: SeriesSource,
        budget: Budget,
        lookback_ms: int,
        default_step_ms: int,
        start_ms: int,
        end_ms: int,
        notes: Annotations,
    ) -> None:
        self._source = source
        self._budget = budget
        self._lookback_ms = lookback_ms
        self._default_step_ms = default_step_ms
        self._bounds = {"start": start_ms, "end": end_ms}
        self.notes = notes
        self.selected: int | None = None  #: series in which selectors found samples; None while there was no selector

    def count(self, series: int) -> None:
        """Note in how many series a selector has found samples."""
        self.selected = (self.selected or 0) + series

    def value(self, node: Node, times: Times) -> Value:
        """The value of ``node`` at each of ``times`` (ms, ascending).

        What was computed on the way is gone when this returns: only the result is held from then on.
        """
        held = self._budget.held
        result: Value = _HANDLERS[type(node)](self, node, times)
        self._settle(held, result)
        return result

    def _settle(self, held: int, result: Value) -> None:
        self._budget.check()
        self._budget.held = held
        if isinstance(result, Block | Row):
            self._budget.hold(result.values.size)

    # Leaves

    def _number(self, node: Number, times: Times) -> Row:
        return Row(np.full(len(times), node.value))

    def _text(self, node: Text, times: Times) -> str:
        return node.value

    def _selector(self, node: Selector, times: Times) -> Block:
        block = self._aligned(node, times).without_absent()
        self.count(len(block.labels))
        return block

    def _aligned(self, node: Selector, times: Times, *, timestamps: bool = False) -> Block:
        """The selector's values at each step, or the times (seconds) of the samples they come from."""
        refs = self._ends(node, times)
        series = self._stream(node.matchers, reach.hints(refs, self._lookback_ms, None))
        block = align(series, refs, self._lookback_ms, self._budget, timestamps=timestamps)
        return self._widened(block, len(times))

    def _stream(self, matchers: Sequence[Matcher], hints: Hints) -> Iterable[Series]:
        """The source's series; what it has to say about them goes among the infos."""
        if gives_remarks(self._source):
            for remark in self._source.remarks(matchers, hints):
                self.notes.remark(remark)
        return self._source.stream(matchers, hints)

    def _widened(self, block: Block, steps: int) -> Block:
        """A single step repeated for all, where ``@`` pinned it."""
        if block.values.shape[1] == steps:
            return block
        shape = (len(block.labels), steps)
        self._budget.hold(shape[0] * shape[1])
        return Block(block.labels, np.broadcast_to(block.values, shape), np.broadcast_to(block.present, shape))

    def _ends(self, node: Selector | Subquery, times: Times) -> Times:
        return reach.window_ends(times, node.at, node.offset_ms, self._bounds)

    # Range vectors

    def range_data(self, node: Node, times: Times, function: str | None = None) -> RangeData:
        """The samples that a range expression looks at, for the range function of that name."""
        if isinstance(node, RangeSelector):
            refs = self._ends(node.selector, times)
            series = self._stream(node.selector.matchers, reach.hints(refs, node.range_ms, function))
            return RangeData(series, refs, node.range_ms)
        if isinstance(node, Subquery):
            return self._subquery(node, times)
        raise QueryError("a range vector is expected")

    def _subquery(self, node: Subquery, times: Times) -> RangeData:
        refs = self._ends(node, times)
        inner_times = reach.subquery_steps(node, refs, self._default_step_ms)
        if not len(inner_times):
            return RangeData([], refs, node.range_ms)
        inner = self.value(node.expr, inner_times)
        if isinstance(inner, Row):
            inner = function.vector(inner)
        if not isinstance(inner, Block):
            raise QueryError("a subquery is only allowed on an instant vector")
        return RangeData(to_series(inner, inner_times), refs, node.range_ms)

    def _range_function(self, node: Call, times: Times) -> Block:
        place = next(i for i, arg in enumerate(node.args) if isinstance(arg, RangeSelector | Subquery))
        scalars = [self._scalar(arg, times) for i, arg in enumerate(node.args) if i != place]
        block = self._from_buckets(node, times)
        if block is None:
            data = self.range_data(node.args[place], times, node.name)
            if len(data.refs) != len(times) and scalars:
                # Pinned by @, yet the other arguments may differ from step to step.
                data = RangeData(data.series, np.repeat(data.refs, len(times)), data.range_ms)
            block = over_windows(data, window_function(node.name, scalars, times), self._budget)
        self._count_range(node.args[place], block)
        block = self._widened(block, len(times)).without_absent()
        if node.name in COUNTER:
            self.notes.counters(block.labels, node.args[place].span)
        elif node.name == "quantile_over_time":
            self.notes.quantile(scalars[0][block.present.any(axis=0)], node.args[0].span)
        if node.name in KEEPS_NAME:
            return block
        return merge_same_labels(Block(drop_names(block.labels), block.values, block.present), strict=True)

    def _count_range(self, node: Node, block: Block) -> None:
        """As :meth:`count`, given what was computed over the windows; selectors in a subquery count by themselves."""
        if isinstance(node, RangeSelector):
            self.count(len(block.labels))

    def _from_buckets(self, node: Call, times: Times) -> Block | None:
        """The function's values from what the source knows of whole buckets; None where samples have to be read."""
        if node.name not in BUCKETED or not has_buckets(self._source):
            return None
        arg = node.args[0]
        if not isinstance(arg, RangeSelector):
            return None
        refs = self._ends(arg.selector, times)
        found = self._source.buckets(arg.selector.matchers, reach.hints(refs, arg.range_ms, node.name))
        if found is None:
            return None
        held = self._budget.held
        block = over_buckets(node.name, found, refs, arg.range_ms, self._budget)
        if block is None:
            self._budget.held = held
        return block

    def _absent_over_time(self, node: Call, times: Times) -> Block:
        data = self.range_data(node.args[0], times, node.name)
        block = over_windows(data, window_function("present_over_time", [], times), self._budget)
        self._count_range(node.args[0], block)
        return absent(node.args[0], self._widened(block, len(times)))

    # Operators

    def _negation(self, node: Negation, times: Times) -> Value:
        operand = self.value(node.expr, times)
        if isinstance(operand, Row):
            return Row(-operand.values)
        return function.each(block_of(operand), -block_of(operand).values)

    def _binary(self, node: Binary, times: Times) -> Value:
        spine = []  # long chains lean to the left; in a loop they cost no depth
        leftmost: Node = node
        while isinstance(leftmost, Binary):
            spine.append(leftmost)
            leftmost = leftmost.lhs
        held = self._budget.held
        value = self.value(leftmost, times)
        for one in reversed(spine):
            value = binary(one.op, value, self.value(one.rhs, times), one.matching, one.return_bool)
            self._settle(held, value)
        return value

    def _aggregate(self, node: Aggregate, times: Times) -> Block:
        param = None if node.param is None else self.value(node.param, times)
        if node.op == "quantile" and node.param is not None and isinstance(param, Row):
            self.notes.quantile(param.values, node.param.span)
        return aggregate(node, self._vector(node.expr, times), param, self._budget)

    # Functions

    def _call(self, node: Call, times: Times) -> Value:
        name, args = node.name, node.args
        if name in RANGE:
            return self._range_function(node, times)
        if name in MATH:
            operand = self._vector(args[0], times)
            return function.each(operand, function.MATH[name](operand.values))
        if name in CALENDAR:
            operand = self._vector(args[0], times) if args else function.vector(_now(times))
            return function.each(operand, calendar.part(name, operand.values))
        result: Value = _CALLS[name](self, node, times)
        return result

    def _timestamp(self, node: Call, times: Times) -> Block:
        if isinstance(node.args[0], Selector):
            block = self._aligned(node.args[0], times, timestamps=True)
            self.count(int(block.present.any(axis=1).sum()))
            return function.each(block, block.values)
        block = self._vector(node.args[0], times)
        return function.each(block, np.broadcast_to(times / 1000, block.values.shape))

    def _absent(self, node: Call, times: Times) -> Block:
        return absent(node.args[0], self._vector(node.args[0], times))

    def _clamp(self, node: Call, times: Times) -> Block:
        block = self._vector(node.args[0], times)
        limits = [self._scalar(argument, times) for argument in node.args[1:]]
        low = None if node.name == "clamp_max" else limits[0]
        high = None if node.name == "clamp_min" else limits[-1]
        return function.clamp(block, low, high)

    def _round(self, node: Call, times: Times) -> Block:
        block = self._vector(node.args[0], times)
        nearest = self._scalar(node.args[1], times) if len(node.args) > 1 else np.ones(len(times))
        return function.each(block, function.round_to(block.values, nearest))

    def _histogram_quantile(self, node: Call, times: Times) -> Block:
        q = self._scalar(node.args[0], times)
        self.notes.quantile(q, node.args[0].span)
        return histogram_quantile(q, self._vector(node.args[1], times), self.notes, node.args[1].span)

    def _label_replace(self, node: Call, times: Times) -> Block:
        target, replacement, source, pattern = (_string(argument) for argument in node.args[1:])
        return relabel.label_replace(self._vector(node.args[0], times), target, replacement, source, pattern)

    def _label_join(self, node: Call, times: Times) -> Block:
        target, separator, *sources = (_string(argument) for argument in node.args[1:])
        return relabel.label_join(self._vector(node.args[0], times), target, separator, sources)

    def _sort_by_label(self, node: Call, times: Times) -> Block:
        names = [_string(argument) for argument in node.args[1:]]
        return function.sort_by_label(self._vector(node.args[0], times), names, node.name.endswith("_desc"))

    # Operands of a known type

    def _vector(self, node: Node, times: Times) -> Block:
        return block_of(self.value(node, times))

    def _scalar(self, node: Node, times: Times) -> Values:
        value = self.value(node, times)
        if not isinstance(value, Row):
            raise QueryError("a scalar is expected")
        return value.values


def block_of(value: object) -> Block:
    """``value`` as the instant vector that it must be."""
    if not isinstance(value, Block):
        raise QueryError("an instant vector is expected")
    return value


def _string(node: Node) -> str:
    if not isinstance(node, Text):
        raise QueryError("a string is expected")
    return node.value


def _now(times: Times) -> Row:
    return Row(times / 1000)


_Handler = Callable[[Evaluation, Any, Times], Any]

_HANDLERS: dict[type, _Handler] = {
    Number: Evaluation._number,
    Text: Evaluation._text,
    Selector: Evaluation._selector,
    RangeSelector: lambda self, node, times: self.range_data(node, times),
    Subquery: lambda self, node, times: self.range_data(node, times),
    Negation: Evaluation._negation,
    Binary: Evaluation._binary,
    Aggregate: Evaluation._aggregate,
    Call: Evaluation._call,
}

_CALLS: dict[str, _Handler] = {
    "absent": Evaluation._absent,
    "absent_over_time": Evaluation._absent_over_time,
    "clamp": Evaluation._clamp,
    "clamp_max": Evaluation._clamp,
    "clamp_min": Evaluation._clamp,
    "histogram_quantile": Evaluation._histogram_quantile,
    "label_join": Evaluation._label_join,
    "label_replace": Evaluation._label_replace,
    "pi": lambda self, node, times: Row(np.full(len(times), np.pi)),
    "round": Evaluation._round,
    "scalar": lambda self, node, times: function.scalar(self._vector(node.args[0], times)),
    "sort": lambda self, node, times: function.sort(self._vector(node.args[0], times), descending=False),
    "sort_by_label": Evaluation._sort_by_label,
    "sort_by_label_desc": Evaluation._sort_by_label,
    "sort_desc": lambda self, node, times: function.sort(self._vector(node.args[0], times), descending=True),
    "time": lambda self, node, times: _now(times),
    "timestamp": Evaluation._timestamp,
    "vector": lambda self, node, times: function.vector(Row(self._scalar(node.args[0], times))),
}
