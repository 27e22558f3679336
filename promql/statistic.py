"""Statistics over the rows of a matrix some of whose elements do not exist."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from collectors.sample import Values
from promql.value import Present


def quantile_of_rows(rows: Values, exists: Present | None, q: Values, nans: bool = True) -> Values:
    """The ``q``-quantile of each row's existing elements, linearly interpolated; shapes (n, m), (n, m), (n,) → (n,).

    NaN counts as the smallest value. No elements, or ``q`` = NaN, give NaN; ``q`` outside 0…1 gives ∓Inf. ``exists`` is
    None where all elements do; ``nans`` says whether NaN may be among them. ``rows`` may be reordered.
    """
    if exists is None and not nans and rows.size and q.min() == q.max() and math.isfinite(q[0]):
        return _edge_cases(q, _common_quantile(rows, float(q[0])))
    if exists is None:
        exists = np.ones(rows.shape, dtype=bool)
    counts = exists.sum(axis=1)
    missing = (np.isnan(rows) & exists).sum(axis=1)
    # What does not exist sorts last; NaN sorts first in PromQL, and last in numpy: there it is read by position.
    ordered = np.sort(np.where(exists & ~np.isnan(rows), rows, np.inf), axis=1)
    rank = q * (counts - 1)
    clipped = np.clip(np.nan_to_num(rank), 0, np.maximum(counts - 1, 0))
    lower = np.floor(clipped).astype(np.intp)
    upper = np.minimum(lower + 1, np.maximum(counts - 1, 0))
    weight = rank - np.floor(rank)
    result = _at(ordered, lower, missing) * (1 - weight) + _at(ordered, upper, missing) * weight
    return np.where(counts == 0, np.nan, _edge_cases(q, result))


def _common_quantile(rows: Values, q: float) -> Values:
    """The same quantile of every row, where all elements exist and none is NaN: without sorting what is not asked."""
    size = rows.shape[1]
    rank = q * (size - 1)
    lower = int(min(max(rank, 0.0), size - 1))
    weight = rank - np.floor(rank)
    rows.partition(lower, axis=1)
    below = rows[:, lower]
    above = rows[:, lower + 1 :].min(axis=1) if lower + 1 < size else below
    result: Values = below * (1 - weight) + above * weight
    return result


def _edge_cases(q: Values, result: Values) -> Values:
    return np.where(np.isnan(q), np.nan, np.where(q < 0, -np.inf, np.where(q > 1, np.inf, result)))


def _at(ordered: Values, position: NDArray[np.intp], nans: NDArray[np.intp]) -> Values:
    """The element at ``position`` of each row when ``nans`` NaN precede what ``ordered`` holds."""
    if ordered.shape[1] == 0:
        return np.full(len(ordered), np.nan)
    behind = np.maximum(position - nans, 0)
    found = np.take_along_axis(ordered, behind[:, None], axis=1)[:, 0]
    return np.where(position < nans, np.nan, found)
