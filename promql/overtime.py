"""The ``…_over_time`` functions: what a window's samples amount to, whatever their order."""

from __future__ import annotations

import math

import numpy as np

from collectors.sample import Values
from promql.portion import Portion, over_portions
from promql.reduction import reduce, total
from promql.statistic import quantile_of_rows
from promql.value import Present
from promql.window import Windows

#: Scales sums that overflow; a power of two, so that scaling is exact.
_SHRINK = 2.0**-64


def count(windows: Windows) -> tuple[Values, Present]:
    """How many samples."""
    return windows.count.astype(np.float64), windows.count > 0


def present(windows: Windows) -> tuple[Values, Present]:
    """1 where there is any sample."""
    some = windows.count > 0
    return some.astype(np.float64), some


def first(windows: Windows) -> tuple[Values, Present]:
    """The oldest sample."""
    return windows.values.take(windows.low), windows.count > 0


def last(windows: Windows) -> tuple[Values, Present]:
    """The newest sample."""
    return windows.values.take(windows.high - 1), windows.count > 0


def minimum(windows: Windows) -> tuple[Values, Present]:
    """The smallest sample; NaN only where there is nothing else."""
    return reduce(np.fmin, windows.values, windows.low, windows.high), windows.count > 0


def maximum(windows: Windows) -> tuple[Values, Present]:
    """The largest sample; NaN only where there is nothing else."""
    return reduce(np.fmax, windows.values, windows.low, windows.high), windows.count > 0


def sum_(windows: Windows) -> tuple[Values, Present]:
    """The sum of the samples."""
    return total(windows), windows.count > 0


def average(windows: Windows) -> tuple[Values, Present]:
    """The mean of the samples, even where their sum is too large for a float."""
    counts = windows.count
    sums = total(windows)
    means = sums / counts
    if np.isinf(sums).any():
        means = np.where(np.isinf(sums), total(windows, _SHRINK) / counts / _SHRINK, means)
    return means, counts > 0


def variance(windows: Windows) -> tuple[Values, Present]:
    """The population variance."""

    def of_portion(portion: Portion) -> Values:
        rows = portion.blank(portion.rows - portion.rows[:, :1])  # so that equal values differ by nothing at all
        rows -= (rows.sum(axis=1) / portion.sizes)[:, None]
        np.square(rows, out=rows)
        result: Values = portion.blank(rows).sum(axis=1) / portion.sizes
        return result

    return over_portions(windows, of_portion)


def deviation(windows: Windows) -> tuple[Values, Present]:
    """The population standard deviation."""
    values, some = variance(windows)
    return np.sqrt(values), some


def quantile(windows: Windows, q: Values) -> tuple[Values, Present]:
    """The ``q``-quantile, interpolated; ``q`` has shape (steps,)."""
    steps = windows.low.shape[1]
    nans = math.isnan(windows.lowest)
    return over_portions(
        windows, lambda portion: quantile_of_rows(portion.rows, portion.exists, q[portion.cells % steps], nans)
    )


def median_deviation(windows: Windows) -> tuple[Values, Present]:
    """The median of the samples' distances from their median."""
    # Where a median is infinite, a distance may be no number even if the samples are.
    nans = not np.isfinite(windows.values).all()

    def of_portion(portion: Portion) -> Values:
        half = np.full(len(portion.rows), 0.5)
        rows = portion.rows
        rows -= quantile_of_rows(rows, portion.exists, half, nans)[:, None]
        return quantile_of_rows(np.abs(rows, out=rows), portion.exists, half, nans)

    return over_portions(windows, of_portion)
