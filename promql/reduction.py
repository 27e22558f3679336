"""Sums, minima and maxima of many slices of one array at once, however much they overlap."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from collectors.sample import Values
from promql.cut import Index
from promql.window import Windows

#: Where positive and negative values cancel to less than this share, a sum is redone exactly.
CANCELLATION = 1e-6
#: Windows that are longer than this, and together so many times as long as the data, are put together from blocks.
LONG = 1024
OVERLAP = 4
#: Scales what overflows; a power of two, so that scaling is exact.
_SHRINK = 2.0**-64


def reduce(ufunc: np.ufunc, data: Values, low: Index, high: Index) -> Values:
    """``ufunc.reduce(data[low:high])`` per window, for add, fmin and fmax; of nothing it is 0 or NaN."""
    shape = low.shape
    low, high = low.ravel(), high.ravel()
    elements = int((high - low).sum())
    if elements > LONG * len(low) and elements > OVERLAP * len(data):
        return _by_blocks(ufunc, data, low, high, elements // len(low)).reshape(shape)
    return _reduce(ufunc, data, low, high).reshape(shape)


def _by_blocks(ufunc: np.ufunc, data: Values, low: Index, high: Index, length: int) -> Values:
    """Reduce whole blocks once, then for each window those inside it and what sticks out at both ends."""
    size = 1 << (length.bit_length() // 2)
    blocks = len(data) // size
    reduced = ufunc.reduce(data[: blocks * size].reshape(blocks, size), axis=1)
    first, end = -(-low // size), high // size
    end = np.maximum(first, end)
    before = _reduce(ufunc, data, low, np.minimum(first * size, high))
    inside = _reduce(ufunc, reduced, first, end)
    after = _reduce(ufunc, data, np.minimum(end * size, high), high)
    result: Values = ufunc(ufunc(before, inside), after)
    return result


def _reduce(ufunc: np.ufunc, data: Values, low: Index, high: Index) -> Values:
    filled = high > low
    if filled.all():
        return _reduce_filled(ufunc, data, low, high)
    reduced = np.full(low.shape, 0.0 if ufunc is np.add else np.nan)
    if filled.any():
        reduced[filled] = _reduce_filled(ufunc, data, low[filled], high[filled])
    return reduced


def _reduce_filled(ufunc: np.ufunc, data: Values, low: Index, high: Index) -> Values:
    # Every second segment is what lies between two windows: thrown away, and of length one where windows overlap.
    # An edge may not be the end of the data; windows that reach it get the last sample afterwards.
    last = len(data) - 1
    edges = np.empty(2 * len(low), dtype=np.intp)
    edges[::2] = low
    np.minimum(high, last, out=edges[1::2])
    reduced: Values = ufunc.reduceat(data, edges)[::2]
    cut_off = np.flatnonzero((high > last) & (low < last))
    if len(cut_off):
        reduced[cut_off] = ufunc(reduced[cut_off], data[last])
    return reduced


def total(windows: Windows, scale: float = 1.0) -> Values:
    """The sum of every window, redone exactly where large values of both signs cancel out.

    ``scale``, a power of two, is applied to every sample before.
    """
    low, high = windows.low, windows.high
    data = windows.values if scale == 1.0 else windows.values * scale
    sums = reduce(np.add, data, low, high)
    if windows.lowest >= 0 or not np.fmin.reduce(data) < 0 < np.fmax.reduce(data):
        return sums
    sizes = reduce(np.add, np.abs(data), low, high)
    for at in np.argwhere(cancelled(sums, sizes)):
        windows.budget.check()
        cell = tuple(at)
        sums[cell] = exact_sum(data[low[cell] : high[cell]])
    return sums


def cancelled(sums: Values, sizes: Values) -> NDArray[np.bool_]:
    """Where so little is left of what was added, ``sizes`` without signs, that it may be all rounding."""
    found: NDArray[np.bool_] = np.isfinite(sums) & (np.abs(sums) < sizes * CANCELLATION)
    return found


def exact_sum(values: Values) -> float:
    """The sum of finite values, rounded once."""
    try:
        return math.fsum(values.tolist())
    except OverflowError:  # on the way, in the order of the values; the smallest are lost then
        return math.fsum((values * _SHRINK).tolist()) / _SHRINK
