"""Functions over what lies between a window's samples: rates, differences, changes and resets."""

from __future__ import annotations

import math

import numpy as np

from collectors.sample import Values
from promql.cut import Index
from promql.reduction import reduce
from promql.value import Present
from promql.window import Windows


def extrapolated(windows: Windows, counter: bool, per_second: bool) -> tuple[Values, Present]:
    """``rate``, ``increase`` and ``delta``: the difference between last and first sample, stretched to the window.

    It is stretched to the window's edge where the first (or last) sample is no further from it than samples usually are
    apart (and a tenth), otherwise by half that distance; a counter never to before the moment when it was zero.
    """
    low, last = windows.low, windows.high - 1
    first_value = windows.values.take(low)
    gain = windows.values.take(last) - first_value
    if counter:
        gain += lost_in_resets(windows)
    # What follows about times alone is computed once for all series that share them.
    first_time, last_time = windows.times.take(windows.begin), windows.times.take(windows.begin + windows.count - 1)
    sampled = (last_time - first_time) / 1000
    typical = sampled / (windows.count - 1)
    threshold = typical * 1.1
    before = (first_time - (windows.refs - windows.range_ms)) / 1000
    after = (windows.refs - last_time) / 1000
    before = np.where(before >= threshold, typical / 2, before)
    after = np.where(after >= threshold, typical / 2, after)
    if counter:
        since_zero = np.where((gain > 0) & (first_value >= 0), sampled * (first_value / gain), before)
        before = np.minimum(before, since_zero)
    factor = (sampled + before + after) / sampled
    if per_second:
        factor = factor / (windows.range_ms / 1000)
    return gain * factor, windows.count >= 2


def lost_in_resets(windows: Windows) -> Values:
    """What a counter had reached before each of its resets, summed per window."""
    values = windows.values
    before = np.flatnonzero(values[1:] < values[:-1])
    if not len(before):
        return np.zeros(windows.low.shape)
    return reduce(np.add, values.take(before), *_between(windows, before))


def instantaneous(windows: Windows, counter: bool) -> tuple[Values, Present]:
    """``irate`` (``counter``) and ``idelta``: between the last two samples."""
    present = windows.count >= 2
    last = windows.high - 1
    value, previous = windows.values.take(last), windows.values.take(np.maximum(last - 1, 0))
    difference = value - previous
    if not counter:
        return difference, present
    gain = np.where(value < previous, value, difference)
    last = windows.begin + windows.count - 1
    apart = windows.times.take(last) - windows.times.take(np.maximum(last - 1, 0))
    return gain / (apart / 1000), present


def changes(windows: Windows) -> tuple[Values, Present]:
    """How often the value changed; from NaN to NaN is no change."""
    now, before = windows.values[1:], windows.values[:-1]
    marks = now != before
    if math.isnan(windows.lowest):
        marks &= ~(np.isnan(now) & np.isnan(before))
    return _count_between(windows, marks)


def resets(windows: Windows) -> tuple[Values, Present]:
    """How often the value fell."""
    return _count_between(windows, windows.values[1:] < windows.values[:-1])


def _count_between(windows: Windows, marks: Present) -> tuple[Values, Present]:
    """Marks per window; ``marks[i]`` speaks of the step from sample i to sample i + 1."""
    first, end = _between(windows, np.flatnonzero(marks))
    return (end - first).astype(np.float64), windows.count > 0


def _between(windows: Windows, places: Index) -> tuple[Index, Index]:
    """Which slice of ``places`` lies in each window; a place i stands for the step from sample i to sample i + 1."""
    first = np.searchsorted(places, windows.low)
    end = np.searchsorted(places, windows.high - 1)
    return first, np.maximum(first, end)
