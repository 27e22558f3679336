"""From samples to steps: an instant selector takes each series' last sample within the lookback."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collectors.sample import Labels, Series, Times, Values, stale_mask
from promql.budget import Budget
from promql.cut import Index, Memory
from promql.value import Block, Present, RangeData, empty_block


class _Look(NamedTuple):
    """Which sample each step takes (steps,), when that was (seconds), and whether it is one that counts."""

    last: Index
    seconds: Values
    fresh: Present


def align(
    series: Iterable[Series], refs: Times, lookback_ms: int, budget: Budget, *, timestamps: bool = False
) -> Block:
    """Each series' last sample in ``(ref - lookback, ref]``, unless that is a stale marker; or when it was, in seconds.

    Series are taken one by one, and of each only the values at the steps are kept.
    """
    if len(refs) == 1:
        return _align_once(series, refs, lookback_ms, budget, timestamps)

    def look(times: Times) -> _Look:
        # Before the first sample the position is -1, which picks the last one: its time is then past the step.
        last = np.searchsorted(times, refs, side="right") - 1
        sampled = times.take(last)
        return _Look(last, sampled / 1000, (sampled <= refs) & (sampled > refs - lookback_ms))

    looks = Memory(look)
    labels: list[Labels] = []
    rows: list[Values] = []
    taken: list[_Look] = []
    for one in series:
        budget.read(len(one.times))
        if not len(one.times):
            continue
        found = looks.of(one.times)
        budget.hold(len(refs))
        labels.append(one.labels)
        rows.append(one.values.take(found.last))
        taken.append(found)
    if not rows:
        return empty_block(len(refs))
    values = np.array(rows)
    present = ~stale_mask(values)
    present &= _stacked([one.fresh for one in taken])
    if timestamps:
        values = np.broadcast_to(_stacked([one.seconds for one in taken]), values.shape)
    return Block(labels, values, present)


def _align_once(series: Iterable[Series], refs: Times, lookback_ms: int, budget: Budget, timestamps: bool) -> Block:
    """The same for a single step, as rules and panels ask it every second: nothing there is worth remembering."""
    labels: list[Labels] = []
    values: list[float] = []
    sampled: list[int] = []
    for one in series:
        budget.read(len(one.times))
        last = one.times.searchsorted(refs, "right")[0] - 1
        if last >= 0:
            budget.hold(1)
            labels.append(one.labels)
            values.append(one.values[last])
            sampled.append(one.times[last])
    if not labels:
        return empty_block(1)
    column, moments = np.array(values)[:, None], np.array(sampled)[:, None]
    present = (moments > refs - lookback_ms) & ~stale_mask(column)
    return Block(labels, moments / 1000 if timestamps else column, present)


def _stacked(rows: list[NDArray[Any]]) -> NDArray[Any]:
    """The rows as a matrix; just one of them where all are the same."""
    return rows[0] if all(row is rows[0] for row in rows) else np.array(rows)


def raw(data: RangeData, budget: Budget) -> list[Series]:
    """The samples in a range vector's one window, without stale markers."""
    end_ms = int(data.refs[0])
    found = []
    for labels, times, values in data.series:
        budget.read(len(times))
        first, end = np.searchsorted(times, (end_ms - data.range_ms, end_ms), side="right")
        budget.hold(int(end - first))
        stale = stale_mask(values[first:end])
        inside: Any = np.flatnonzero(~stale) + first if stale.any() or end - first < len(times) else slice(None)
        if end - first > np.count_nonzero(stale):
            found.append(Series(labels, times[inside], values[inside]))
    return found


def to_series(block: Block, times: Times) -> list[Series]:
    """The present points of each row as a series of samples; rows without any are left out."""
    series = []
    for row, labels in enumerate(block.labels):
        present = block.present[row]
        if present.all():
            series.append(Series(labels, times, np.ascontiguousarray(block.values[row])))
        elif present.any():
            series.append(Series(labels, times[present], block.values[row, present]))
    return series
