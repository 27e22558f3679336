"""The ``…_over_time`` functions: what a window's samples amount to, whatever their order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from collectors.sample import Values
from promql.statistic import quantile_of_rows
from promql.value import Present
from promql.window import Spread, Windows, reduce, spread, total

#: Scales sums that overflow; a power of two, so that scaling is exact.
_SHRINK = 2.0**-64


def count(windows: Windows) -> tuple[Values, Present]:
    """How many samples."""
    counts = windows.count
    return counts.astype(np.float64), counts > 0


def present(windows: Windows) -> tuple[Values, Present]:
    """1 where there is any sample."""
    some = windows.count > 0
    return some.astype(np.float64), some


def first(windows: Windows) -> tuple[Values, Present]:
    """The oldest sample."""
    return windows.values[windows.low], windows.count > 0


def last(windows: Windows) -> tuple[Values, Present]:
    """The newest sample."""
    return windows.values[windows.high - 1], windows.count > 0


def minimum(windows: Windows) -> tuple[Values, Present]:
    """The smallest sample; NaN only where there is nothing else."""
    return reduce(np.fmin, windows.values, windows.low, windows.high), windows.count > 0


def maximum(windows: Windows) -> tuple[Values, Present]:
    """The largest sample; NaN only where there is nothing else."""
    return reduce(np.fmax, windows.values, windows.low, windows.high), windows.count > 0


def sum_(windows: Windows) -> tuple[Values, Present]:
    """The sum of the samples."""
    return total(windows.values, windows.low, windows.high), windows.count > 0


def average(windows: Windows) -> tuple[Values, Present]:
    """The mean of the samples, even where their sum is too large for a float."""
    counts = windows.count
    sums = total(windows.values, windows.low, windows.high)
    means = sums / counts
    if np.isinf(sums).any():
        shrunk = total(windows.values * _SHRINK, windows.low, windows.high) / counts / _SHRINK
        means = np.where(np.isinf(sums), shrunk, means)
    return means, counts > 0


def variance(windows: Windows) -> tuple[Values, Present]:
    """The population variance."""

    def of_portion(portion: Spread) -> Values:
        values = windows.values[portion.index]
        sizes = portion.high - portion.low
        means = np.add.reduceat(values, portion.low) / sizes
        squares = np.square(values - means[portion.owner])
        result: Values = np.add.reduceat(squares, portion.low) / sizes
        return result

    return over_portions(windows, of_portion)


def deviation(windows: Windows) -> tuple[Values, Present]:
    """The population standard deviation."""
    values, some = variance(windows)
    return np.sqrt(values), some


def quantile(windows: Windows, q: Values) -> tuple[Values, Present]:
    """The ``q``-quantile, interpolated; ``q`` has shape (steps,)."""
    wanted = np.broadcast_to(q, windows.low.shape).ravel()

    def of_portion(portion: Spread) -> Values:
        return quantile_of_rows(*portion.padded(windows.values), wanted[portion.cells])

    return over_portions(windows, of_portion)


def median_deviation(windows: Windows) -> tuple[Values, Present]:
    """The median of the samples' distances from their median."""

    def of_portion(portion: Spread) -> Values:
        rows, exists = portion.padded(windows.values)
        half = np.full(len(rows), 0.5)
        medians = quantile_of_rows(rows, exists, half)
        return quantile_of_rows(np.abs(rows - medians[:, None]), exists, half)

    return over_portions(windows, of_portion)


def over_portions(windows: Windows, function: Callable[[Spread], Values]) -> tuple[Values, Present]:
    """Put together what ``function`` gives for each portion's windows."""
    counts = windows.count
    values = np.zeros(counts.size)
    for portion in spread(windows):
        values[portion.cells] = function(portion)
    return values.reshape(counts.shape), counts > 0
