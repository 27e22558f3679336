"""Functions over instant vectors and scalars. Those over range vectors are in ``rangefunction``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from collectors.sample import Values
from promql.label import drop_names, get, natural_key
from promql.value import Block, Row, merge_same_labels


def _sign(values: Values) -> Values:
    return np.sign(values)


MATH: dict[str, Callable[[Values], Values]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "deg": np.degrees,
    "exp": np.exp,
    "floor": np.floor,
    "ln": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "rad": np.radians,
    "sgn": _sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
}


def each(block: Block, values: Values) -> Block:
    """``block`` with new values and without its metrics' names."""
    return merge_same_labels(Block(drop_names(block.labels), values, block.present))


def round_to(values: Values, nearest: Values) -> Values:
    """Round to multiples of ``nearest``, halves upwards."""
    inverse = 1 / nearest
    rounded: Values = np.floor(values * inverse + 0.5) / inverse
    return rounded


def clamp(block: Block, low: Values | None, high: Values | None) -> Block:
    """Limit the values to ``low``…``high``, each (steps,); steps where they cross have no result.

    As in Go, of an infinity and no number the infinity is the smaller, or the larger.
    """
    values, present = block.values, block.present
    if high is not None:
        values = np.where((values == -np.inf) | (high == -np.inf), -np.inf, np.minimum(high, values))
    if low is not None:
        values = np.where((values == np.inf) | (low == np.inf), np.inf, np.maximum(low, values))
    if low is not None and high is not None:
        present = present & ~(high < low)
    return each(Block(block.labels, values, present), values)


def scalar(block: Block) -> Row:
    """The value of the only series, NaN at steps where there is not exactly one."""
    if not block.labels:
        return Row(np.full(block.values.shape[1], np.nan))
    only = block.present.sum(axis=0) == 1
    row = block.present.argmax(axis=0)
    return Row(np.where(only, np.take_along_axis(block.values, row[None, :], axis=0)[0], np.nan))


def vector(row: Row) -> Block:
    """A scalar as a series without labels."""
    return Block([()], row.values[None, :], np.ones((1, len(row.values)), dtype=bool))


def sort(block: Block, descending: bool) -> Block:
    """Sort an instant vector by value, NaN last. Series over a range keep their order."""
    if block.values.shape[1] != 1:
        return block
    values = block.values[:, 0]
    return block.take(np.lexsort((-values if descending else values, np.isnan(values))))


def sort_by_label(block: Block, names: list[str], descending: bool) -> Block:
    """Sort an instant vector by the labels called ``names``, numbers inside them by size; ties by all labels."""
    if block.values.shape[1] != 1:
        return block

    def key(row: int) -> tuple[object, ...]:
        labels = block.labels[row]
        return (*(natural_key(get(labels, name)) for name in names), labels)

    return block.take(sorted(range(len(block.labels)), key=key, reverse=descending))
