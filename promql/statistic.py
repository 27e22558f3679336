"""Statistics over the rows of a matrix some of whose elements do not exist."""

from __future__ import annotations

import numpy as np

from collectors.sample import Values
from promql.value import Present


def quantile_of_rows(rows: Values, exists: Present, q: Values) -> Values:
    """The ``q``-quantile of each row's existing elements, linearly interpolated; shapes (n, m), (n, m), (n,) → (n,).

    NaN counts as the smallest value. No elements, or ``q`` = NaN, give NaN; ``q`` outside 0…1 gives ∓Inf.
    """
    counts = exists.sum(axis=1)
    nans = (np.isnan(rows) & exists).sum(axis=1)
    # What does not exist sorts last; NaN sorts first in PromQL, and last in numpy: there it is read by position.
    ordered = np.sort(np.where(exists & ~np.isnan(rows), rows, np.inf), axis=1)
    rank = q * (counts - 1)
    clipped = np.clip(np.nan_to_num(rank), 0, np.maximum(counts - 1, 0))
    lower = np.floor(clipped).astype(np.intp)
    upper = np.minimum(lower + 1, np.maximum(counts - 1, 0))
    weight = rank - np.floor(rank)
    result = _at(ordered, lower, nans) * (1 - weight) + _at(ordered, upper, nans) * weight
    result = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, result))
    return np.where((counts == 0) | np.isnan(q), np.nan, result)


def _at(ordered: Values, position: np.ndarray, nans: np.ndarray) -> Values:
    """The element at ``position`` of each row when ``nans`` NaN precede what ``ordered`` holds."""
    if ordered.shape[1] == 0:
        return np.full(len(ordered), np.nan)
    behind = np.maximum(position - nans, 0)
    found = np.take_along_axis(ordered, behind[:, None], axis=1)[:, 0]
    return np.where(position < nans, np.nan, found)
