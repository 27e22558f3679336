"""Sums, minima and maxima of many slices of one array at once, however much they overlap."""

from __future__ import annotations

import math

import numpy as np

from collectors.sample import Values
from promql.cut import Index
from promql.window import Windows

#: Where positive and negative values cancel to less than this share, a sum is redone exactly.
CANCELLATION = 1e-6
#: Windows that are longer than this, and together so many times as long as the data, are put together from blocks.
LONG = 1024
OVERLAP = 4


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
    for at in np.argwhere((np.abs(sums) < sizes * CANCELLATION) & np.isfinite(sizes)):
        windows.budget.check()
        cell = tuple(at)
        sums[cell] = math.fsum(data[low[cell] : high[cell]].tolist())
    return sums
