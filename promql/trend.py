"""Functions that read a course out of a window's samples: linear regression and double exponential smoothing."""

from __future__ import annotations

import numpy as np

from collectors.sample import Times, Values
from promql.portion import Portion, over_portions
from promql.value import Present
from promql.window import Windows

#: Steps of a recursion between two looks at the clock.
_CHECK_EVERY = 1024


def derivative(windows: Windows) -> tuple[Values, Present]:
    """The slope per second of the least-squares line; needs two samples."""

    def of_portion(portion: Portion) -> Values:
        times = portion.times()
        return _regression(portion, times, times[:, 0])[0]

    values, _ = over_portions(windows, of_portion)
    return values, windows.count >= 2


def predict_linear(windows: Windows, now: Times, seconds: Values) -> tuple[Values, Present]:
    """Where the least-squares line will be ``seconds`` after ``now`` (ms); both have shape (steps,)."""
    steps = windows.low.shape[1]

    def of_portion(portion: Portion) -> Values:
        step = portion.cells % steps
        slope, intercept = _regression(portion, portion.times(), now[step])
        ahead: Values = slope * seconds[step] + intercept
        return ahead

    values, _ = over_portions(windows, of_portion)
    return values, windows.count >= 2


def _regression(portion: Portion, times: Times, origin: Times) -> tuple[Values, Values]:
    """Slope per second, and value at ``origin`` (ms, one per window), of each window's least-squares line."""
    values, first = portion.rows, portion.rows[:, 0].copy()
    same = values == first[:, None]
    if portion.exists is not None:
        same |= ~portion.exists
    constant = same.all(axis=1)
    x = portion.blank((times - origin[:, None]) / 1000)
    centre = x.sum(axis=1) / portion.sizes
    x -= centre[:, None]
    portion.blank(x)
    mean = portion.blank(values).sum(axis=1) / portion.sizes
    values -= mean[:, None]
    values *= x
    slope = portion.blank(values).sum(axis=1)
    slope /= np.square(x, out=x).sum(axis=1)
    intercept = mean - slope * centre
    finite = np.isfinite(first)
    slope = np.where(constant, np.where(finite, 0.0, np.nan), slope)
    intercept = np.where(constant, np.where(finite, first, np.nan), intercept)
    return slope, intercept


def double_exponential_smoothing(windows: Windows, smoothing: Values, trend: Values) -> tuple[Values, Present]:
    """The last value smoothed with the factors for level and trend, each (steps,); needs two samples.

    A step of the recursion is computed for all windows at once.
    """
    steps = windows.low.shape[1]

    def of_portion(portion: Portion) -> Values:
        step = portion.cells % steps
        if portion.rows.shape[1] < 2:
            return np.zeros(len(portion.rows))
        return _smoothed(portion, smoothing[step], trend[step])

    values, _ = over_portions(windows, of_portion)
    return values, windows.count >= 2


def _smoothed(portion: Portion, level_factor: Values, trend_factor: Values) -> Values:
    columns = np.ascontiguousarray(portion.rows.T)
    before: Values = np.zeros(len(portion.rows))
    level: Values = columns[0]
    slope = columns[1] - columns[0]
    for position in range(1, len(columns)):
        if position % _CHECK_EVERY == 0:
            portion.windows.budget.check()
        if position > 1:
            slope = trend_factor * (level - before) + (1 - trend_factor) * slope
        smoothed = level_factor * columns[position] + (1 - level_factor) * (level + slope)
        if portion.exists is not None:
            # A window that has ended keeps its level; what else becomes of it does not matter.
            smoothed = np.where(portion.exists[:, position], smoothed, level)
        before, level = level, smoothed
    return level
