"""Range vectors, cut into windows: every (series, step) pair is a slice of one flat array, computed on all at once.

Series are taken as they come and in batches, so that memory stays bounded whatever the query selects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from collectors.sample import Labels, Times, Values, stale_mask
from promql.budget import Budget
from promql.cut import Cut, Index, Memory, cut, without
from promql.value import Block, Present, RangeData, empty_block

#: Samples, and (series, step) cells, that one batch holds at most (a single series may be larger): about what a
#: processor's cache holds.
BATCH_SAMPLES = 131_072
BATCH_CELLS = 65_536


@dataclass(frozen=True, slots=True)
class Windows:
    """A batch of windows over flat samples without stale markers.

    ``values`` (samples,) holds the series one after another, ``low`` (series, steps) each window's first index in it.
    ``times`` (ms) are their moments: those of one series where all share them, otherwise of each. ``begin`` is each
    window's first index in ``times``, ``count`` its number of samples; both have shape (series, steps), or (1, steps)
    where all series share their moments. An empty window begins with some sample that is not its own.
    ``refs`` (steps,) are the windows' ends in ms; windows are ``(ref - range_ms, ref]``.
    ``lowest`` is the smallest of ``values``, NaN if one of them is.
    """

    values: Values
    low: Index
    times: Times
    begin: Index
    count: Index
    refs: Times
    range_ms: int
    lowest: float
    budget: Budget

    @property
    def high(self) -> Index:
        """The index one past each window's last sample; (series, steps)."""
        return self.low + self.count


#: Computes (values, present) from a batch of windows, both (series, steps) or broadcastable to it.
WindowFunction = Callable[[Windows], tuple[Values, Present]]


def over_windows(data: RangeData, function: WindowFunction, budget: Budget) -> Block:
    """Apply ``function`` to every window of every series that has samples in any."""
    labels: list[Labels] = []
    values: list[Values] = []
    present: list[Present] = []
    for batch in _batches(data, budget):
        laid_out = _lay_out(batch, data, budget)
        if laid_out is None:
            continue
        names, windows = laid_out
        budget.hold(windows.low.size)
        some_values, some_present = function(windows)
        labels += names
        values.append(np.broadcast_to(some_values, windows.low.shape))
        present.append(np.broadcast_to(some_present, windows.low.shape))
    if not labels:
        return empty_block(len(data.refs))
    return Block(labels, np.concatenate(values), np.concatenate(present))


class _Piece(NamedTuple):
    """The samples of one series that some window holds."""

    labels: Labels
    cut: Cut
    values: Values

    def without_stale(self) -> _Piece:
        gone = np.flatnonzero(stale_mask(self.values))
        if not len(gone):
            return self
        return _Piece(self.labels, self.cut.without(gone), without(self.values, gone))


def _batches(data: RangeData, budget: Budget) -> Iterator[list[_Piece]]:
    cuts = Memory(lambda times: cut(times, data.refs, data.range_ms))
    steps = len(data.refs)
    batch: list[_Piece] = []
    samples = 0
    for labels, times, values in data.series:
        budget.read(len(times))
        found = cuts.of(times)
        size = len(found.times)
        if not size:
            continue
        if batch and (samples + size > BATCH_SAMPLES or (len(batch) + 1) * steps > BATCH_CELLS):
            yield batch
            budget.release(samples)
            batch, samples = [], 0
        batch.append(_Piece(labels, found, found.pick(values)))
        samples += size
        budget.hold(size)
    if batch:
        yield batch
        budget.release(samples)


def _lay_out(batch: list[_Piece], data: RangeData, budget: Budget) -> tuple[list[Labels], Windows] | None:
    """Lay samples end to end, without stale markers nor series that have nothing else; None if nothing is left."""
    values = _joined(batch)
    lowest = float(values.min())
    if math.isnan(lowest):
        rid = [one.without_stale() for one in batch]
        if any(one is not other for one, other in zip(rid, batch, strict=True)):
            batch = [one for one in rid if len(one.values)]
            if not batch:
                return None
            values = _joined(batch)
            lowest = float(values.min())
    first = batch[0].cut
    if all(one.cut is first for one in batch):
        times, begin, count = first.times, first.low[None, :], first.count[None, :]
        low = begin + len(times) * np.arange(len(batch))[:, None]
    else:
        times = np.concatenate([one.cut.times for one in batch])
        count = np.array([one.cut.count for one in batch])
        low = begin = np.array([one.cut.low for one in batch])
        low[1:] += np.cumsum([len(one.values) for one in batch[:-1]])[:, None]
    windows = Windows(values, low, times, begin, count, data.refs, data.range_ms, lowest, budget)
    return [one.labels for one in batch], windows


def _joined(batch: list[_Piece]) -> Values:
    parts = [one.values for one in batch]
    return np.ascontiguousarray(parts[0]) if len(parts) == 1 else np.concatenate(parts)
