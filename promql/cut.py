"""Where windows lie in an array of moments: found once for all series that share it, as those of one source do."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from collectors.sample import Times, Values

Index = NDArray[np.intp]
T = TypeVar("T")

#: Where windows touch less than this share of the samples, those are copied out, and the others never looked at.
SPARSE = 0.5
#: Up to one in so many samples is left out by joining what lies between; more, one by one.
FEW = 256
#: Bytes of moments whose findings are kept at the same time.
_MEMORY_BYTES = 1 << 25


class Memory(Generic[T]):
    """What ``find`` gives for an array of moments, remembered while that array lives, the oldest forgotten first."""

    def __init__(self, find: Callable[[Times], T]) -> None:
        self._find = find
        self._known: dict[int, tuple[weakref.ref[Times], T, int]] = {}
        self._bytes = 0

    def of(self, times: Times) -> T:
        """What was found, or is found now; an array is known by its identity, not by what it holds."""
        known = self._known.get(id(times))
        if known is not None:
            if known[0]() is times:
                return known[1]
            self._forget(id(times))
        found = self._find(times)
        while self._known and self._bytes + times.nbytes > _MEMORY_BYTES:
            self._forget(next(iter(self._known)))
        self._known[id(times)] = weakref.ref(times), found, times.nbytes
        self._bytes += times.nbytes
        return found

    def _forget(self, key: int) -> None:
        self._bytes -= self._known.pop(key)[2]


@dataclass(slots=True)
class Cut:
    """The samples that some windows hold, out of one array of moments.

    ``times`` (m,) are their moments in ms, ``low`` and ``count`` (steps,) each window's first index in them and its
    number of samples. An empty window begins at 0. ``picked`` says where they come from.
    """

    times: Times
    low: Index
    count: Index
    picked: slice | Index
    _trimmed: tuple[bytes, Cut] | None = field(default=None, repr=False)

    def pick(self, values: Values) -> Values:
        """The values (m,) at ``times``, out of all of a series."""
        if isinstance(self.picked, slice):
            return values[self.picked]
        return values.take(self.picked)

    def without(self, gone: Index) -> Cut:
        """The same windows without the samples at ``gone``. Stale markers often come to many series at once."""
        key = gone.tobytes()
        if self._trimmed is None or self._trimmed[0] != key:
            high = self.low + self.count
            low, high = self.low - np.searchsorted(gone, self.low), high - np.searchsorted(gone, high)
            self._trimmed = key, _cut(without(self.times, gone), low, high, slice(None))
        return self._trimmed[1]


def without(data: NDArray[Any], gone: Index) -> NDArray[Any]:
    """``data`` without what is at ``gone`` (ascending): series have few ends, far apart, and often only a last one."""
    if len(gone) * FEW > len(data):
        return np.delete(data, gone)
    starts, ends = [0, *(gone + 1).tolist()], [*gone.tolist(), len(data)]
    parts = [data[start:end] for start, end in zip(starts, ends, strict=True) if start < end]
    return parts[0] if len(parts) == 1 else np.concatenate([data[:0], *parts])


def cut(times: Times, refs: Times, range_ms: int) -> Cut:
    """Find the windows ``(ref - range_ms, ref]``; ``refs`` (steps,) ascend."""
    low, high = times.searchsorted(refs - range_ms, "right"), times.searchsorted(refs, "right")
    first, end = int(low[0]), int(high[-1])
    if len(refs) == 1:
        return Cut(times[first:end], low - low, high - low, slice(first, end))
    # What lies between a window and those before it, summed up; windows that overlap have nothing between them.
    before = np.empty_like(high)
    before[0], before[1:] = first, high[:-1]
    skipped = np.cumsum(np.maximum(low - before, 0))
    touched = end - first - int(skipped[-1])
    if touched > SPARSE * (end - first):
        return _cut(times[first:end], low - first, high - first, slice(first, end))
    fresh = high - np.maximum(low, before)
    skipped += first
    picked = np.arange(touched) + np.repeat(skipped, fresh)
    return _cut(times.take(picked), low - skipped, high - skipped, picked)


def _cut(times: Times, low: Index, high: Index, picked: slice | Index) -> Cut:
    count = high - low
    return Cut(times, np.where(count > 0, low, 0), count, picked)
