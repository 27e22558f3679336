"""From samples to steps: an instant selector takes each series' last sample within the lookback."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from collectors.sample import Hints, Matcher, Series, Times, Values, stale_mask
from promql.error import QueryError
from promql.source import SeriesSource
from promql.value import Block, empty_block


class Budget:
    """What one query may still use: samples (loaded or computed) and time."""

    def __init__(self, max_samples: int, timeout_seconds: float | None = None) -> None:
        self._left = max_samples
        self._max = max_samples
        self._deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds

    def spend(self, samples: int) -> None:
        """Account for ``samples`` more; raises :class:`QueryError` when they or the time are used up."""
        self._left -= samples
        if self._left < 0:
            raise QueryError(
                f"the query needs more than {self._max} samples; narrow its range or its selectors", "execution"
            )
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise QueryError("the query took too long", "timeout")


def load(source: SeriesSource, matchers: Sequence[Matcher], hints: Hints, budget: Budget) -> list[Series]:
    """The series with at least one sample between the windows' outer edges, accounted for in ``budget``."""
    series = []
    for labels, times, values in source.stream(matchers, hints):
        budget.spend(len(times))
        first, end = np.searchsorted(times, (hints.start_ms - hints.range_ms, hints.end_ms), side="right")
        if first < end:
            series.append(Series(labels, times[first:end], values[first:end]))
    return series


def align(series: list[Series], refs: Times, lookback_ms: int, budget: Budget) -> tuple[Block, Times]:
    """Each series' last sample in ``(ref - lookback, ref]``, unless that is a stale marker.

    The second array holds the chosen samples' times in ms; like the block's values it has shape (series, steps).
    """
    steps = len(refs)
    if not series:
        return empty_block(steps), np.empty((0, steps), dtype=np.int64)
    budget.spend(len(series) * steps)
    labels = [one.labels for one in series]
    if steps == 1:
        values = np.array([one.values[-1] for one in series]).reshape(-1, 1)
        times = np.array([one.times[-1] for one in series]).reshape(-1, 1)
        return Block(labels, values, ~stale_mask(values)), times
    values = np.empty((len(series), steps))
    times = np.empty((len(series), steps), dtype=np.int64)
    known = Positions(refs)
    for row, one in enumerate(series):
        # Before the first sample the position is -1, which picks the last one: its time is then past the step.
        last = known.upto(one.times) - 1
        values[row] = one.values[last]
        times[row] = one.times[last]
    present = (times <= refs) & (times > refs - lookback_ms) & ~stale_mask(values)
    return Block(labels, values, present), times


class Positions:
    """Finds steps in sample times, once for all series that share their times (as those of one source do)."""

    def __init__(self, refs: Times) -> None:
        self._refs = refs
        self._known: dict[tuple[int, int, int], NDArray[np.intp]] = {}

    def upto(self, times: Times) -> NDArray[np.intp]:
        """How many samples are at or before each step; shape (steps,)."""
        key = (times.__array_interface__["data"][0], times.strides[0], len(times))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = np.searchsorted(times, self._refs, side="right")
        return found


def to_series(block: Block, times: Times) -> list[Series]:
    """The present points of each row as a series of samples; rows without any are left out."""
    series = []
    for row, labels in enumerate(block.labels):
        present = block.present[row]
        if present.all():
            series.append(Series(labels, times, _plain(block.values[row])))
        elif present.any():
            series.append(Series(labels, times[present], block.values[row, present]))
    return series


def _plain(values: Values) -> Values:
    return np.ascontiguousarray(values)
