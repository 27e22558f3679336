"""Functions that read a course out of a window's samples: linear regression and double exponential smoothing."""

from __future__ import annotations

import numpy as np

from collectors.sample import Times, Values
from promql.overtime import over_portions
from promql.value import Present
from promql.window import Spread, Windows


def derivative(windows: Windows) -> tuple[Values, Present]:
    """The slope per second of the least-squares line; needs two samples."""

    def of_portion(portion: Spread) -> Values:
        starts = windows.times[portion.index[portion.low]]
        return _regression(windows, portion, starts)[0]

    values, _ = over_portions(windows, of_portion)
    return values, windows.count >= 2


def predict_linear(windows: Windows, now: Times, seconds: Values) -> tuple[Values, Present]:
    """Where the least-squares line will be ``seconds`` after ``now`` (ms); both have shape (steps,)."""
    steps = windows.low.shape[1]

    def of_portion(portion: Spread) -> Values:
        step = portion.cells % steps
        slope, intercept = _regression(windows, portion, now[step])
        ahead: Values = slope * seconds[step] + intercept
        return ahead

    values, _ = over_portions(windows, of_portion)
    return values, windows.count >= 2


def _regression(windows: Windows, portion: Spread, origin: Times) -> tuple[Values, Values]:
    """Slope per second, and value at ``origin`` (ms, one per window), of each window's least-squares line."""
    values = windows.values[portion.index]
    times = windows.times[portion.index]
    sizes = portion.high - portion.low
    first = values[portion.low]

    def sums(data: Values) -> Values:
        summed: Values = np.add.reduceat(data, portion.low)
        return summed

    x = (times - origin[portion.owner]) / 1000
    centre = sums(x) / sizes
    x -= centre[portion.owner]
    mean = sums(values) / sizes
    slope = sums(x * (values - mean[portion.owner])) / sums(x * x)
    intercept = mean - slope * centre
    constant = np.logical_and.reduceat(values == first[portion.owner], portion.low)
    finite = np.isfinite(first)
    slope = np.where(constant, np.where(finite, 0.0, np.nan), slope)
    intercept = np.where(constant, np.where(finite, first, np.nan), intercept)
    return slope, intercept


def double_exponential_smoothing(windows: Windows, smoothing: Values, trend: Values) -> tuple[Values, Present]:
    """The last value smoothed with the factors for level and trend, each (steps,); needs two samples.

    A step of the recursion is computed for all windows at once.
    """
    steps = windows.low.shape[1]

    def of_portion(portion: Spread) -> Values:
        rows, exists = portion.padded(windows.values)
        step = portion.cells % steps
        level_factor, trend_factor = smoothing[step], trend[step]
        if rows.shape[1] < 2:
            return np.zeros(len(rows))
        before, level = np.zeros(len(rows)), rows[:, 0]
        slope = rows[:, 1] - rows[:, 0]
        for position in range(1, rows.shape[1]):
            alive = exists[:, position]
            if position > 1:
                slope = np.where(alive, trend_factor * (level - before) + (1 - trend_factor) * slope, slope)
            smoothed = level_factor * rows[:, position] + (1 - level_factor) * (level + slope)
            before = np.where(alive, level, before)
            level = np.where(alive, smoothed, level)
        return level

    values, _ = over_portions(windows, of_portion)
    return values, windows.count >= 2
