"""Aggregations over labels. The order of groups is that of their first series."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collectors.sample import Labels, Values
from promql.budget import Budget
from promql.error import QueryError
from promql.label import grouper, replace
from promql.node import Aggregate
from promql.reduction import cancelled, exact_sum
from promql.statistic import quantile_of_rows
from promql.value import Block, Present, Row, Value, empty_block

_SHRINK = 2.0**-64
_MAX_INT = 2.0**63


@dataclass(frozen=True, slots=True)
class Groups:
    """Which rows belong together: ``order`` sorts rows by group, ``starts`` are the groups' first positions in it."""

    labels: list[Labels]
    order: NDArray[np.intp]
    starts: NDArray[np.intp]

    def reduce(self, ufunc: np.ufunc, rows: NDArray[Any]) -> NDArray[Any]:
        """Reduce the rows of each group: (series, steps) → (groups, steps)."""
        if len(self.labels) == 1:
            single: NDArray[Any] = ufunc.reduce(rows, axis=0, keepdims=True)
            return single
        reduced: NDArray[Any] = ufunc.reduceat(rows[self.order], self.starts, axis=0)
        return reduced

    def members(self) -> list[NDArray[np.intp]]:
        """The rows of each group."""
        return np.split(self.order, self.starts[1:])

    def spread(self, groups: NDArray[Any]) -> NDArray[Any]:
        """Give every row its group's value: (groups, steps) → (series, steps)."""
        sizes = np.diff(np.append(self.starts, len(self.order)))
        owner = np.empty(len(self.order), dtype=np.intp)
        owner[self.order] = np.repeat(np.arange(len(self.starts)), sizes)
        return groups[owner]


def group(labels: list[Labels], names: tuple[str, ...], without: bool) -> Groups:
    """Sort series into groups by the labels called ``names`` (or by all others)."""
    of = grouper(names, without)
    numbers: dict[Labels, int] = {}
    owner = np.array([numbers.setdefault(of(one), len(numbers)) for one in labels], dtype=np.intp)
    order = np.argsort(owner, kind="stable")
    return Groups(list(numbers), order, np.searchsorted(owner[order], np.arange(len(numbers))))


def aggregate(node: Aggregate, block: Block, param: Value | None, budget: Budget) -> Block:
    """Evaluate ``node`` on its operand; ``param`` is the value of its parameter, if it has one."""
    block = block.without_absent()
    if not block.labels:
        return empty_block(block.values.shape[1])
    groups = group(block.labels, node.labels, node.without)
    match node.op:
        case "topk" | "bottomk":
            return _extremes(block, groups, _row(node, param), node.op == "topk")
        case "quantile":
            return _quantile(block, groups, _row(node, param))
        case "count_values":
            if not isinstance(param, str) or not param:
                raise QueryError('invalid label name "" in count_values', "execution")
            return _count_values(block, groups, param, budget)
    counts = groups.reduce(np.add, block.present.astype(np.int64))
    values = _reduced(node.op, block.values, block.present, groups, counts)
    return Block(groups.labels, values, counts > 0)


def _row(node: Aggregate, param: Value | None) -> Values:
    if not isinstance(param, Row):
        raise QueryError(f"{node.op} needs a number as its parameter")
    return param.values


def _reduced(op: str, values: Values, present: Present, groups: Groups, counts: NDArray[Any]) -> Values:
    match op:
        case "sum":
            return _sum(np.where(present, values, 0.0), groups)
        case "avg":
            return _average(np.where(present, values, 0.0), groups, counts)
        case "min" | "max":
            ufunc = np.fmin if op == "min" else np.fmax
            return groups.reduce(ufunc, np.where(present, values, np.nan)).astype(np.float64)
        case "count":
            return counts.astype(np.float64)
        case "group":
            return np.ones(counts.shape)
        case "stdvar" | "stddev":
            # Taken from a value of the group, so that equal values differ by nothing at all.
            base = groups.reduce(np.fmin, np.where(present, values, np.nan))
            shifted = np.where(present, values - groups.spread(base), 0.0)
            means = _average(shifted, groups, counts)
            squares = np.square(np.where(present, shifted - groups.spread(means), 0.0))
            variance: Values = groups.reduce(np.add, squares) / counts
            return variance if op == "stdvar" else np.sqrt(variance)
    raise QueryError(f"the aggregation {op!r} is not supported", "unsupported")


