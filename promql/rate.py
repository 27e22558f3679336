"""Functions over what lies between a window's samples: rates, differences, changes and resets."""

from __future__ import annotations

import numpy as np

from collectors.sample import Values
from promql.value import Present
from promql.window import Windows, reduce


def extrapolated(windows: Windows, counter: bool, per_second: bool) -> tuple[Values, Present]:
    """``rate``, ``increase`` and ``delta``: the difference between last and first sample, stretched to the window.

    It is stretched to the window's edge where the first (or last) sample is no further from it than samples usually are
    apart (and a tenth), otherwise by half that distance; a counter never to before the moment when it was zero.
    """
    low, last = windows.low, windows.high - 1
    first_value = windows.values[low]
    gain = windows.values[last] - first_value
    if counter:
        gain = gain + lost_in_resets(windows)
    first_time, last_time = windows.times[low], windows.times[last]
    sampled = (last_time - first_time) / 1000
    typical = sampled / (last - low)
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
    return gain * factor, last > low


def lost_in_resets(windows: Windows) -> Values:
    """What a counter had reached before each of its resets, summed per window."""
    values = windows.values
    dropped = values[1:] < values[:-1]
    if not dropped.any():
        return np.zeros(windows.low.shape)
    lost = np.zeros(len(values))
    lost[1:][dropped] = values[:-1][dropped]
    return reduce(np.add, lost, np.minimum(windows.low + 1, windows.high), windows.high)


def instantaneous(windows: Windows, counter: bool) -> tuple[Values, Present]:
    """``irate`` (``counter``) and ``idelta``: between the last two samples."""
    present = windows.count >= 2
    last = windows.high - 1
    before = np.maximum(last - 1, 0)
    value, previous = windows.values[last], windows.values[before]
    difference = value - previous
    if not counter:
        return difference, present
    gain = np.where(value < previous, value, difference)
    return gain / ((windows.times[last] - windows.times[before]) / 1000), present


def changes(windows: Windows) -> tuple[Values, Present]:
    """How often the value changed; from NaN to NaN is no change."""
    now, before = windows.values[1:], windows.values[:-1]
    return _count_between(windows, (now != before) & ~(np.isnan(now) & np.isnan(before)))


def resets(windows: Windows) -> tuple[Values, Present]:
    """How often the value fell."""
    return _count_between(windows, windows.values[1:] < windows.values[:-1])


def _count_between(windows: Windows, marks: Present) -> tuple[Values, Present]:
    """Marks per window; ``marks[i]`` speaks of the step from sample i to sample i + 1."""
    upto = np.concatenate(([0], np.cumsum(marks)))
    present = windows.high > windows.low
    last = np.where(present, windows.high - 1, windows.low)
    return (upto[last] - upto[windows.low]).astype(np.float64), present
