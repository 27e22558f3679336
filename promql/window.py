"""Range vectors, cut into windows: every (series, step) pair is a slice of one flat array, computed on all at once.

Series are taken in batches, so that memory stays bounded whatever the query selects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collectors.sample import Series, Times, Values, stale_mask
from promql.selector import Budget, Positions
from promql.value import Present, RangeData

Index = NDArray[np.intp]

#: Samples, and (series, step) cells, that one batch holds at most (a single series may be larger).
BATCH_SAMPLES = 2_000_000
BATCH_CELLS = 250_000
#: Elements that a computation over whole windows (sorting, regression) spreads out at once.
SPREAD_ELEMENTS = 1_000_000
#: Where positive and negative values cancel to less than this share, a sum is redone exactly.
CANCELLATION = 1e-6


@dataclass(frozen=True, slots=True)
class Windows:
    """A batch of windows over flat samples without stale markers.

    ``times`` (ms) and ``values`` have shape (samples + 1,): the last element is padding, so that an index one past the
    end is harmless. ``low`` and ``high`` (series, steps) are the window's first index and the one past its last.
    ``refs`` (steps,) are the windows' ends in ms; windows are ``(ref - range_ms, ref]``.
    """

    times: Times
    values: Values
    low: Index
    high: Index
    refs: Times
    range_ms: int

    @property
    def count(self) -> Index:
        """Samples per window."""
        return self.high - self.low


#: Computes (values, present), both (series, steps), from a batch of windows.
WindowFunction = Callable[[Windows], tuple[Values, Present]]


def over_windows(data: RangeData, function: WindowFunction, budget: Budget) -> tuple[Values, Present]:
    """Apply ``function`` to every window of every series; both results have shape (series, steps)."""
    shape = (len(data.series), len(data.refs))
    budget.spend(shape[0] * shape[1])
    values = np.empty(shape)
    present = np.zeros(shape, dtype=bool)
    row = 0
    for batch in _batches(data.series, shape[1]):
        budget.spend(0)
        rows = slice(row, row + len(batch))
        values[rows], present[rows] = function(_cut(batch, data))
        row += len(batch)
    return values, present


def _batches(series: list[Series], steps: int) -> Iterator[list[Series]]:
    batch: list[Series] = []
    samples = 0
    for one in series:
        if batch and (samples + len(one.times) > BATCH_SAMPLES or (len(batch) + 1) * steps > BATCH_CELLS):
            yield batch
            batch, samples = [], 0
        batch.append(one)
        samples += len(one.times)
    if batch:
        yield batch


def _cut(batch: list[Series], data: RangeData) -> Windows:
    """Lay the batch's samples end to end and find each window's slice."""
    lengths = [len(one.times) for one in batch]
    total = sum(lengths)
    times = np.empty(total + 1, dtype=np.int64)
    values = np.empty(total + 1)
    np.concatenate([one.times for one in batch], out=times[:total])
    np.concatenate([one.values for one in batch], out=values[:total])
    times[total], values[total] = 0, 0.0
    ends: Index = np.cumsum(lengths)
    starts: Index = ends - np.array(lengths)
    if data.exact:
        low, high = starts[:, None], ends[:, None]
    else:
        lows, highs = Positions(data.refs - data.range_ms), Positions(data.refs)
        low = np.stack([lows.upto(one.times) for one in batch]) + starts[:, None]
        high = np.stack([highs.upto(one.times) for one in batch]) + starts[:, None]
    stale = stale_mask(values)
    if stale.any():
        kept_before = np.zeros(len(stale) + 1, dtype=np.intp)
        np.cumsum(~stale, out=kept_before[1:])
        times, values = times[~stale], values[~stale]
        low, high = kept_before[low], kept_before[high]
    return Windows(times, values, low, high, data.refs, data.range_ms)


def reduce(ufunc: np.ufunc, data: Values, low: Index, high: Index) -> Values:
    """``ufunc.reduce(data[low:high])`` per window; 0 where a window is empty. ``data`` is padded like ``values``."""
    shape = low.shape
    low, high = low.ravel(), high.ravel()
    filled = high > low
    some = not filled.all()
    if some:
        low, high = low[filled], high[filled]
    edges = np.empty(2 * len(low), dtype=np.intp)
    edges[::2], edges[1::2] = low, high
    # Every second segment is what lies between two windows: thrown away, and of length one where windows overlap.
    reduced: Values = ufunc.reduceat(data, edges)[::2] if len(edges) else np.empty(0)
    if some:
        spread = np.zeros(len(filled))
        spread[filled] = reduced
        reduced = spread
    return reduced.reshape(shape)


def total(data: Values, low: Index, high: Index) -> Values:
    """The sum of every window, redone exactly where large values of both signs cancel out."""
    sums = reduce(np.add, data, low, high)
    if np.fmin.reduce(data) < 0 < np.fmax.reduce(data):
        sizes = reduce(np.add, np.abs(data), low, high)
        for at in np.argwhere((np.abs(sums) < sizes * CANCELLATION) & np.isfinite(sizes)):
            cell = tuple(at)
            sums[cell] = math.fsum(data[low[cell] : high[cell]].tolist())
    return sums


@dataclass(frozen=True, slots=True)
class Spread:
    """Some windows' samples copied out one after another, for what needs every sample beside its window's own numbers.

    ``cells`` (windows,) are positions in the flattened (series, steps) grid; ``index`` (elements,) the samples;
    ``owner`` (elements,) which window each belongs to; ``low`` and ``high`` (windows,) the slices of ``index``.
    """

    cells: Index
    index: Index
    owner: Index
    low: Index
    high: Index

    def padded(self, data: Values) -> tuple[Values, Present]:
        """One window per row, (windows, longest), and which of its elements exist."""
        counts = self.high - self.low
        longest = int(counts.max())
        exists = np.arange(longest) < counts[:, None]
        rows = np.zeros((len(counts), longest))
        rows[exists] = data[self.index]
        return rows, exists


def spread(windows: Windows) -> Iterator[Spread]:
    """All windows that are not empty, shortest first, in portions whose padded form stays bounded too."""
    counts = windows.count.ravel()
    low = windows.low.ravel()
    cells = np.flatnonzero(counts)
    cells = cells[np.argsort(counts[cells], kind="stable")]
    sizes = counts[cells]
    while len(cells):
        area = sizes * np.arange(1, len(sizes) + 1)
        taken = max(int(np.searchsorted(area, SPREAD_ELEMENTS, side="right")), 1)
        highs = np.cumsum(sizes[:taken])
        lows = highs - sizes[:taken]
        owner = np.repeat(np.arange(taken), sizes[:taken])
        index = np.arange(highs[-1]) + (low[cells[:taken]] - lows)[owner]
        yield Spread(cells[:taken], index, owner, lows, highs)
        cells, sizes = cells[taken:], sizes[taken:]