def _sum(rows: Values, groups: Groups) -> Values:
    """The groups' sums, redone exactly where large values of both signs cancel out."""
    sums = groups.reduce(np.add, rows).astype(np.float64)
    if np.fmin.reduce(rows, axis=None) < 0 < np.fmax.reduce(rows, axis=None):
        sizes = groups.reduce(np.add, np.abs(rows)).astype(np.float64)
        members = groups.members()
        for number, step in np.argwhere(cancelled(sums, sizes)):
            sums[number, step] = exact_sum(rows[members[number], step])
    return sums


def _average(rows: Values, groups: Groups, counts: NDArray[Any]) -> Values:
    sums = _sum(rows, groups)
    means: Values = sums / counts
    if np.isinf(sums).any():  # perhaps only the sum is too large for a float
        means = np.where(np.isinf(sums), _sum(rows * _SHRINK, groups) / counts / _SHRINK, means)
    return means


def _quantile(block: Block, groups: Groups, q: Values) -> Block:
    values = [quantile_of_rows(block.values[rows].T, block.present[rows].T, q) for rows in groups.members()]
    return Block(groups.labels, np.array(values), groups.reduce(np.logical_or, block.present).astype(bool))


def _extremes(block: Block, groups: Groups, k: Values, largest: bool) -> Block:
    """The k largest (or smallest) series of each group and step, with their own labels; best first at a single step."""
    if np.isnan(k).any():
        raise QueryError("the parameter of topk and bottomk must not be NaN", "execution")
    if (np.abs(k) >= _MAX_INT).any():
        raise QueryError("the parameter of topk and bottomk is too large", "execution")
    chosen = np.zeros(block.present.shape, dtype=bool)
    order: list[NDArray[np.intp]] = []
    for rows in groups.members():
        values, present = block.values[rows], block.present[rows]
        ranked = np.lexsort((-values if largest else values, np.isnan(values), ~present), axis=0)
        places = np.empty_like(ranked)
        np.put_along_axis(places, ranked, np.arange(len(rows))[:, None], axis=0)
        chosen[rows] = (places < np.trunc(k)) & present
        order.append(rows[ranked[:, 0]])
    result = Block(block.labels, block.values, chosen)
    if block.values.shape[1] == 1:
        result = result.take(np.concatenate(order))
    return result.without_absent()


def _count_values(block: Block, groups: Groups, label: str, budget: Budget) -> Block:
    """How often each value occurs per group and step; a label of the group gives way to one of the same name."""
    steps = block.values.shape[1]
    numbers: dict[Labels, int] = {}
    cells: list[NDArray[np.int64]] = []
    for name, members in zip(groups.labels, groups.members(), strict=True):
        present = block.present[members]
        # By their bits: 0 and -0 are two values.
        bits, which = np.unique(block.values[members][present].view(np.int64), return_inverse=True)
        values = bits.view(np.float64)
        budget.hold(len(values) * steps)  # there may be as many as there are samples
        rows = [
            numbers.setdefault(replace(name, label, format_value(value)), len(numbers)) for value in values.tolist()
        ]
        cells.append(np.array(rows, dtype=np.int64)[which] * steps + np.nonzero(present)[1])
    counts = np.bincount(np.concatenate(cells), minlength=len(numbers) * steps).reshape(len(numbers), steps)
    return Block(list(numbers), counts.astype(np.float64), counts > 0)


def format_value(value: float) -> str:
    """A number as PromQL writes it into a label: the shortest decimal that reads back the same, without an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return np.format_float_positional(value, trim="-")
