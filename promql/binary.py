"""Binary operators between scalars and vectors, and how the series of two vectors find each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from collectors.sample import METRIC_NAME, Labels, Values
from promql.error import QueryError
from promql.label import drop, drop_name, drop_names, format_labels, get, keep, replace
from promql.node import Matching
from promql.value import Block, Present, Row, Value, merge_same_labels


def _power(base: Values, exponent: Values) -> Values:
    """``base`` to the power of ``exponent``; numpy takes a square root instead, which minus infinity has none of."""
    result: Values = np.power(base, exponent)
    if (exponent == 0.5).any():
        result = np.where((exponent == 0.5) & (base == -np.inf), np.inf, result)
    return result


ARITHMETIC: dict[str, Callable[[Values, Values], Values]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": _power,
    "atan2": np.arctan2,
}
COMPARISONS: dict[str, np.ufunc] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
SET_OPERATORS = frozenset({"and", "or", "unless"})

Index = NDArray[np.intp]


def binary(op: str, lhs: Value, rhs: Value, matching: Matching, return_bool: bool) -> Value:
    """Apply ``op``; raises :class:`QueryError` where series do not match one to one (or as ``group_…`` allows)."""
    if isinstance(lhs, Block) and isinstance(rhs, Block):
        if op in SET_OPERATORS:
            return _set_operation(op, lhs, rhs, matching)
        return _vectors(op, lhs, rhs, matching, return_bool)
    if isinstance(lhs, Block) and isinstance(rhs, Row):
        return _with_scalar(op, lhs, rhs.values, return_bool, scalar_left=False)
    if isinstance(lhs, Row) and isinstance(rhs, Block):
        return _with_scalar(op, rhs, lhs.values, return_bool, scalar_left=True)
    if isinstance(lhs, Row) and isinstance(rhs, Row):
        return Row(_compute(op, lhs.values, rhs.values))
    raise QueryError(f"{op} needs scalars or instant vectors on both sides")


def _compute(op: str, left: Values, right: Values) -> Values:
    """``left op right``; comparisons give 0 or 1."""
    if op in ARITHMETIC:
        return ARITHMETIC[op](left, right)
    truth: Values = COMPARISONS[op](left, right).astype(np.float64)
    return truth


def _with_scalar(op: str, vector: Block, scalar: Values, return_bool: bool, scalar_left: bool) -> Block:
    sides = (scalar, vector.values) if scalar_left else (vector.values, scalar)
    if op in COMPARISONS and not return_bool:
        return Block(vector.labels, vector.values, vector.present & COMPARISONS[op](*sides)).without_absent()
    return merge_same_labels(Block(drop_names(vector.labels), _compute(op, *sides), vector.present))


def _signer(matching: Matching) -> Callable[[Labels], Labels]:
    """A function from a series' labels to what must be equal on both sides."""
    if matching.on:
        kept = frozenset(matching.labels)
        return lambda labels: keep(labels, kept)
    if not matching.labels:
        return drop_name
    dropped = frozenset(matching.labels) | {METRIC_NAME}
    return lambda labels: drop(labels, dropped)


def _index(block: Block, sign: Callable[[Labels], Labels]) -> dict[Labels, list[int]]:
    rows: dict[Labels, list[int]] = {}
    for row, labels in enumerate(block.labels):
        rows.setdefault(sign(labels), []).append(row)
    return rows


def _vectors(op: str, lhs: Block, rhs: Block, matching: Matching, return_bool: bool) -> Block:
    swapped = matching.many == "right"
    many, one = (rhs, lhs) if swapped else (lhs, rhs)
    sign = _signer(matching)
    index = _index(one, sign)
    _refuse_duplicates(one, many, index, "left" if swapped else "right")
    pairs = [
        (row, other, signature)
        for row, signature in enumerate(map(sign, many.labels))
        for other in index.get(signature, ())
    ]
    rows = np.array([pair[0] for pair in pairs], dtype=np.intp)
    others = np.array([pair[1] for pair in pairs], dtype=np.intp)
    present = many.present[rows] & one.present[others]
    sides = many.values[rows], one.values[others]
    left, right = sides[::-1] if swapped else sides
    if op in COMPARISONS and not return_bool:
        values = left
        present = present & COMPARISONS[op](left, right)
    else:
        values = _compute(op, left, right)
    nameless = op in ARITHMETIC or return_bool
    labels = [_result_labels(many.labels[row], one.labels[other], matching, nameless) for row, other, _ in pairs]
    signatures = [pair[2] for pair in pairs]
    if matching.many is None:
        _refuse_overlap(
            list(signatures),
            present,
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
        )
    else:
        _refuse_overlap(
            list(zip(signatures, labels, strict=True)),
            present,
            "multiple matches for labels: grouping labels must ensure unique matches",
        )
    return merge_same_labels(Block(labels, values, present).without_absent())


def _refuse_duplicates(one: Block, many: Block, index: dict[Labels, list[int]], side: str) -> None:
    """On the side of one, a step may hold one series per match; checked at steps where there is anything to match."""
    if len(index) == len(one.labels) or not many.labels:
        return
    busy = many.present.any(axis=0)
    for signature, rows in index.items():
        if len(rows) > 1 and ((one.present[rows].sum(axis=0) > 1) & busy).any():
            examples = ", ".join(format_labels(one.labels[row]) for row in rows[:2])
            raise QueryError(
                f"found duplicate series for the match group {format_labels(signature)} on the {side} hand-side of "
                f"the operation: [{examples}];many-to-many matching not allowed: matching labels must be unique on one "
                "side",
                "execution",
            )


def _refuse_overlap(keys: list[object], present: Present, message: str) -> None:
    """Raise where two rows with the same key are present at the same step."""
    if len(set(keys)) == len(keys):
        return
    rows: dict[object, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    for same in rows.values():
        if len(same) > 1 and (present[same].sum(axis=0) > 1).any():
            raise QueryError(message, "execution")


def _result_labels(many: Labels, one: Labels, matching: Matching, nameless: bool) -> Labels:
    labels = drop_name(many) if nameless else many
    if matching.many is None:
        if matching.on:
            return keep(labels, matching.labels)
        if matching.labels:
            labels = drop(labels, matching.labels)
    for name in matching.include:
        labels = replace(labels, name, get(one, name))
    return labels


def _set_operation(op: str, lhs: Block, rhs: Block, matching: Matching) -> Block:
    sign = _signer(matching)
    if op == "or":
        signatures, index = [sign(labels) for labels in rhs.labels], _index(lhs, sign)
        extra = Block(rhs.labels, rhs.values, rhs.present & ~_seen(signatures, index, lhs.present))
        labels = lhs.labels + extra.labels
        values = np.concatenate([lhs.values, extra.values])
        return merge_same_labels(Block(labels, values, np.concatenate([lhs.present, extra.present])).without_absent())
    signatures, index = [sign(labels) for labels in lhs.labels], _index(rhs, sign)
    seen = _seen(signatures, index, rhs.present)
    present = lhs.present & (seen if op == "and" else ~seen)
    return Block(lhs.labels, lhs.values, present).without_absent()


def _seen(signatures: list[Labels], index: dict[Labels, list[int]], present: Present) -> Present:
    """For each signature and step, whether the other side has any series that matches."""
    union = {each: present[index[each]].any(axis=0) for each in dict.fromkeys(signatures) if each in index}
    seen = np.zeros((len(signatures), present.shape[1]), dtype=bool)
    for row, signature in enumerate(signatures):
        if signature in union:
            seen[row] = union[signature]
    return seen
